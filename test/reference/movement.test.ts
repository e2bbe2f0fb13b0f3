import assert from "node:assert/strict";
import { test } from "node:test";
import * as b from "../../src/primitives/broadcast.ts";
import { constant, iota } from "../../src/primitives/leaf.ts";
import * as m from "../../src/primitives/movement.ts";
import { evaluate, leaf, vector } from "../support/evaluate.ts";

const counted = (...shape: number[]) => {
  const n = shape.reduce((a, d) => a * d, 1);
  return leaf(
    "i32",
    shape,
    Array.from({ length: n }, (_, i) => i),
  );
};

test("permute", () => {
  assert.deepEqual(evaluate(m.permute(counted(2, 3), [1, 0])), [0, 3, 1, 4, 2, 5]);
  assert.deepEqual(evaluate(m.permute(counted(2, 2, 3), [2, 0, 1])), [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]);
});

test("broadcast repeats axes of size 1", () => {
  assert.deepEqual(evaluate(b.broadcast(counted(2, 1), [2, 3])), [0, 0, 0, 1, 1, 1]);
  assert.deepEqual(evaluate(b.broadcast(counted(1, 3), [2, 3])), [0, 1, 2, 0, 1, 2]);
  assert.deepEqual(evaluate(b.broadcast(counted(1, 1), [2, 2])), [0, 0, 0, 0]);
});

test("slice steps from its start", () => {
  assert.deepEqual(
    evaluate(m.slice(counted(4, 5), { starts: [1, 0], sizes: [2, 3], steps: [2, 2] })),
    [5, 7, 9, 15, 17, 19],
  );
  assert.deepEqual(evaluate(m.slice(counted(4), { starts: [4], sizes: [0], steps: [1] })), []);
});

test("pad puts values around and between", () => {
  assert.deepEqual(
    evaluate(m.pad(counted(3), { lo: [1], hi: [2], interior: [1], value: -1 })),
    [-1, 0, -1, 1, -1, 2, -1, -1],
  );
  assert.deepEqual(
    evaluate(m.pad(counted(2, 2), { lo: [0, 1], hi: [1, 0], interior: [0, 0], value: 9 })),
    [9, 0, 1, 9, 2, 3, 9, 9, 9],
  );
  assert.deepEqual(evaluate(m.pad(counted(0), { lo: [1], hi: [1], interior: [3], value: 7 })), [7, 7]);
});

test("flip", () => {
  assert.deepEqual(evaluate(m.flip(counted(2, 3), [1])), [2, 1, 0, 5, 4, 3]);
  assert.deepEqual(evaluate(m.flip(counted(2, 3), [0, 1])), [5, 4, 3, 2, 1, 0]);
});

test("concat, also of empty parts", () => {
  assert.deepEqual(evaluate(m.concat([counted(2, 1), counted(2, 2)], 1)), [0, 0, 1, 1, 2, 3]);
  assert.deepEqual(evaluate(m.concat([counted(1, 2), counted(0, 2), counted(1, 2)], 0)), [0, 1, 0, 1]);
});

test("unfold slides windows along an axis", () => {
  assert.deepEqual(evaluate(m.unfold(counted(5), { axis: 0, size: 3, stride: 2, dilation: 1 })), [0, 1, 2, 2, 3, 4]);
  assert.deepEqual(evaluate(m.unfold(counted(6), { axis: 0, size: 2, stride: 1, dilation: 4 })), [0, 4, 1, 5]);
  assert.deepEqual(
    evaluate(m.unfold(counted(3, 2), { axis: 0, size: 2, stride: 1, dilation: 1 })),
    [0, 1, 2, 3, 2, 3, 4, 5],
  );
});

test("fold sums windows where they overlap and leaves gaps 0", () => {
  const ones = constant(1, [2, 3], "f32");
  assert.deepEqual(evaluate(m.fold(ones, { axis: 0, length: 6, stride: 2, dilation: 1 })), [1, 1, 2, 1, 1, 0]);
  assert.deepEqual(evaluate(m.fold(counted(2, 2), { axis: 0, length: 6, stride: 3, dilation: 1 })), [0, 1, 0, 2, 3, 0]);
});

test("fold adds in f64 and wraps integers", () => {
  const wide = leaf("f32", [3, 3], [0, 0, 2 ** 24, 0, 1, 0, 1, 0, 0]);
  assert.deepEqual(evaluate(m.fold(wide, { axis: 0, length: 5, stride: 1, dilation: 1 })), [0, 0, 2 ** 24 + 2, 0, 0]);
  const bytes = leaf("u8", [2, 2], [0, 200, 100, 0]);
  assert.deepEqual(evaluate(m.fold(bytes, { axis: 0, length: 3, stride: 1, dilation: 1 })), [0, 44, 0]);
});

test("reshape keeps the order; iota and constant fill", () => {
  assert.deepEqual(evaluate(b.reshape(counted(2, 3), [3, 2])), [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(evaluate(iota([2, 2, 2], 1, "f32")), [0, 0, 1, 1, 0, 0, 1, 1]);
  assert.deepEqual(evaluate(constant(0.1, [2], "f32")), [Math.fround(0.1), Math.fround(0.1)]);
  assert.deepEqual(evaluate(constant(-1, [1], "u32")), [2 ** 32 - 1]);
  assert.deepEqual(evaluate(vector("bool", 1, 0)), [1, 0]);
});
