/** Values worked out by hand: creation, joining, behaviour at the ends of the number range, ties. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setBackend } from "../../src/backends/select.ts";
import type { Tensor } from "../../src/index.ts";
import * as m from "../../src/index.ts";

setBackend("reference");

const list = (x: Tensor): number[] => [...x.dataSync()];
const vec = (...values: number[]): Tensor => m.tensor(values);
const is = (x: Tensor, shape: readonly number[], values: readonly number[]) => {
  assert.deepEqual([...x.shape], shape);
  assert.deepEqual(list(x), values);
};
const close = (x: Tensor, values: readonly number[], tolerance = 1e-6) => {
  const got = list(x);
  assert.equal(got.length, values.length);
  got.forEach((v, i) => {
    const near = Object.is(v, values[i]) || Math.abs(v - values[i]) <= tolerance * Math.max(1, Math.abs(values[i]));
    assert.ok(near, `[${i}] is ${v}, not ${values[i]}`);
  });
};
const slope = (fn: (x: Tensor) => Tensor, x: Tensor): Tensor => m.grad((x: Tensor) => fn(x).sum())(x);

describe("creation", () => {
  test("arange counts as NumPy does", () => {
    is(m.arange(4), [4], [0, 1, 2, 3]);
    is(m.arange(3, -3, -2), [3], [3, 1, -1]);
    close(m.arange(0, 1, 0.4), [0, 0.4, 0.8]);
    is(m.arange(2, 2), [0], []);
    assert.equal(m.arange(4).dtype, "i32");
    assert.equal(m.arange(0, 1, 0.5).dtype, "f32");
  });
  test("linspace holds both ends exactly", () => {
    const values = list(m.linspace(0.1, 0.7, 7, { dtype: "f64" }));
    assert.equal(values[0], 0.1);
    assert.equal(values[6], 0.7);
    close(m.linspace(-1, 1, 5), [-1, -0.5, 0, 0.5, 1]);
    is(m.linspace(3, 9, 1), [1], [3]);
  });
  test("eye, full, likes", () => {
    is(m.eye(2, 3), [2, 3], [1, 0, 0, 0, 1, 0]);
    is(m.full([2], true), [2], [1, 1]);
    assert.equal(m.full([2], true).dtype, "bool");
    assert.equal(m.onesLike(m.zeros([2], { dtype: "f64" })).dtype, "f64");
    is(m.zerosLike(vec(1, 2)), [2], [0, 0]);
  });
  test("triangles and one-hot rows", () => {
    is(m.tril(m.ones([2, 3])), [2, 3], [1, 0, 0, 1, 1, 0]);
    is(m.triu(m.ones([2, 3]), 1), [2, 3], [0, 1, 1, 0, 0, 1]);
    const hot = m.oneHot(m.arange(3), 2);
    is(hot, [3, 2], [1, 0, 0, 1, 0, 0]);
    assert.equal(hot.dtype, "i32");
  });
});

describe("joining", () => {
  test("stack, split, chunk", () => {
    is(m.stack([vec(1, 2), vec(3, 4)], 1), [2, 2], [1, 3, 2, 4]);
    assert.deepEqual(m.split(m.arange(5), 2).map(list), [[0, 1], [2, 3], [4]]);
    assert.deepEqual(m.split(m.arange(5), [1, 4]).map(list), [[0], [1, 2, 3, 4]]);
    assert.deepEqual(m.chunk(m.arange(5), 3).map(list), [[0, 1], [2, 3], [4]]);
  });
  test("repeat, tile, roll", () => {
    is(m.repeat(vec(1, 2), 3, 0), [6], [1, 1, 1, 2, 2, 2]);
    is(m.tile(vec(1, 2), [2]), [4], [1, 2, 1, 2]);
    is(m.roll(m.arange(5), 2, 0), [5], [3, 4, 0, 1, 2]);
    is(m.roll(m.arange(5), -6, 0), [5], [1, 2, 3, 4, 0]);
  });
});

describe("activations at the ends of f32", () => {
  const far = [-1e4, -100, 0, 100, 1e4];
  const functions: Record<string, readonly [(x: Tensor) => Tensor, values: number[], slopes: number[]]> = {
    relu: [m.relu, [0, 0, 0, 100, 1e4], [0, 0, 0, 1, 1]],
    elu: [m.elu, [-1, -1, 0, 100, 1e4], [0, 0, 1, 1, 1]],
    sigmoid: [m.sigmoid, [0, 0, 0.5, 1, 1], [0, 0, 0.25, 0, 0]],
    softplus: [m.softplus, [0, 0, Math.LN2, 100, 1e4], [0, 0, 0.5, 1, 1]],
    logSigmoid: [m.logSigmoid, [-1e4, -100, -Math.LN2, 0, 0], [1, 1, 0.5, 0, 0]],
    silu: [m.silu, [0, 0, 0, 100, 1e4], [0, 0, 0.5, 1, 1]],
    mish: [m.mish, [0, 0, 0, 100, 1e4], [0, 0, 0.6, 1, 1]],
    gelu: [m.gelu, [0, 0, 0, 100, 1e4], [0, 0, 0.5, 1, 1]],
    "gelu tanh": [(x) => m.gelu(x, { approximate: "tanh" }), [0, 0, 0, 100, 1e4], [0, 0, 0.5, 1, 1]],
    hardswish: [m.hardswish, [0, 0, 0, 100, 1e4], [0, 0, 0.5, 1, 1]],
    softsign: [
      m.softsign,
      [-1e4 / 10001, -100 / 101, 0, 100 / 101, 1e4 / 10001],
      [1e-8, 1 / 10201, 1, 1 / 10201, 1e-8],
    ],
  };
  for (const [name, [fn, values, slopes]] of Object.entries(functions))
    test(name, () => {
      close(fn(vec(...far)), values);
      close(slope(fn, vec(...far)), slopes);
      const curvature = list(slope((x) => slope(fn, x), vec(...far)));
      assert.ok(curvature.every(Number.isFinite), `second derivatives ${curvature}`);
    });
  test("sigmoid and logSigmoid keep their relative precision in the tail", () => {
    const got = list(m.sigmoid(vec(-20, -80)));
    assert.ok(Math.abs(got[0] / Math.exp(-20) - 1) < 1e-6);
    assert.ok(Math.abs(got[1] / Math.exp(-80) - 1) < 1e-5);
    assert.ok(Math.abs(m.softplus(vec(-20)).itemSync() / Math.exp(-20) - 1) < 1e-6);
  });
  test("softmax, logSoftmax, logsumexp", () => {
    const x = m.tensor([
      [1e4, 0, -1e4],
      [-1e4, -1e4, -1e4],
    ]);
    const third = 1 / 3;
    close(m.softmax(x), [1, 0, 0, third, third, third]);
    close(m.logSoftmax(x), [0, -1e4, -2e4, ...[1, 1, 1].map(() => -Math.log(3))]);
    close(x.logsumexp(1), [1e4, -1e4 + Math.log(3)]);
    const weights = m.tensor([[1, 2, 3]]);
    close(
      slope((x) => m.logSoftmax(x).mul(weights), x),
      [-5, 2, 3, -1, 0, 1],
    );
    const none = m.full([2, 2], Number.NEGATIVE_INFINITY);
    is(none.logsumexp(1), [2], [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]);
    is(m.full([2], Number.POSITIVE_INFINITY).logsumexp(), [], [Number.POSITIVE_INFINITY]);
  });
  test("NaN goes through", () => {
    for (const [name, [fn]] of Object.entries(functions)) assert.ok(Number.isNaN(fn(vec(Number.NaN)).itemSync()), name);
    for (const fn of [m.relu6, m.hardtanh, m.leakyRelu]) assert.ok(Number.isNaN(fn(vec(Number.NaN)).itemSync()));
  });
});

describe("choices among equals", () => {
  test("max pooling takes the first of equals, and so does its gradient", () => {
    const x = m.tensor([[[1, 1, 0, 2, 2, 2]]]);
    const [y, at] = m.maxPool1dWithIndices(x, 3);
    is(y, [1, 1, 2], [1, 2]);
    is(at, [1, 1, 2], [0, 3]);
    is(
      slope((x) => m.maxPool1d(x, 3), x),
      [1, 1, 6],
      [1, 0, 0, 1, 0, 0],
    );
  });
  test("positions are flat in the plane and never lie in the padding", () => {
    const none = m.full([1, 1, 2, 3], Number.NEGATIVE_INFINITY);
    const [, at] = m.maxPool2dWithIndices(none, 3, { stride: 2, padding: 1 });
    assert.ok(list(at).every((i) => i >= 0 && i < 6));
    const x = m.arange(12, undefined, 1, { dtype: "f32" }).reshape([1, 1, 3, 4]);
    is(m.maxPool2dWithIndices(x, 2)[1], [1, 1, 1, 2], [5, 7]);
    is(m.adaptiveMaxPool2dWithIndices(x, [2, 3])[1], [1, 1, 2, 3], [5, 6, 7, 9, 10, 11]);
  });
  test("the gradient of a norm is 0 at 0", () => {
    close(
      slope((x) => x.norm(), vec(0, 0)),
      [0, 0],
    );
    close(
      slope((x) => m.normalize(x, { axes: 0 }), vec(0, 0)),
      [1e12, 1e12],
    );
    close(vec(3, -4).norm(), [5]);
    close(vec(3, -4).norm(0, { ord: 1 }), [7]);
    close(vec(3, -4).norm(0, { ord: Number.POSITIVE_INFINITY }), [4]);
  });
});

describe("attention", () => {
  test("a query that sees no key gets zeros and no NaN in its gradient", () => {
    const q = m.tensor([
      [1, 0],
      [0, 1],
    ]);
    const mask = m.tensor([
      [true, false],
      [false, false],
    ]);
    const attend = (q: Tensor) => m.scaledDotProductAttention(q, q, q, { mask });
    is(attend(q), [2, 2], [1, 0, 0, 0]);
    assert.ok(list(slope(attend, q)).every(Number.isFinite));
  });
});

describe("interpolation and padding", () => {
  test("bilinear by hand", () => {
    close(m.interpolate(m.tensor([[[0, 1]]]), { size: 4, mode: "linear" }), [0, 0.25, 0.75, 1]);
    close(m.interpolate(m.tensor([[[0, 1, 4]]]), { size: 5, mode: "linear", alignCorners: true }), [0, 0.5, 1, 2.5, 4]);
  });
  test("modes of padding", () => {
    const x = m.tensor([1, 2, 3]);
    is(m.pad(x, [[2, 1]]), [6], [0, 0, 1, 2, 3, 0]);
    is(m.pad(x, [[2, 1]], { value: 9 }), [6], [9, 9, 1, 2, 3, 9]);
    is(m.pad(x, [[2, 1]], { mode: "reflect" }), [6], [3, 2, 1, 2, 3, 2]);
    is(m.pad(x, [[2, 1]], { mode: "replicate" }), [6], [1, 1, 1, 2, 3, 3]);
    is(m.pad(x, [[2, 1]], { mode: "circular" }), [6], [2, 3, 1, 2, 3, 1]);
    is(m.pad(x, [[-1, 1]]), [3], [2, 3, 0]);
  });
});

describe("batch normalization", () => {
  test("is exact far from zero and on constant channels", () => {
    const base = 1e4;
    const x = m.tensor([base, base + 1, base + 2, base + 3], { shape: [4, 1] });
    const d = Math.sqrt(1.25);
    close(m.batchNorm(x, { eps: 0 }), [-1.5 / d, -0.5 / d, 0.5 / d, 1.5 / d], 1e-6);
    close(m.batchNorm(m.full([4, 1], 7)), [0, 0, 0, 0]);
    const { mean, variance } = m.channelMoments(x);
    close(mean, [base + 1.5]);
    close(variance, [1.25], 1e-6);
  });
});
