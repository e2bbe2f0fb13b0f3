import assert from "node:assert/strict";
import { test } from "node:test";
import { type HostArray, storeValues } from "../../src/core/dtype.ts";
import {
  accuracy,
  argmaxRows,
  ConfusionMatrix,
  macroAverage,
  mostConfused,
  RunningMean,
  topKAccuracy,
} from "../../src/train/index.ts";

const scores = (rows: number[][]): HostArray => ({
  dtype: "f32",
  shape: [rows.length, rows[0].length],
  data: Float32Array.from(rows.flat()),
});

test("accuracy, top-k and argmax, ties to the lower class", () => {
  const x = scores([
    [0.1, 0.7, 0.2],
    [0.5, 0.5, 0.0],
    [0.1, 0.2, 0.7],
    [0.3, 0.3, 0.3],
  ]);
  assert.deepEqual(argmaxRows(x), Int32Array.of(1, 0, 2, 0));
  assert.equal(accuracy(x, [1, 1, 2, 0]), 0.75);
  assert.equal(topKAccuracy(x, Int32Array.of(2, 1, 0, 2), 2), 0.5);
  assert.equal(topKAccuracy(x, [2, 1, 0, 2], 3), 1);
  assert.equal(accuracy(scores([[Number.NaN, Number.NaN]]), [0]), 0);
  const half: HostArray = { dtype: "bf16", shape: [2, 2], data: storeValues([-2, -1, 2, -3], "bf16") };
  assert.equal(accuracy(half, [1, 0]), 1);
});

test("wrong shapes and classes are named", () => {
  const x = scores([[0, 1]]);
  assert.throws(() => accuracy({ ...x, shape: [2] }, [0]), /scores are \[n, classes\], got \[2\]/);
  assert.throws(() => accuracy(x, [0, 1]), /1 rows of scores, 2 labels/);
  assert.throws(() => accuracy(x, [2]), /class 2 is not one of 0..1/);
  assert.throws(() => new ConfusionMatrix(["a"]).add([0], [-1]), /class -1 is not one of 0..0/);
  assert.throws(() => new ConfusionMatrix(["a"]).add([0], []), /1 predictions, 0 labels/);
});

test("confusion matrix and scores by class, as scikit-learn gives them", () => {
  const matrix = new ConfusionMatrix(["ant", "bee", "cat", "dog"]);
  matrix.add([0, 0, 1, 1, 2, 0], [0, 0, 1, 0, 2, 2]);
  matrix.add(Int32Array.of(1), [1]);
  assert.deepEqual(matrix.counts, [
    [2, 1, 0, 0],
    [0, 2, 0, 0],
    [1, 0, 1, 0],
    [0, 0, 0, 0],
  ]);
  assert.equal(matrix.total, 7);
  assert.equal(matrix.accuracy, 5 / 7);
  const [ant, bee, cat, dog] = matrix.perClass();
  assert.deepEqual(ant, { label: "ant", precision: 2 / 3, recall: 2 / 3, f1: 2 / 3, support: 3 });
  assert.deepEqual(bee, { label: "bee", precision: 2 / 3, recall: 1, f1: 0.8, support: 2 });
  assert.deepEqual(cat, { label: "cat", precision: 1, recall: 0.5, f1: 2 / 3, support: 2 });
  assert.deepEqual(dog, { label: "dog", precision: 0, recall: 0, f1: 0, support: 0 });
  const mean = macroAverage([ant, bee, cat, dog]);
  assert.ok(Math.abs(mean.f1 - (2 / 3 + 0.8 + 2 / 3) / 4) < 1e-12);
  assert.equal(mean.support, 7);
  assert.deepEqual(mostConfused(matrix.labels, matrix.counts, 1), [{ truth: "ant", predicted: "bee", count: 1 }]);
});

test("a running mean is weighted", () => {
  const mean = new RunningMean();
  assert.ok(Number.isNaN(mean.value));
  mean.add(1, 3);
  mean.add(5);
  assert.equal(mean.value, 2);
  mean.reset();
  mean.add(7);
  assert.equal(mean.value, 7);
});
