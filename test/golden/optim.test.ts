/** Twenty steps of every optimizer against PyTorch, in one jitted step as users write it. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { backendStatus, setBackend } from "../../src/backends/select.ts";
import { jit, type Variable, valueAndGrad, variable } from "../../src/index.ts";
import { adagrad, adam, adamW, ema, lamb, optimizer, type Rule, rmsprop, sgd } from "../../src/optim/index.ts";
import { evaluateNow } from "../support/evaluate.ts";
import { type Precision, Stored, tolerance } from "./cases.ts";
import { readJson, readTensors, relativeError } from "./fixture.ts";

interface OptimizerCase {
  readonly name: string;
  readonly kind: keyof typeof rules;
  /** Options of the rule. */
  readonly attrs: never;
  /** Weight decay acts on the bias, too. */
  readonly decayBias?: boolean;
  readonly clipNorm?: number;
  readonly clipValue?: number;
  /** Decay of the running average. */
  readonly ema?: number;
}

const rules = { sgd, adam, adamW, rmsprop, adagrad, lamb } satisfies Record<string, (options: never) => Rule>;
const keys = ["weight", "bias"] as const;
const cases = await readJson<OptimizerCase[]>("optim.json");
const fixture = await readTensors("optim.safetensors");

/** Minimizes mean((tanh(x weight + bias) - y)^2); compares the parameters after each step. */
async function follow(c: OptimizerCase, precision: Precision): Promise<void> {
  const problem = new Stored(fixture, "problem", precision);
  const [x, y] = [problem.tensor("x"), problem.tensor("y")];
  const parameters = keys.map((key): [string, Variable] => [key, variable(problem.tensor(key))]);
  const [[, weight], [, bias]] = parameters;
  const model = { namedParameters: () => parameters };

  const rule: ((options: never) => Rule) | undefined = rules[c.kind];
  assert.ok(rule, `no rule for kind ${c.kind}; add it to the table`);
  const { clipNorm, clipValue } = c;
  const groups = c.decayBias ? [] : [{ match: /bias/, weightDecay: 0 }];
  const opt = optimizer(model, rule(c.attrs), { groups, clipNorm, clipValue });
  const average = c.ema === undefined ? null : ema(model, c.ema);
  const step = jit(() => {
    const [, grads] = valueAndGrad(model, () => x.matmul(weight).add(bias).tanh().sub(y).square().mean());
    opt.update(grads);
    average?.update();
  });

  const stored = new Stored(fixture, c.name, precision);
  const paths = parameters.map(([key]) => ({ key, got: [] as number[], want: stored.host(key) }));
  for (let t = 0; t < paths[0].want.shape[0]; t++) {
    step();
    parameters.forEach(([, p], i) => {
      paths[i].got.push(...evaluateNow([p.node])[0]);
    });
  }
  for (const { key, got, want } of paths) compare(`path of ${key}`, got, want.data, precision);
  await average?.apply(() => {
    for (const [key, p] of parameters)
      compare(`average of ${key}`, evaluateNow([p.node])[0], stored.host(`ema/${key}`).data, precision);
  });
}

function compare(what: string, got: ArrayLike<number>, want: ArrayLike<number>, precision: Precision): void {
  assert.equal(got.length, want.length, `length of ${what}`);
  const error = relativeError(got, want);
  assert.ok(error <= tolerance[precision], `${what}: relative error ${error.toExponential(2)}`);
}

for (const { name: backend, works } of backendStatus())
  for (const precision of ["f64", "f32"] as const)
    describe(`optimizers, ${backend}, ${precision}`, { skip: !works }, () => {
      before(() => setBackend(backend));
      for (const c of cases) test(c.name, () => follow(c, precision));
    });
