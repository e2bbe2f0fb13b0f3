/** Operations in bf16 and f16, networks under autocast, and dynamic loss scaling against PyTorch. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { backendStatus, setBackend } from "../../src/backends/select.ts";
import { type HalfDType, type HostArray, isFloat, loadValues, type TypedArray } from "../../src/core/dtype.ts";
import * as m from "../../src/index.ts";
import { LSTM } from "../../src/nn/index.ts";
import { adamW, gradScaler, optimizer, sgd } from "../../src/optim/index.ts";
import { evaluateTogether } from "../support/evaluate.ts";
import { preparedWebgpu } from "../support/webgpu.ts";
import type { GoldenCase } from "./cases.ts";
import { readJson, readTensors, relativeError } from "./fixture.ts";

interface HalfCase extends GoldenCase {
  readonly dtype: HalfDType;
}
type Inputs = Readonly<Record<string, m.Tensor>>;
type Call = (inputs: Inputs) => m.Tensor | readonly m.Tensor[];

/** One unit in the last place of the largest expected value: 8 and 11 binary digits. */
const unit = { bf16: 2 ** -7, f16: 2 ** -10 };

const unary =
  (fn: (x: m.Tensor) => m.Tensor): Call =>
  ({ x }) =>
    fn(x);

const operations: Record<string, Call> = {
  add: ({ a, b }) => a.add(b),
  sub: ({ a, b }) => a.sub(b),
  mul: ({ a, b }) => a.mul(b),
  div: ({ a, b }) => a.div(b),
  pow: ({ a, b }) => a.pow(b),
  maximum: ({ a, b }) => a.maximum(b),
  exp: unary(m.exp),
  expm1: unary(m.expm1),
  tanh: unary(m.tanh),
  sin: unary(m.sin),
  cos: unary(m.cos),
  atan: unary(m.atan),
  erf: unary(m.erf),
  abs: unary(m.abs),
  neg: unary(m.neg),
  log: unary(m.log),
  log1p: unary(m.log1p),
  sqrt: unary(m.sqrt),
  rsqrt: unary(m.rsqrt),
  reciprocal: unary(m.reciprocal),
  sigmoid: unary(m.sigmoid),
  silu: unary(m.silu),
  gelu: unary(m.gelu),
  elu: unary(m.elu),
  softplus: unary(m.softplus),
  mish: unary(m.mish),
  hardswish: unary(m.hardswish),
  relu: unary(m.relu),
  softmax: unary(m.softmax),
  logSoftmax: unary(m.logSoftmax),
  sum: unary((x) => x.sum(1)),
  mean: unary((x) => x.mean([0, 2])),
  prod: unary((x) => x.prod(1)),
  max: unary((x) => x.max(1)),
  cumsum: unary((x) => x.cumsum(1)),
  variance: unary((x) => x.variance(1)),
  norm: unary((x) => x.norm(1)),
  logsumexp: unary((x) => x.logsumexp(1)),
  matmul: ({ a, b }) => a.matmul(b),
  "matmul batched": ({ a, b }) => a.matmul(b),
  linear: ({ x, weight, bias }) => m.linear(x, weight, bias),
  conv2d: ({ x, weight, bias }) => m.conv2d(x, weight, bias, { padding: 1, stride: 2 }),
  convTranspose2d: ({ x, weight, bias }) => m.convTranspose2d(x, weight, bias, { stride: 2 }),
  layerNorm: ({ x, weight, bias }) => m.layerNorm(x, [12], { weight, bias }),
  groupNorm: ({ x, weight, bias }) => m.groupNorm(x, 2, { weight, bias }),
  batchNorm: ({ x, weight, bias }) => m.batchNorm(x, { weight, bias }),
  avgPool2d: unary((x) => m.avgPool2d(x, 3, { stride: 2, padding: 1 })),
  maxPool2d: unary((x) => m.maxPool2d(x, 2)),
  attention: ({ q, k, v }) => m.scaledDotProductAttention(q, k, v),
  embedding: ({ index, weight }) => m.embedding(index, weight),
  crossEntropy: ({ x, y }) => m.crossEntropy(x, y),
  mse: ({ a, b }) => m.mseLoss(a, b),
  sort: ({ x }) => x.sort(1),
  lstm({ x, weightIh, weightHh, biasIh, biasHh }) {
    const lstm = new LSTM(3, 4).to(x.dtype);
    // The weights are inputs here, whose gradients are asked for.
    const given = [weightIh, weightHh, biasIh, biasHh];
    for (const [i, v] of lstm.parameters().entries()) v.cell.node = given[i].node;
    return lstm.forward(x)[0];
  },
};

