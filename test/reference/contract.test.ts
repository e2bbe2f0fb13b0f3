import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { sizeOf } from "../../src/core/shape.ts";
import type { Node } from "../../src/graph/node.ts";
import * as c from "../../src/primitives/contract.ts";
import { uniform } from "../support/check-grads.ts";
import { evaluate, leaf } from "../support/evaluate.ts";

const plain: c.ConvAttrs = { stride: [1], padding: [[0, 0]], dilation: [1], groups: 1 };
const random = (shape: readonly number[], seed: number) => leaf("f64", shape, uniform(sizeOf(shape), seed));

/** Every index of `shape`, row-major, and the place of one in memory. */
const positions = (shape: readonly number[]): number[][] =>
  shape.reduce<number[][]>((all, d) => all.flatMap((at) => Array.from({ length: d }, (_, i) => [...at, i])), [[]]);
const flat = (at: readonly number[], shape: readonly number[]) => at.reduce((sum, i, axis) => sum * shape[axis] + i, 0);

describe("dot", () => {
  test("multiplies matrices", () => {
    const x = leaf("f32", [2, 3], [1, 2, 3, 4, 5, 6]);
    const y = leaf("f32", [3, 2], [7, 8, 9, 10, 11, 12]);
    assert.deepEqual(evaluate(c.dot(x, y)), [58, 64, 139, 154]);
  });

  test("by batch", () => {
    const x = leaf("f64", [2, 1, 2], [1, 2, 3, 4]);
    const y = leaf("f64", [2, 2, 1], [5, 6, 7, 8]);
    assert.deepEqual(evaluate(c.dot(x, y)), [17, 53]);
  });

  test("of every size around a tile", () => {
    for (const [m, k, n] of [
      [1, 1, 1],
      [3, 5, 7],
      [4, 2, 8],
      [5, 3, 9],
      [2, 8, 4],
    ]) {
      const [x, y] = [uniform(m * k, 1), uniform(k * n, 2)];
      const expected = Array.from({ length: m * n }, (_, at) => {
        const [i, j] = [Math.floor(at / n), at % n];
        let sum = 0;
        for (let p = 0; p < k; p++) sum += x[i * k + p] * y[p * n + j];
        return sum;
      });
      assert.deepEqual(evaluate(c.dot(leaf("f64", [m, k], x), leaf("f64", [k, n], y))), expected);
    }
  });

  test("adds in f64 and rounds once; an empty sum is 0", () => {
    const ones = leaf("f32", [3, 1], [1, 1, 1]);
    assert.deepEqual(evaluate(c.dot(leaf("f32", [1, 3], [2 ** 24, 1, 1]), ones)), [2 ** 24 + 2]);
    assert.deepEqual(evaluate(c.dot(leaf("f32", [2, 0], []), leaf("f32", [0, 2], []))), [0, 0, 0, 0]);
  });
});

describe("conv", () => {
  const x = leaf("f64", [1, 1, 5], [1, 2, 3, 4, 5]);
  const w = leaf("f64", [1, 1, 3], [1, 0, -2]);
  const conv = (attrs: Partial<c.ConvAttrs>) => evaluate(c.conv(x, w, { ...plain, ...attrs }));

  test("is cross-correlation", () => {
    assert.deepEqual(conv({}), [-5, -6, -7]);
  });

  test("with stride, padding and dilation", () => {
    assert.deepEqual(conv({ stride: [2] }), [-5, -7]);
    assert.deepEqual(conv({ padding: [[1, 0]] }), [-4, -5, -6, -7]);
    assert.deepEqual(conv({ padding: [[0, 2]] }), [-5, -6, -7, 4, 5]);
    assert.deepEqual(conv({ dilation: [2] }), [-9]);
  });

  test("in two dimensions, over channels", () => {
    const image = leaf("f32", [1, 2, 2, 2], [1, 2, 3, 4, 10, 20, 30, 40]);
    const weight = leaf("f32", [2, 2, 1, 2], [1, 1, 0, 0, 0, 1, 1, 0]);
    const attrs: c.ConvAttrs = {
      stride: [1, 1],
      padding: [
        [0, 0],
        [0, 0],
      ],
      dilation: [1, 1],
      groups: 1,
    };
    assert.deepEqual(evaluate(c.conv(image, weight, attrs)), [3, 7, 12, 34]);
  });

  test("groups see only their own channels", () => {
    const two = leaf("f64", [1, 2, 2], [1, 2, 3, 4]);
    const weight = leaf("f64", [4, 1, 1], [1, 10, 100, 1000]);
    assert.deepEqual(evaluate(c.conv(two, weight, { ...plain, groups: 2 })), [1, 2, 10, 20, 300, 400, 3000, 4000]);
  });

  test("transposed convolution spreads the kernel", () => {
    const y = leaf("f64", [1, 1, 2], [1, 10]);
    assert.deepEqual(evaluate(c.convInputGrad(y, w, { ...plain, stride: [2], spatial: [6] })), [1, 0, 8, 0, -20, 0]);
  });

  test("the weight gradient sums over images", () => {
    const images = leaf("f64", [2, 1, 3], [1, 2, 3, 4, 5, 6]);
    const y = leaf("f64", [2, 1, 2], [1, 0, 0, 10]);
    assert.deepEqual(evaluate(c.convWeightGrad(images, y, { ...plain, kernel: [2] })), [51, 62]);
  });

  const wide: c.ConvAttrs = {
    stride: [2, 1, 3],
    padding: [
      [1, 2],
      [0, 1],
      [2, 0],
    ],
    dilation: [1, 2, 1],
    groups: 2,
  };
  const [p, q] = [random([2, 4, 6, 5, 7], 1), random([6, 2, 3, 2, 2], 2)];
  const out = c.conv(p, q, wide);

  test("is its definition, element by element, in three dimensions with every attribute", () => {
    const [x, w] = [evaluate(p), evaluate(q)];
    const expected = positions(out.shape).map(([n, o, ...at]) => {
      const group = Math.floor(o / 3);
      let sum = 0;
      for (const [channel, ...tap] of positions(q.shape.slice(1))) {
        const from = at.map((s, i) => s * wide.stride[i] + tap[i] * wide.dilation[i] - wide.padding[i][0]);
        if (from.every((s, i) => s >= 0 && s < p.shape[i + 2]))
          sum += x[flat([n, group * 2 + channel, ...from], p.shape)] * w[flat([o, channel, ...tap], q.shape)];
      }
      return sum;
    });
    assert.deepEqual(out.shape, [2, 6, 4, 4, 3]);
    const got = evaluate(out);
    expected.forEach((value, i) => {
      assert.ok(Math.abs(got[i] - value) < 1e-14, `element ${i} is ${got[i]}, not ${value}`);
    });
  });

  test("the triple is adjoint: <y, conv(x, w)> = <convInputGrad(y, w), x> = <convWeightGrad(x, y), w>", () => {
    const y = random(out.shape, 3);
    const inner = (a: Node, b: Node) => {
      const v = evaluate(b);
      return evaluate(a).reduce((sum, x, i) => sum + x * v[i], 0);
    };
    const product = inner(y, out);
    const others = [
      inner(c.convInputGrad(y, q, { ...wide, spatial: [6, 5, 7] }), p),
      inner(c.convWeightGrad(p, y, { ...wide, kernel: [3, 2, 2] }), q),
    ];
    for (const value of others) assert.ok(Math.abs(value - product) < 1e-12 * (1 + Math.abs(product)));
  });
});
