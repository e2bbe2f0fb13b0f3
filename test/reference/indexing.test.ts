import assert from "node:assert/strict";
import { test } from "node:test";
import { argsort, gather, scatterAdd } from "../../src/primitives/indexing.ts";
import { evaluate, leaf, vector } from "../support/evaluate.ts";

const nan = Number.NaN;

test("gather counts negative indices from the end and clamps", () => {
  const x = vector("f32", 10, 20, 30);
  assert.deepEqual(evaluate(gather(x, vector("i32", 0, 2, -1, -3, 7, -9), 0)), [10, 30, 30, 10, 30, 10]);
});

test("gather along either axis", () => {
  const x = leaf("i32", [2, 3], [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(evaluate(gather(x, leaf("i32", [2, 2], [2, 0, 1, 1]), 1)), [3, 1, 5, 5]);
  assert.deepEqual(evaluate(gather(x, leaf("i32", [1, 3], [1, 0, 1]), 0)), [4, 2, 6]);
  assert.deepEqual(evaluate(gather(x, leaf("i32", [2, 0], []), 1)), []);
});

test("scatterAdd sums repeats, counts from the end, and drops what is outside", () => {
  const update = vector("f64", 1, 2, 4, 8, 16);
  const index = vector("i32", 1, 1, -1, 3, -4);
  assert.deepEqual(evaluate(scatterAdd(index, update, { axis: 0, length: 3 })), [0, 3, 4]);
});

test("scatterAdd along an inner axis, in f64, wrapping integers", () => {
  const index = leaf("i32", [2, 2], [0, 0, 1, 0]);
  const update = leaf("u8", [2, 2], [200, 100, 1, 2]);
  assert.deepEqual(evaluate(scatterAdd(index, update, { axis: 1, length: 2 })), [44, 0, 2, 1]);
  const fine = scatterAdd(vector("i32", 0, 0, 0), vector("f32", 2 ** 24, 1, 1), { axis: 0, length: 1 });
  assert.deepEqual(evaluate(fine), [2 ** 24 + 2]);
});

test("argsort is stable both ways, with NaN as the largest", () => {
  const x = vector("f64", 2, nan, 1, 2, -0, 0, nan);
  const sort = (descending: boolean, limit: number) => evaluate(argsort(x, { axis: 0, descending, limit }));
  assert.deepEqual(sort(false, 7), [4, 5, 2, 0, 3, 1, 6]);
  assert.deepEqual(sort(true, 7), [1, 6, 0, 3, 2, 4, 5]);
  assert.deepEqual(sort(true, 3), [1, 6, 0]);
  assert.deepEqual(sort(false, 0), []);
});

test("argsort along an outer axis", () => {
  const x = leaf("u32", [3, 2], [3, 1, 2, 4294967295, 1, 0]);
  assert.deepEqual(evaluate(argsort(x, { axis: 0, descending: false, limit: 2 })), [2, 2, 1, 0]);
});
