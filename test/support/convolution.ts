import assert from "node:assert/strict";
import { conv2d, conv3d, type DType, grad, setBackend, type Tensor, tensor } from "../../src/index.ts";

/** A convolution of two or three spatial dimensions. */
export interface ConvCase {
  readonly x: readonly number[]; // [n, c, ...size]
  readonly w: readonly number[]; // [o, c / groups, ...kernel]
  readonly stride?: number;
  readonly padding?: number | readonly number[];
  readonly dilation?: number;
  readonly groups?: number;
}

export const describeConv = ({ x, w, stride = 1, padding = 0, dilation = 1, groups = 1 }: ConvCase): string =>
  `${x.join("x")}, weight ${w.join("x")}, stride ${stride}, padding ${padding}, dilation ${dilation}, groups ${groups}`;

export function convolve({ x, stride, padding, dilation, groups }: ConvCase, a: Tensor, b: Tensor): Tensor {
  const options = { stride, padding: padding as number, dilation, groups };
  return x.length === 4 ? conv2d(a, b, null, options) : conv3d(a, b, null, options);
}

/** Numbers in [-1, 1) that a kernel's errors cannot hide among. */
export function noise(shape: readonly number[], seed: number, dtype: DType): Tensor {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  return tensor(Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, next), { shape }).cast(dtype);
}

/** The result and the gradients of a weighted sum of it with respect to both operands. */
export function convResults(c: ConvCase, dtype: DType): Float64Array[] {
  const [x, w] = [noise(c.x, 1, dtype), noise(c.w, 2, dtype)];
  const y = convolve(c, x, w);
  const weights = noise(y.shape, 3, dtype);
  const [gx, gw] = grad(([a, b]: [Tensor, Tensor]) => convolve(c, a, b).mul(weights).sum())([x, w]);
  return [y, gx, gw].map((t) => Float64Array.from(t.dataSync() as ArrayLike<number>));
}

/** Fails unless all values agree to `limit` times the largest of their result. */
export function assertClose(got: readonly Float64Array[], expected: readonly Float64Array[], limit: number): void {
  expected.forEach((e, i) => {
    const scale = e.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
    assert.equal(got[i].length, e.length);
    e.forEach((v, k) => {
      assert.ok(Math.abs(v - got[i][k]) <= limit * scale, `result ${i}, value ${k}: ${got[i][k]}, not ${v}`);
    });
  });
}

/** What the reference backend says. */
export function expectedResults(c: ConvCase, dtype: DType): Float64Array[] {
  try {
    setBackend("reference");
    return convResults(c, dtype);
  } finally {
    setBackend("auto");
  }
}
