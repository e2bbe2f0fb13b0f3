import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { backendStatus, conv2d, type DType, grad, setBackend, type Tensor, tensor } from "../../src/index.ts";

const native = backendStatus().some((b) => b.name === "native" && b.works);

interface Shape {
  readonly n: number;
  readonly c: number;
  readonly size: readonly [number, number];
  readonly kernel: readonly [number, number];
  readonly stride: number;
  readonly padding: readonly [number, number];
  readonly dilation: number;
}

const shape = (
  n: number,
  c: number,
  size: Shape["size"],
  kernel: Shape["kernel"],
  stride = 1,
  padding: Shape["padding"] = [kernel[0] >> 1, kernel[1] >> 1],
  dilation = 1,
): Shape => ({ n, c, size, kernel, stride, padding, dilation });

const shapes: readonly Shape[] = [
  shape(2, 16, [7, 7], [3, 3]),
  shape(1, 8, [4, 4], [3, 3]),
  shape(5, 33, [14, 14], [5, 5]),
  shape(3, 20, [15, 9], [5, 3], 2),
  shape(2, 24, [28, 28], [3, 3], 2, [1, 1]),
  shape(2, 17, [13, 21], [3, 5], 1, [0, 0]),
  shape(2, 16, [12, 12], [3, 3], 1, [2, 2], 2),
  shape(6, 16, [11, 11], [4, 4], 3, [2, 1]),
  shape(1, 40, [56, 56], [3, 3]),
  shape(2, 16, [9, 9], [1, 1]),
  shape(2, 16, [6, 6], [3, 3], 1, [3, 3]), // padded beyond the kernel
];

function results(s: Shape, dtype: DType): Float64Array[] {
  const wave = (dims: readonly number[], speed: number): Tensor =>
    tensor(
      Float64Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i * speed)),
      { shape: dims },
    ).cast(dtype);
  const x = wave([s.n, s.c, ...s.size], 0.37);
  const w = wave([s.c, 1, ...s.kernel], 0.91);
  const fn = (a: Tensor, b: Tensor) =>
    conv2d(a, b, null, { stride: s.stride, padding: s.padding, dilation: s.dilation, groups: s.c });
  const y = fn(x, w);
  const weights = wave(y.shape, 0.53);
  const [gx, gw] = grad(([a, b]: [Tensor, Tensor]) => fn(a, b).mul(weights).sum())([x, w]);
  return [y, gx, gw].map((t) => Float64Array.from(t.dataSync() as ArrayLike<number>));
}

describe("depthwise convolution on native", { skip: !native && "no native backend here" }, () => {
  for (const dtype of ["f32", "f64"] as const)
    for (const s of shapes)
      it(`${dtype} ${s.n}x${s.c}x${s.size.join("x")}, kernel ${s.kernel.join("x")}, stride ${s.stride}, padding ${s.padding}, dilation ${s.dilation}`, () => {
        try {
          setBackend("reference");
          const expected = results(s, dtype);
          setBackend("native");
          const got = results(s, dtype);
          const limit = dtype === "f32" ? 1e-5 : 1e-13;
          expected.forEach((e, i) => {
            const scale = e.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
            assert.equal(got[i].length, e.length);
            e.forEach((v, k) => {
              assert.ok(Math.abs(v - got[i][k]) <= limit * scale, `result ${i}, value ${k}: ${got[i][k]}, not ${v}`);
            });
          });
        } finally {
          setBackend("auto");
        }
      });
});
