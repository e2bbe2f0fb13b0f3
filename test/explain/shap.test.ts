/** Shapley values of black boxes: convergence, the planted cause, maskers, errors. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Tensor, tensor } from "manabi";
import {
  type BlackBox,
  exactShap,
  imageMasker,
  kernelShap,
  linearShap,
  type Masker,
  permutationShap,
  type ShapValues,
  tableMasker,
  wordMasker,
} from "manabi/explain";
import { Rng, seedKey } from "../../src/core/rng.ts";

function normal(seed: number, ...shape: number[]): Tensor {
  const values = new Float64Array(shape.reduce((a, b) => a * b, 1));
  new Rng(seedKey(seed)).fillNormal(values, 0, 1);
  return tensor(values, shape);
}

const worst = (a: ShapValues, b: ShapValues): number =>
  a.values.reduce((most, value, i) => Math.max(most, Math.abs(value - b.values[i])), 0);

const features = 11;
const weight = normal(1, features, 4);
/** Interactions of all orders. */
const network: BlackBox = (rows) => rows.matmul(weight).tanh().prod(1).add(rows.matmul(weight).sin().sum(1));
const table = tableMasker(normal(2, 2, features), normal(3, 3, features));

test("KernelSHAP comes to the exact values as its budget grows", async () => {
  const [exact] = await exactShap(network, table);
  const errorAt = async (budget: number) => worst((await kernelShap(network, table, { budget, seed: 3 }))[0], exact);
  const scale = Math.max(...exact.values.map(Math.abs));
  // Of 2,046 coalitions; measured: 0.27, 0.12, 0.034, 3e-14 of the largest value.
  const budgets = [100, 400, 1200, 2 ** features - 2];
  const errors: number[] = [];
  for (const budget of budgets) errors.push((await errorAt(budget)) / scale);
  assert.ok(errors[0] < 0.4, `${errors}`);
  assert.ok(errors[1] < 0.2, `${errors}`);
  assert.ok(errors[2] < 0.06, `${errors}`);
  assert.ok(errors[3] < 1e-9, `${errors}`);
});

test("permutations come to the exact values, with honest standard errors", async () => {
  const [exact] = await exactShap(network, table);
  const [few] = await permutationShap(network, table, { permutations: 10, seed: 1 });
  const [many] = await permutationShap(network, table, { permutations: 400, seed: 1 });
  const errors = many.standardErrors as Float64Array;
  for (const [i, value] of many.values.entries()) assert.ok(Math.abs(value - exact.values[i]) < 5 * errors[i]);
  assert.ok(worst(many, exact) < worst(few, exact) / 2);
  assert.equal((await permutationShap(network, table, { permutations: 1 }))[0].standardErrors, null);
  for (const { gap } of [few, many]) assert.ok(gap < 1e-12);
});

test("one and two players", async () => {
  const one = tableMasker(normal(4, 1, 1), normal(5, 3, 1));
  const two = tableMasker(normal(6, 1, 2), normal(7, 3, 2));
  const square: BlackBox = (rows) => rows.sum(1).square();
  for (const masker of [one, two]) {
    const [exact] = await exactShap(square, masker);
    assert.ok(worst((await kernelShap(square, masker))[0], exact) < 1e-12);
    assert.ok(worst((await permutationShap(square, masker, { permutations: 2 }))[0], exact) < 1e-12);
  }
});

test("the same seed gives the same values, in batches of any size, all alike", async () => {
  const sizes: number[] = [];
  const counted: BlackBox = (rows) => {
    sizes.push(rows.shape[0]);
    return network(rows);
  };
  const progress: number[] = [];
  const [a] = await kernelShap(counted, table, { budget: 100, seed: 9 });
  const [b] = await kernelShap(network, table, {
    budget: 100,
    seed: 9,
    batchSize: 37,
    onProgress: (done, total) => {
      progress.push(done);
      assert.equal(total, 2 * 102 * 3);
    },
  });
  const [c] = await kernelShap(network, table, { budget: 100, seed: 10 });
  assert.ok(worst(a, b) < 1e-12);
  assert.ok(worst(a, c) > 1e-6);
  assert.equal(new Set(sizes).size, 1);
  assert.equal(sizes.length, 1);
  assert.equal(progress.at(-1), 2 * 102 * 3);
});

