import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { backendStatus, jit, setBackend, setProcessor, setThreads, type Tensor, variable } from "../../src/index.ts";
import {
  assertClose,
  type ConvCase,
  convolve,
  convResults,
  describeConv,
  expectedResults,
  noise,
} from "../support/convolution.ts";

const native = backendStatus().some((b) => b.name === "native" && b.works);

/** Every way a gather is computed, with edges: the native run time chooses by the shape. */
const cases: readonly ConvCase[] = [
  { x: [1, 24, 7, 7], w: [40, 24, 3, 3], padding: 1 }, // 49 positions: channels in the lanes
  { x: [2, 120, 7, 7], w: [70, 120, 3, 3], padding: 1 }, // a last panel of few channels; several slices of the depth
  { x: [1, 90, 14, 14], w: [33, 90, 1, 1] }, // read where it lies
  { x: [3, 48, 15, 13], w: [64, 48, 1, 1], stride: 2 }, // the same at a stride
  { x: [2, 48, 13, 9], w: [40, 48, 3, 3], stride: 2, padding: 1 }, // four phases
  { x: [1, 64, 9, 10], w: [64, 32, 3, 3], padding: 2, dilation: 2, groups: 2 },
  { x: [1, 64, 30, 30], w: [32, 64, 3, 3], padding: 1 }, // more positions than are summed at a time
  { x: [1, 40, 3, 6, 7], w: [32, 40, 3, 3, 3], padding: 1 },
  { x: [1, 128, 3, 4], w: [48, 128, 3, 3], padding: 1 }, // fewer positions than lanes
  { x: [1, 64, 4, 4], w: [64, 64, 3, 3], padding: [3, 0] },
  { x: [9, 96, 7, 7], w: [32, 96, 1, 1] }, // images together
  { x: [2, 16, 20, 32], w: [20, 16, 3, 3], padding: 1 }, // whole vectors along rows
  { x: [2, 16, 20, 27], w: [20, 16, 3, 3], padding: 1, stride: 3 },
];

describe("convolution on native", { skip: !native && "no native backend here" }, () => {
  const processors = process.arch === "x64" ? ["native", "x86-64-v3", "x86-64-v2"] : ["native"];
  after(() => {
    setProcessor("native");
    setBackend("auto");
  });
  for (const c of cases)
    it(describeConv(c), () => {
      for (const dtype of ["f32", "f64"] as const) {
        const expected = expectedResults(c, dtype);
        for (const processor of processors) {
          setProcessor(processor);
          setBackend("native");
          assertClose(convResults(c, dtype), expected, dtype === "f32" ? 1e-5 : 1e-13);
        }
      }
    });

  it("gives the same bits whatever the number of threads, also with weights packed under another", () => {
    setProcessor("native");
    setBackend("native");
    try {
      for (const c of cases) {
        const [x, w] = [noise(c.x, 1, "f32"), variable(noise(c.w, 2, "f32"))];
        const step = jit((a: Tensor) => convolve(c, a, w).abs());
        const [first, ...others] = [1, 2, 5].map((threads) => {
          setThreads(threads);
          return step(x).dataSync();
        });
        for (const other of others) assert.deepEqual(other, first, describeConv(c));
      }
    } finally {
      setThreads(0);
    }
  });
});