const networks: Record<string, Call> = {
  mlp: ({ x, y, w1, b1, w2, b2 }) => m.crossEntropy(m.linear(m.gelu(m.linear(x, w1, b1)), w2, b2), y),
  cnn({ x, y, w1, g1, b1, w2, w3, b3 }) {
    const h = m.relu(m.batchNorm(m.conv2d(x, w1, null, { padding: 1 }), { weight: g1, bias: b1 }));
    return m.crossEntropy(m.linear(m.conv2d(h, w2, null, { stride: 2 }).mean([2, 3]), w3, b3), y);
  },
  block({ x, wQkv, wOut, g, b }) {
    const [q, k, v] = m.chunk(m.linear(m.layerNorm(x, [8], { weight: g, bias: b }), wQkv), 3, -1);
    return x.add(m.linear(m.scaledDotProductAttention(q, k, v), wOut));
  },
};

interface Claim {
  readonly what: string;
  readonly got: m.Tensor;
  readonly want: HostArray;
}

/** `wide` holds the cotangents as they are. */
function claims(
  c: HalfCase,
  stored: ReadonlyMap<string, HostArray>,
  wide: "f32" | "f64",
  call: (inputs: Inputs) => ReturnType<Call>,
): Claim[] {
  const host = (key: string): HostArray => {
    const found = stored.get(`${c.name}/${key}`);
    assert.ok(found, `the fixture has no ${c.name}/${key}`);
    return found;
  };
  const inputs = Object.fromEntries(c.inputs.map((name) => [name, m.fromHost(host(`in/${name}`))]));
  let outputs: readonly m.Tensor[] = [];
  const run = (own: Inputs): m.Tensor => {
    const made = call({ ...inputs, ...own });
    outputs = Array.isArray(made) ? made : [made];
    const weighted = (out: m.Tensor, i: number) =>
      out
        .cast(wide)
        .mul(m.fromHost(host(`ct/${i}`)).cast(wide))
        .sum();
    return outputs.flatMap((out, i) => (isFloat(out.dtype) ? [weighted(out, i)] : [])).reduce((a, b) => a.add(b));
  };
  const [, grads] = m.valueAndGrad(Object.fromEntries(c.grads.map((name) => [name, inputs[name]])), run);
  return [
    ...outputs.map((got, i) => ({ what: `output ${i}`, got, want: host(`out/${i}`) })),
    ...c.grads.map((name) => ({ what: `gradient by ${name}`, got: grads[name], want: host(`grad/${name}`) })),
  ];
}

function check({ what, got, want }: Claim, data: TypedArray, allowed: number): void {
  assert.deepEqual([...got.shape], [...want.shape], `shape of ${what}`);
  assert.equal(got.dtype, want.dtype, `dtype of ${what}`);
  const [values, expected] = [loadValues(data, got.dtype), loadValues(want.data, want.dtype)];
  if (!isFloat(want.dtype)) assert.deepEqual(values, expected, what);
  else {
    const error = relativeError(values, expected);
    assert.ok(error <= allowed, `${what}: relative error ${error.toExponential(2)} > ${allowed.toExponential(2)}`);
  }
}

