/** Twenty steps of every optimizer, and fifty of every schedule, against PyTorch. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { backendStatus, setBackend } from "../../src/backends/select.ts";
import { jit, type Tensor, Variable, valueAndGrad } from "../../src/index.ts";
import {
  adagrad,
  adam,
  adamW,
  clipByValue,
  cosineAnnealing,
  type Ema,
  ema,
  exponentialLR,
  lamb,
  linearLR,
  multiStepLR,
  noDecay,
  oneCycle,
  optimizer,
  polynomialLR,
  type Rule,
  rmsprop,
  type Schedule,
  sgd,
  stepLR,
  warmup,
} from "../../src/optim/index.ts";
import { type GoldenCase, type Precision, Stored, tolerance } from "../golden/cases.ts";
import { readJson, readTensors, relativeError } from "../golden/fixture.ts";

const steps = 20;

interface OptimCase extends GoldenCase {
  readonly decayBias?: boolean;
  readonly clipNorm?: number;
  readonly clipValue?: number;
  readonly ema?: number;
}

const rules: Record<string, (options: never) => Rule> = { sgd, adam, adamW, rmsprop, adagrad, lamb };

/** One case in the course of its steps. */
class Trajectory {
  readonly weight: Variable;
  readonly bias: Variable;
  readonly average: Ema | null;
  readonly step: (x: Tensor, y: Tensor) => void;

  constructor(c: OptimCase, problem: Stored) {
    this.weight = new Variable(problem.tensor("weight"));
    this.bias = new Variable(problem.tensor("bias"));
    const model = {
      namedParameters: () => [["weight", this.weight] as const, ["bias", this.bias] as const],
    };
    const { clipNorm, ema: decay } = c;
    const opt = optimizer(model, rules[c.kind](c.attrs), { clipNorm, groups: c.decayBias ? [] : [noDecay] });
    this.average = decay === undefined ? null : ema(model, decay);
    this.step = (x, y) => {
      const [, grads] = valueAndGrad(model, () => x.matmul(this.weight).add(this.bias).tanh().sub(y).square().mean());
      opt.update(c.clipValue === undefined ? grads : clipByValue(grads, c.clipValue));
      this.average?.update();
    };
  }
}

const cases = await readJson<OptimCase[]>("optim.json");
const fixture = await readTensors("optim.safetensors");

/** Checks against the fixture what a case has gone through, [steps, ...] per parameter. */
async function compare(c: OptimCase, run: Trajectory, paths: Record<string, number[]>, precision: Precision) {
  const stored = new Stored(fixture, c.name, precision);
  const near = (what: string, got: ArrayLike<number>, want: ArrayLike<number>) => {
    const error = relativeError(got, want);
    assert.ok(error <= tolerance[precision], `${what}: relative error ${error.toExponential(2)}`);
  };
  for (const key of ["weight", "bias"]) near(key, paths[key], stored.host(key).data);
  await run.average?.apply(() => {
    for (const key of ["weight", "bias"] as const)
      near(`average of ${key}`, run[key].dataSync(), stored.host(`ema/${key}`).data);
  });
}

for (const { name: backend, works } of backendStatus())
  for (const precision of ["f64", "f32"] as const)
    describe(`optimizers, ${backend}, ${precision}`, { skip: !works }, () => {
      const problem = new Stored(fixture, "problem", precision);
      const runs: [OptimCase, Trajectory, Record<string, number[]>][] = [];
      // All cases take their steps in one program.
      before(() => {
        setBackend(backend);
        for (const c of cases) runs.push([c, new Trajectory(c, problem), { weight: [], bias: [] }]);
        const step = jit((x: Tensor, y: Tensor) => {
          for (const [, run] of runs) run.step(x, y);
          return runs.map(([, { weight, bias }]) => ({ weight, bias }));
        });
        const [x, y] = [problem.tensor("x"), problem.tensor("y")];
        for (let i = 0; i < steps; i++) {
          const after = step(x, y);
          for (const [k, [, , path]] of runs.entries()) {
            path.weight.push(...after[k].weight.dataSync());
            path.bias.push(...after[k].bias.dataSync());
          }
        }
      });
      for (const [k, c] of cases.entries())
        test(c.name, async () => {
          const [, run, path] = runs[k];
          await compare(c, run, path, precision);
        });
    });

interface ScheduleCase {
  readonly name: string;
  readonly kind: string;
  readonly lr: number;
  readonly attrs: never;
  readonly rates: readonly number[];
}

const schedules: Record<string, (lr: number, attrs: never) => Schedule> = {
  stepLR,
  multiStepLR,
  exponentialLR,
  cosineAnnealingLR: (lr, { tMax, etaMin }: { tMax: number; etaMin?: number }) =>
    cosineAnnealing(lr, tMax, { minLr: etaMin }),
  oneCycleLR: (
    _,
    { maxLr, totalSteps, annealStrategy, ...options }: { maxLr: number; totalSteps: number; annealStrategy?: "linear" },
  ) => oneCycle(maxLr, totalSteps, { anneal: annealStrategy, ...options }),
  polynomialLR: (lr, { totalIters, power }: { totalIters: number; power: number }) =>
    polynomialLR(lr, totalIters, { power }),
  linearLR: (lr, { totalIters, startFactor }: { totalIters: number; startFactor: number }) =>
    linearLR(lr, totalIters, { startFactor }),
  warmupCosine: (lr, options: { warmupSteps: number; totalSteps: number; startFactor?: number; etaMin?: number }) => {
    const { warmupSteps, totalSteps, startFactor, etaMin } = options;
    const cosine = cosineAnnealing(lr, totalSteps - warmupSteps, { minLr: etaMin });
    return warmup(cosine, { steps: warmupSteps, startFactor });
  },
};

describe("schedules", async () => {
  for (const { name, kind, lr, attrs, rates } of await readJson<ScheduleCase[]>("schedules.json"))
    test(name, () => {
      const schedule = schedules[kind](lr, attrs);
      const error = relativeError(
        rates.map((_, step) => schedule(step)),
        rates,
      );
      assert.ok(error <= 1e-12, `relative error ${error.toExponential(2)}`);
    });
});