test("every method finds the two columns that matter", async () => {
  const informative: BlackBox = (rows) =>
    rows
      .slice(1, 2, 3)
      .mul(2)
      .add(rows.slice(1, 7, 8).mul(rows.slice(1, 2, 3)))
      .add(rows.slice(1, 7, 8).tanh());
  const masker = tableMasker(normal(8, 6, 10), normal(9, 20, 10));
  const found = [
    await exactShap(informative, masker),
    await kernelShap(informative, masker, { budget: 300 }),
    await permutationShap(informative, masker, { permutations: 5 }),
  ];
  for (const [shap] of found)
    for (const [i, value] of shap.values.entries())
      if (i % 10 !== 2 && i % 10 !== 7) assert.ok(Math.abs(value) < 0.02, `${i}: ${value}`);
  for (const [shap] of found.slice(1)) assert.ok(worst(shap, found[0][0]) < 0.05);
});

test("targets: classes, and any number made of the scores", async () => {
  const two: BlackBox = (rows) => rows.matmul(weight.slice(1, 0, 2));
  const margin = (scores: ArrayLike<number>) => scores[1] - scores[0];
  const all = await exactShap(two, table);
  const [only, difference] = await exactShap(two, table, { targets: [1, margin] });
  assert.equal(all.length, 2);
  assert.deepEqual(only.values, all[1].values);
  for (const [i, value] of difference.values.entries())
    assert.ok(Math.abs(value - (all[1].values[i] - all[0].values[i])) < 1e-12);
});

test("columns in groups are players together", async () => {
  const x = normal(10, 2, 4);
  const background = normal(11, 3, 4);
  const groups = [0, 1, 1, 0];
  const masker = tableMasker(x, background, { groups, names: ["ends", "middle"] });
  const product: BlackBox = (rows) =>
    rows
      .slice(1, 0, 1)
      .mul(rows.slice(1, 3, 4))
      .add(rows.slice(1, 1, 2));
  const [shap] = await exactShap(product, masker);
  const [b, own] = [(await background.data()) as Float64Array, (await x.data()) as Float64Array];
  const mean = (f: (row: number) => number) => [0, 1, 2].reduce((sum, row) => sum + f(row) / 3, 0);
  assert.ok(Math.abs(shap.values[0] - (own[0] * own[3] - mean((r) => b[4 * r] * b[4 * r + 3]))) < 1e-12);
  assert.ok(Math.abs(shap.values[1] - (own[1] - mean((r) => b[4 * r + 1]))) < 1e-12);
  assert.equal(shap.data, null);
  assert.deepEqual(shap.names, ["ends", "middle"]);
});

const regions = { width: 4, height: 2, labels: Int32Array.of(0, 0, 1, 1, 0, 0, 2, 2), count: 3 };
const image = tensor(
  Float64Array.from({ length: 16 }, (_, i) => i),
  [2, 2, 4],
);

test("regions of an image", async () => {
  // The sum over the upper right corner of channel 1.
  const corner: BlackBox = (images) => images.slice(1, 1, 2).slice(2, 0, 1).slice(3, 2, 4).sum([1, 2, 3]);
  const values = async (masker: Masker) => [...(await exactShap(corner, masker))[0].values];
  assert.deepEqual(await values(imageMasker(image, regions, { fill: 0 })), [0, 21, 0]);
  assert.deepEqual(await values(imageMasker(image, regions)), [0, 21 - 2 * 11.5, 0]);
  assert.deepEqual(await values(imageMasker(image, regions, { fill: [5, 1] })), [0, 19, 0]);
  assert.deepEqual(await values(imageMasker(image, regions, { fill: image.mul(0.5) })), [0, 10.5, 0]);
});

test("words of a text", async () => {
  const seen: string[] = [];
  const mood: BlackBox<readonly string[]> = (texts) => {
    seen.push(...texts);
    return texts.map((text) => [/not good/.test(text) ? -1 : /good/.test(text) ? 1 : 0]);
  };
  const [shap] = await exactShap(mood, wordMasker("not good  at all"));
  assert.deepEqual(shap.names, ["not", "good", "at", "all"]);
  assert.deepEqual(
    [...shap.values].map((v) => Math.round(v * 1e9) / 1e9),
    [-1, 0, 0, 0],
  );
  assert.ok(seen.includes("") && seen.includes("good all"));
  seen.length = 0;
  await exactShap(mood, wordMasker("so good", { replacement: "[MASK]" }));
  assert.deepEqual(seen, ["[MASK] [MASK]", "so [MASK]", "[MASK] good", "so good"]);
});

