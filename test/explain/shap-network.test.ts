/** Deep SHAP's rules beyond the layers that the shap package knows, and expected gradients. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  gelu,
  layerNorm,
  logSoftmax,
  manualSeed,
  maxPool2d,
  relu,
  scaledDotProductAttention,
  scan,
  setBackend,
  sigmoid,
  silu,
  softmax,
  type Tensor,
  tensor,
} from "manabi";
import { deepShap, exactShap, gradientShap, type ScoreFunction, type ShapValues, tableMasker } from "manabi/explain";
import { BatchNorm2d, Conv2d, initialize, Linear, Module, MultiheadAttention } from "manabi/nn";
import { Rng, seedKey } from "../../src/core/rng.ts";

setBackend("reference"); // many small graphs, none of which is worth compiling

function normal(seed: number, ...shape: number[]): Tensor {
  const values = new Float64Array(shape.reduce((a, b) => a * b, 1));
  new Rng(seedKey(seed)).fillNormal(values, 0, 1);
  return tensor(values, shape);
}

const sumOf = ({ values, names }: ShapValues, i = 0): number =>
  values.subarray(i * names.length, (i + 1) * names.length).reduce((a, b) => a + b, 0);

const weight = normal(1, 4, 3);
const complete: Readonly<Record<string, ScoreFunction>> = {
  "a product of two branches": (x) => x.matmul(weight).mul(sigmoid(x.slice(1, 0, 3))),
  "a quotient": (x) => x.matmul(weight).div(x.square().sum(1, { keepDims: true }).add(1)),
  "silu, gelu and a residual": (x) => silu(x).add(gelu(x)).add(x).matmul(weight),
  "saturated sigmoid": (x) => sigmoid(x.mul(400)).matmul(weight),
  softmax: (x) => softmax(x.matmul(weight).mul(3)),
  logSoftmax: (x) => logSoftmax(x.matmul(weight)),
  layerNorm: (x) => layerNorm(x, [4]).matmul(weight),
  "maximum of two": (x) => x.slice(1, 0, 2).maximum(x.slice(1, 2, 4)),
  "largest and least": (x) => x.max(1).sub(x.min(1)),
  clamp: (x) => x.clamp(-0.5, 0.5).matmul(weight),
  "steps and absolute values": (x) => x.gt(0.1).cast("f64").add(x.abs()).matmul(weight),
  "self-attention": (x) => {
    const tokens = x.unsqueeze(2).mul(normal(2, 1, 1, 3));
    return scaledDotProductAttention(tokens, tokens.tanh(), tokens, { isCausal: true }).mean([1, 2]);
  },
  "gathered by fixed positions": (x) => x.take(tensor(Int32Array.of(2, 0)), 1).square(),
};

for (const [name, fn] of Object.entries(complete))
  test(`deep SHAP adds up: ${name}`, async () => {
    const found = await deepShap(fn, normal(3, 3, 4), normal(4, 5, 4));
    for (const { gap } of found) assert.ok(gap < 1e-9, `gap ${gap}`);
  });

test("deep SHAP is exact where numbers meet in one product or not at all", async () => {
  const fn: ScoreFunction = (x) =>
    x
      .slice(1, 0, 1)
      .mul(x.slice(1, 1, 2))
      .add(x.slice(1, 2, 3).exp())
      .squeeze(1);
  const [x, background] = [normal(5, 2, 3), normal(6, 4, 3)];
  const [deep] = await deepShap(fn, x, background);
  const [exact] = await exactShap(fn, tableMasker(x, background));
  for (const [i, value] of exact.values.entries()) assert.ok(Math.abs(deep.values[i] - value) < 1e-10);
});

class Net extends Module {
  conv = new Conv2d(1, 4, 3, { padding: 1 });
  norm = new BatchNorm2d(4);
  attention = new MultiheadAttention(4, 2, { batchFirst: true });
  head = new Linear(4, 3);

  forward(x: Tensor): Tensor {
    const maps = maxPool2d(relu(this.norm.forward(this.conv.forward(x))), 3, { stride: 2, padding: 1 });
    const tokens = maps.flatten(2).transpose(1, 2);
    return this.head.forward(this.attention.forward(tokens, tokens, tokens)[0].mean(1));
  }
}

test("modules in f32, in batches of every size, with progress", async () => {
  manualSeed(0);
  const model = initialize(new Net(), 3);
  model.eval();
  const [x, background] = [normal(7, 3, 1, 6, 6).cast("f32"), normal(8, 5, 1, 6, 6).cast("f32")];
  const fn: ScoreFunction = (batch) => model.forward(batch);
  const progress: string[] = [];
  const all = await deepShap(fn, x, background);
  const few = await deepShap(fn, x, background, {
    targets: [2],
    batchSize: 2,
    onProgress: (done, total) => progress.push(`${done}/${total}`),
  });
  assert.equal(all.length, 3);
  assert.equal(all[0].names.length, 36);
  assert.equal(few.length, 1);
  for (const [i, value] of all[2].values.entries()) assert.ok(Math.abs(value - few[0].values[i]) < 1e-4);
  assert.ok(Math.abs(sumOf(all[1], 2) - (all[1].outputs[2] - all[1].base[2])) < 1e-4);
  assert.equal(progress.at(-1), "9/9");
});

test("expected gradients come near to adding up, and say how near", async () => {
  const fn: ScoreFunction = (x) => x.matmul(weight).tanh();
  const [x, background] = [normal(9, 2, 4), normal(10, 6, 4)];
  const options = { samples: 2000, batchSize: 4000, seed: 5 };
  const [first] = await gradientShap(fn, x, background, options);
  assert.ok(first.gap > 0 && first.gap < 0.2, `gap ${first.gap}`);
  const errors = first.standardErrors as Float64Array;
  assert.ok(errors.every((e) => e > 0 && e < 0.1));
  const [again] = await gradientShap(fn, x, background, options);
  assert.deepEqual(again.values, first.values);
  const [other] = await gradientShap(fn, x, background, { ...options, seed: 6 });
  assert.notDeepEqual(other.values, first.values);
  for (const [i, e] of errors.entries()) assert.ok(Math.abs(other.values[i] - first.values[i]) < 6 * e + 1e-12);
  // Of a linear function every draw of a row gives the exact difference.
  const [linear] = await gradientShap((b) => b.matmul(weight), x, background.slice(0, 0, 1), { samples: 3 });
  assert.ok(linear.gap < 1e-12);
});

test("both find the two columns that matter", async () => {
  const [inner, outer] = [normal(21, 2, 6), normal(22, 6, 1)];
  const fn: ScoreFunction = (x) => gelu(x.take(tensor(Int32Array.of(1, 4)), 1).matmul(inner)).matmul(outer);
  const [x, background] = [normal(23, 8, 6), normal(24, 10, 6)];
  for (const [shap] of [await deepShap(fn, x, background), await gradientShap(fn, x, background)]) {
    const weights = shap.names.map((_, j) =>
      shap.values.reduce((sum, value, i) => sum + (i % 6 === j ? Math.abs(value) : 0), 0),
    );
    assert.deepEqual(
      weights.map((w) => w > 0.5),
      [false, true, false, false, true, false],
    );
    assert.equal(weights[0] + weights[2] + weights[3] + weights[5], 0);
  }
});

test("what networks cannot be explained", async () => {
  const [x, background] = [normal(11, 1, 4), normal(12, 2, 4)];
  const recurrent: ScoreFunction = (b) =>
    scan((h: Tensor, t: Tensor) => [h.add(t).tanh(), t], b.slice(1, 0, 1), b.transpose().unsqueeze(2))[0];
  await assert.rejects(deepShap(recurrent, x, background), /no rule for the operation "pick".*gradientShap/);
  const sorted: ScoreFunction = (b) => b.sort(1)[0];
  await assert.rejects(deepShap(sorted, x, background), /"gather" where what it selects by depends on the input/);
  await assert.rejects(
    deepShap((b) => normal(13, b.shape[0], 2), x, background),
    /do not depend on the examples/,
  );
  await assert.rejects(
    deepShap((b) => b, x, background.slice(1, 0, 3)),
    /agree after the first axis/,
  );
  await assert.rejects(
    deepShap((b) => b, x, background.slice(0, 0, 0)),
    /background has no rows/,
  );
  await assert.rejects(
    deepShap((b) => b, x, background, { targets: [4] }),
    /no class 4; the scores have 4/,
  );
  await assert.rejects(
    deepShap((b) => b.mul(Number.NaN), x, background),
    /example 0 is NaN/,
  );
  await assert.rejects(
    gradientShap((b) => b, x, background, { samples: 0 }),
    /samples is 0/,
  );
  const stop = new AbortController();
  stop.abort(new Error("enough"));
  await assert.rejects(
    deepShap((b) => b, x, background, { signal: stop.signal }),
    /enough/,
  );
});
