import { describe, it } from "node:test";
import { backendStatus, setBackend } from "../../src/index.ts";
import { assertClose, type ConvCase, convResults, describeConv, expectedResults } from "../support/convolution.ts";

const native = backendStatus().some((b) => b.name === "native" && b.works);

const shape = (
  n: number,
  c: number,
  size: readonly [number, number],
  kernel: readonly [number, number],
  stride = 1,
  padding: readonly [number, number] = [kernel[0] >> 1, kernel[1] >> 1],
  dilation = 1,
): ConvCase => ({ x: [n, c, ...size], w: [c, 1, ...kernel], stride, padding, dilation, groups: c });

const shapes: readonly ConvCase[] = [
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

describe("depthwise convolution on native", { skip: !native && "no native backend here" }, () => {
  for (const dtype of ["f32", "f64"] as const)
    for (const s of shapes)
      it(`${dtype} ${describeConv(s)}`, () => {
        const expected = expectedResults(s, dtype);
        setBackend("native");
        try {
          assertClose(convResults(s, dtype), expected, dtype === "f32" ? 1e-5 : 1e-13);
        } finally {
          setBackend("auto");
        }
      });
});
