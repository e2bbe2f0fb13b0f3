import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { sum } from "../../src/primitives/broadcast.ts";
import { argmax, argmin, cumsum, max, min, prod } from "../../src/primitives/reduce.ts";
import { evaluate, leaf, vector } from "../support/evaluate.ts";

const nan = Number.NaN;
const inf = Number.POSITIVE_INFINITY;
const cube = leaf("f64", [2, 2, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);

describe("sum and prod", () => {
  test("over any axes", () => {
    assert.deepEqual(evaluate(sum(cube, [0])), [8, 10, 12, 14, 16, 18]);
    assert.deepEqual(evaluate(sum(cube, [1])), [5, 7, 9, 17, 19, 21]);
    assert.deepEqual(evaluate(sum(cube, [2])), [6, 15, 24, 33]);
    assert.deepEqual(evaluate(sum(cube, [0, 2])), [30, 48]);
    assert.deepEqual(evaluate(sum(cube, [0, 1, 2])), [78]);
    assert.deepEqual(evaluate(prod(cube, [1])), [4, 10, 18, 70, 88, 108]);
  });

  test("add in f64 and round once", () => {
    assert.deepEqual(evaluate(sum(vector("f32", 2 ** 24, 1, 1), [0])), [2 ** 24 + 2]);
    assert.deepEqual(evaluate(prod(vector("f32", 1e30, 1e30, 1e-30), [0])), [Math.fround(1e30)]);
  });

  test("wrap in the dtype", () => {
    assert.deepEqual(evaluate(sum(vector("u8", 200, 100), [0])), [44]);
    assert.deepEqual(evaluate(sum(vector("i32", 2 ** 31 - 1, 1), [0])), [-(2 ** 31)]);
    assert.deepEqual(evaluate(sum(vector("u32", 2 ** 32 - 1, 2), [0])), [1]);
    assert.deepEqual(evaluate(prod(vector("i32", 123456789, 987654321, 3), [0])), [-201459057]);
  });

  test("of nothing are 0 and 1", () => {
    assert.deepEqual(evaluate(sum(leaf("f32", [2, 0], []), [1])), [0, 0]);
    assert.deepEqual(evaluate(prod(leaf("i32", [0], []), [0])), [1]);
    assert.deepEqual(evaluate(sum(leaf("f32", [0, 2], []), [1])), []);
  });
});

describe("max and min", () => {
  test("over any axes", () => {
    assert.deepEqual(evaluate(max(cube, [0, 2])), [9, 12]);
    assert.deepEqual(evaluate(min(cube, [1])), [1, 2, 3, 7, 8, 9]);
    assert.deepEqual(evaluate(max(vector("bool", 0, 1), [0])), [1]);
  });

  test("hand on NaN and infinities", () => {
    assert.deepEqual(evaluate(max(leaf("f32", [3, 2], [1, -inf, nan, -inf, 3, -inf]), [0])), [nan, -inf]);
    assert.deepEqual(evaluate(min(leaf("f32", [2, 2], [nan, 1, inf, inf]), [1])), [nan, inf]);
  });

  test("hold every integer", () => {
    assert.deepEqual(evaluate(max(vector("u32", 1, 2 ** 32 - 1), [0])), [2 ** 32 - 1]);
    assert.deepEqual(evaluate(min(vector("i32", -(2 ** 31), 1), [0])), [-(2 ** 31)]);
  });
});

describe("argmax and argmin", () => {
  test("give the first extreme", () => {
    assert.deepEqual(evaluate(argmax(vector("f32", 1, 3, 3), [0])), [1]);
    assert.deepEqual(evaluate(argmin(vector("u8", 3, 1, 1), [0])), [1]);
    assert.deepEqual(evaluate(argmax(vector("f32", -inf, -inf), [0])), [0]);
  });

  test("the first NaN wins", () => {
    assert.deepEqual(evaluate(argmax(vector("f32", 1, nan, inf, nan), [0])), [1]);
    assert.deepEqual(evaluate(argmin(vector("f32", nan, nan, -inf), [0])), [0]);
  });

  test("count row-major over several axes", () => {
    const x = leaf("f32", [2, 2, 2], [0, 1, 9, 3, 4, 8, 6, 7]);
    assert.deepEqual(evaluate(argmax(x, [0, 2])), [3, 0]);
    assert.deepEqual(evaluate(argmax(x, [0, 1])), [1, 2]);
    assert.deepEqual(evaluate(argmax(x, [0, 1, 2])), [2]);
    assert.deepEqual(evaluate(argmin(x, [1, 2])), [0, 0]);
  });
});

describe("cumsum", () => {
  const x = leaf("i32", [2, 3], [1, 2, 3, 4, 5, 6]);
  const run = (axis: number, reverse: boolean, exclusive: boolean) => evaluate(cumsum(x, { axis, reverse, exclusive }));

  test("forward, backward, with and without the own element", () => {
    assert.deepEqual(run(1, false, false), [1, 3, 6, 4, 9, 15]);
    assert.deepEqual(run(1, true, false), [6, 5, 3, 15, 11, 6]);
    assert.deepEqual(run(1, false, true), [0, 1, 3, 0, 4, 9]);
    assert.deepEqual(run(1, true, true), [5, 3, 0, 11, 6, 0]);
    assert.deepEqual(run(0, false, false), [1, 2, 3, 5, 7, 9]);
    assert.deepEqual(run(0, true, true), [4, 5, 6, 0, 0, 0]);
  });

  test("adds in f64 and wraps integers", () => {
    const attrs = { axis: 0, reverse: false, exclusive: false };
    assert.deepEqual(evaluate(cumsum(vector("f32", 2 ** 24, 1, 1), attrs)), [2 ** 24, 2 ** 24, 2 ** 24 + 2]);
    assert.deepEqual(evaluate(cumsum(vector("u8", 200, 100, 0), attrs)), [200, 44, 44]);
  });
});