test("correlated features share the credit of a linear model", async () => {
  // Columns 0 and 1 are copies, 2 is constant, the model looks at column 0 alone.
  const rows = normal(12, 50, 1);
  const background = rows.mul(tensor([[1, 1, 0]]).cast("f64"));
  const x = tensor(Float64Array.of(2, 2, 0), [1, 3]);
  const model = { weight: tensor(Float64Array.of(1.5, 0, 4), [1, 3]), bias: null };
  const [independent] = await linearShap(model, x, background);
  const [correlated] = await linearShap(model, x, background, { featurePerturbation: "correlation_dependent" });
  const whole = independent.values[0];
  assert.ok(Math.abs(correlated.values[0] - whole / 2) < 1e-9 && Math.abs(correlated.values[1] - whole / 2) < 1e-9);
  assert.equal(independent.values[1], 0);
  assert.equal(correlated.values[2], 0);
});

test("many correlated features: sampled orders come near the enumeration", async () => {
  const mix = normal(13, 13, 13).mul(0.4);
  const background = normal(14, 300, 13).matmul(mix);
  const x = normal(15, 2, 13).matmul(mix);
  const model = { weight: normal(16, 1, 13), bias: null };
  const options = { featurePerturbation: "correlation_dependent", permutations: 60 } as const;
  const [a] = await linearShap(model, x, background, { ...options, seed: 1 });
  const [b] = await linearShap(model, x, background, { ...options, seed: 2 });
  const scale = Math.max(...a.values.map(Math.abs));
  assert.ok(worst(a, b) / scale < 0.2 && worst(a, b) > 0);
  assert.ok(a.gap < 1e-9);
});

test("what black boxes cannot be explained", async () => {
  const x = normal(17, 1, 20);
  const wide = tableMasker(x, normal(18, 2, 20));
  const sum: BlackBox = (rows) => rows.sum(1);
  await assert.rejects(exactShap(sum, wide), /20 players have 2\^20 coalitions, and at most 16.*kernelShap/);
  await assert.rejects(kernelShap(sum, wide, { budget: 30 }), /budget of 30 coalitions for 20 players.*at least 40/);
  await assert.rejects(permutationShap(sum, wide, { permutations: 0 }), /permutations is 0/);
  await assert.rejects(
    kernelShap((rows) => rows.sum(1).log(), wide),
    /scores: that of example \d+ is NaN/,
  );
  await assert.rejects(
    kernelShap((rows) => rows.sum(), wide),
    /expected \[\d+, classes\]/,
  );
  await assert.rejects(exactShap(sum, table, { targets: [3] }), /no class 3/);
  await assert.rejects(exactShap(sum, table, { batchSize: 0 }), /batchSize is 0/);
  assert.throws(() => tableMasker(x, normal(1, 0, 20)), /background has no rows/);
  assert.throws(() => tableMasker(x, normal(1, 2, 19)), /\[1,20\] and background \[2,19\]/);
  assert.throws(() => tableMasker(x, normal(1, 2, 20).cast("f32")), /x is f64 and the background f32/);
  assert.throws(() => tableMasker(x, normal(1, 2, 20), { groups: [0, 1] }), /2 groups for 20 columns/);
  assert.throws(() => tableMasker(x, normal(1, 2, 20), { names: ["a"] }), /1 names for 20 features/);
  assert.throws(() => imageMasker(image, { ...regions, width: 2 }), /must be \[c, 2, 2\]/);
  assert.throws(
    () => imageMasker(image, { ...regions, labels: new Int32Array(8), count: 1 }),
    /one region, which has everything/,
  );
  assert.throws(() => imageMasker(image, { ...regions, count: 4 }), /do not use every number from 0 to 3/);
  assert.throws(() => imageMasker(image, regions, { fill: [1] }), /1 numbers, the image 2 channels/);
  assert.throws(() => wordMasker("  "), /has no words/);
  const single = { weight: normal(1, 1, 20), bias: null };
  await assert.rejects(
    linearShap(single, x, normal(1, 1, 20), { featurePerturbation: "correlation_dependent" }),
    /1 row has no covariance/,
  );
  await assert.rejects(linearShap({ weight: normal(1, 1, 3), bias: null }, x, normal(1, 2, 20)), /weight \[1,3\]/);
  const stop = new AbortController();
  stop.abort(new Error("enough"));
  await assert.rejects(exactShap(sum, table, { signal: stop.signal }), /enough/);
});