async function family(
  name: string,
  table: Record<string, Call>,
  around: (c: HalfCase, run: () => ReturnType<Call>) => ReturnType<Call>,
  units: { readonly outputs: number; readonly gradients: number },
): Promise<void> {
  const cases = await readJson<HalfCase[]>(`${name}.json`);
  const stored = await readTensors(`${name}.safetensors`);
  for (const { name: backend, works, dtypes } of backendStatus())
    describe(`${name}, ${backend}`, { skip: !works || !dtypes.has("bf16") }, () => {
      const all = new Map<HalfCase, Claim[]>();
      const values = new Map<Claim, TypedArray>();
      // One program: compiling case by case takes minutes.
      before(async () => {
        setBackend(backend);
        const wide = dtypes.has("f64") ? "f64" : "f32";
        for (const c of cases)
          all.set(
            c,
            claims(c, stored, wide, (inputs) => around(c, () => table[c.kind](inputs))),
          );
        const list = [...all.values()].flat();
        const found = await evaluateTogether(list.map(({ got }) => got.node));
        for (const [i, claim] of list.entries()) values.set(claim, found[i]);
      });
      for (const c of cases)
        test(c.name, () => {
          for (const claim of all.get(c) ?? []) {
            const allowed = claim.what.startsWith("output") ? units.outputs : units.gradients;
            check(claim, values.get(claim) as TypedArray, unit[c.dtype] * allowed);
          }
        });
    });
}

await preparedWebgpu();
// Gradients take several operations, whose roundings differ where intermediate results differ by a little.
await family("half", operations, (_, run) => run(), { outputs: 1, gradients: 2 });
await family("autocast", networks, ({ dtype }, run) => m.autocast(dtype, run), { outputs: 2, gradients: 3 });

describe("gradient scaler", async () => {
  const cases = await readJson<{ kind: "sgd" | "adamW"; attrs: never }[]>("scaler.json");
  const stored = await readTensors("scaler.safetensors");
  const host = (key: string) => stored.get(key)?.data as Float32Array;
  const [grads, overflow, start] = ["grads", "overflow", "start"].map((key) => host(`series/${key}`));
  const bad = [Number.POSITIVE_INFINITY, Number.NaN, Number.NEGATIVE_INFINITY];
  const size = start.length;
  for (const { name: backend, works } of backendStatus())
    for (const jitted of [true, false])
      for (const { kind, attrs } of cases)
        test(`${kind} on ${backend}${jitted ? ", jitted" : ""}`, { skip: !works }, async () => {
          setBackend(backend);
          const weight = m.variable(m.tensor(start.slice()));
          const scaler = gradScaler({ initScale: 2 ** 10, growthInterval: 4 });
          const opt = optimizer([["weight", weight]], { sgd, adamW }[kind](attrs), { scaler });
          // The scaled gradient, as it comes from a backward pass.
          const update = (g: m.Tensor) => opt.update(new Map([["weight", opt.scaled(g)]]));
          const step = jitted ? m.jit(update) : update;
          const [path, scales, trackers]: number[][] = [[], [], []];
          let faults = 0;
          for (const [t, over] of overflow.entries()) {
            const g = grads.slice(t * size, (t + 1) * size);
            if (over) g[2] = bad[faults++ % 3];
            step(m.tensor(g));
            path.push(...(await weight.data()));
            scales.push(await scaler.value.item());
            const { growthTracker } = (await scaler.state()) as unknown as Record<string, HostArray>;
            trackers.push(growthTracker.data[0]);
          }
          assert.deepEqual(scales, [...host(`${kind}/scale`)]);
          assert.deepEqual(trackers, [...host(`${kind}/tracker`)]);
          const error = relativeError(path, host(`${kind}/weight`));
          assert.ok(error < 1e-6, `path: relative error ${error.toExponential(2)}`);
        });
});
