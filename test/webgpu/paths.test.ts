/** Sizes that take every path of the shaders, on webgpu against the reference. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { backward } from "../../src/autodiff/vjp.ts";
import { Device } from "../../src/backends/webgpu/device.ts";
import type { Shape } from "../../src/core/shape.ts";
import { sizeOf } from "../../src/core/shape.ts";
import type { Node } from "../../src/graph/node.ts";
import { conv2d, softmax, type Tensor, tensor, where } from "../../src/index.ts";
import { Tensor as TensorOf } from "../../src/ops/tensor.ts";
import * as e from "../../src/primitives/elementwise.ts";
import { argsort, scatterAdd } from "../../src/primitives/indexing.ts";
import { constantLike, iota } from "../../src/primitives/leaf.ts";
import { cumsum } from "../../src/primitives/reduce.ts";
import { uniform } from "../support/check-grads.ts";
import { assertConforms } from "../support/conform.ts";
import { leaf } from "../support/evaluate.ts";
import { webgpuUnderTest } from "../support/webgpu.ts";

const backend = await webgpuUnderTest();
const plain = await webgpuUnderTest({ subgroups: false });
const skip = backend === null && "no adapter";

let seed = 0;
const random = (shape: Shape): Node => leaf("f32", shape, uniform(sizeOf(shape), ++seed));
const integers = (dtype: "i32" | "u8", shape: Shape, below: number): Node =>
  leaf(
    dtype,
    shape,
    uniform(sizeOf(shape), ++seed).map((v) => Math.floor(((v + 1) / 2) * below)),
  );

const check = (name: string, outputs: readonly Node[], scale = 1) =>
  test(name, async () => {
    if (backend) await assertConforms(backend, [{ name, outputs, scale }]);
  });

/** Reductions by subgroups where the device has them, and without. */
const checkBoth = (name: string, outputs: readonly Node[]) => {
  check(name, outputs);
  test(`${name}, without subgroups`, async () => {
    assert.equal(plain?.device.workgroups.subgroups, null);
    await assertConforms(plain, [{ name, outputs }]);
  });
};

describe("paths of the webgpu backend", { skip }, () => {
  for (const [m, k, n] of [
    [1, 5, 3],
    [2, 300, 9],
    [5, 1100, 4],
    [33, 17, 65],
    [12, 40, 70],
    [70, 40, 12],
    [20, 1100, 24], // a sum in parts
    [370, 5, 360], // large tiles
  ])
    for (const [left, right] of [
      ["mk", "kn"],
      ["km", "nk"],
    ])
      check(`product ${m} x ${k} x ${n}, ${left} ${right}`, [
        new TensorOf(random(left === "mk" ? [m, k] : [k, m]))
          .permute(left === "mk" ? [0, 1] : [1, 0])
          .matmul(new TensorOf(random(right === "kn" ? [k, n] : [n, k])).permute(right === "kn" ? [0, 1] : [1, 0]))
          .node,
      ]);
  check("products of batches, one of them broadcast", [
    new TensorOf(random([2, 3, 9, 10])).matmul(new TensorOf(random([3, 10, 11]))).node,
  ]);

  for (const { x, w, ...options } of [
    { x: [2, 8, 9, 11], w: [16, 8, 3, 3], padding: 1 },
    { x: [2, 8, 9, 11], w: [16, 8, 3, 3], padding: 2, dilation: 2, stride: 2 },
    { x: [2, 24, 7, 7], w: [36, 12, 1, 1], groups: 2 },
    { x: [3, 16, 12, 12], w: [16, 1, 3, 3], padding: 1, groups: 16, stride: 2 },
    { x: [4, 3, 40, 40], w: [9, 3, 7, 7], padding: 3, stride: 2 },
  ] as { x: Shape; w: Shape; padding?: number; dilation?: number; stride?: number; groups?: number }[]) {
    const [a, b] = [random(x), random(w)];
    const y = conv2d(new TensorOf(a), new TensorOf(b), null, options).node;
    const grads = backward([y], [random(y.shape)], [a, b]) as Node[];
    check(`convolution of ${x} by ${w}, ${JSON.stringify(options)}`, [y, ...grads]);
  }

  for (const shape of [
    [1100, 2],
    [2, 2100],
    [2, 700, 2],
  ] as Shape[]) {
    const x = random(shape);
    const axis = shape.length === 1 ? 0 : 1;
    check(`sort of ${shape}`, [
      argsort(x, { axis, descending: false, limit: shape[axis] }),
      argsort(x, { axis: 0, descending: true, limit: Math.min(7, shape[0]) }),
      argsort(integers("u8", shape, 9), { axis, descending: true, limit: shape[axis] }),
    ]);
    check(`cumulative sum of ${shape}`, [
      cumsum(x, { axis, reverse: false, exclusive: false }),
      cumsum(x, { axis, reverse: true, exclusive: true }),
      cumsum(integers("u8", shape, 99), { axis: 0, reverse: false, exclusive: true }),
    ]);
  }

  const tokens = integers("i32", [1500, 1], 90);
  check("scatter by a sorted index that is the same for all columns", [
    scatterAdd(new TensorOf(tokens).broadcastTo([1500, 40]).node, random([1500, 40]), { axis: 0, length: 80 }),
  ]);
  check("scatter by a sorted index of its own for every lane", [
    scatterAdd(integers("i32", [2, 700, 9], 130), random([2, 700, 9]), { axis: 1, length: 120 }),
  ]);

  for (const shape of [[100000], [3, 20000], [20000, 3], [300, 40], [40, 300], [300, 5, 6]] as Shape[])
    for (const axes of [undefined, 0, shape.length - 1]) {
      const x: Tensor = new TensorOf(random(shape));
      checkBoth(`reductions of ${shape} over ${axes ?? "all"}`, [
        x.max(axes).node,
        x.argmin(axes).node,
        x
          .sub(x.mean(axes, { keepDims: true }))
          .square()
          .mean(axes)
          .sqrt().node,
      ]);
    }
  const rowsOf = (length: number): Node[] => {
    const [x, bytes] = [new TensorOf(random([3, length])), new TensorOf(integers("u8", [300, length], 255))];
    const gaps = where(x.gt(0.9), tensor(Number.NaN), x);
    return [
      ...[x.sum(1), x.mul(0.1).add(1).prod(1), x.max(1), x.min(1), x.argmax(1), softmax(x, 1)],
      ...[gaps.max(1), gaps.min(1), gaps.argmax(1), gaps.argmin(1)],
      ...[bytes.sum(1), bytes.max(1), bytes.min(1), bytes.argmin(1)],
    ].map((t) => t.node);
  };
  for (const length of [2, 6, 17, 40, 100, 700, 5000]) checkBoth(`reductions of rows of ${length}`, rowsOf(length));

  test("reductions of rows where subgroups turn out not to be full", async (t) => {
    const partial = await webgpuUnderTest();
    if (!partial?.device.workgroups.subgroups) return t.skip("the device has no subgroups");
    const { device } = partial;
    const full = /subgroups \* size == \d+u/;
    let shaders = 0;
    device.pipeline = (text, ...rest) => {
      if (full.test(text)) shaders++;
      return Device.prototype.pipeline.call(device, text.replace(full, "subgroups == 0u"), ...rest);
    };
    await assertConforms(partial, [{ name: "rows", outputs: [...rowsOf(40), ...rowsOf(700)] }]);
    assert.ok(shaders > 0);
  });
  check("more workgroups than fit along one axis", [new TensorOf(iota([65_536 * 256 + 3], 0)).mul(2).node]);

  test("a kernel of more buffers than a shader can bind", async () => {
    const nodes = Array.from({ length: 30 }, () => random([500]));
    const sum = nodes.reduce((a, b) => e.add(e.mul(a, constantLike(a, 0.9)), b));
    if (backend) await assertConforms(backend, [{ name: "sum", outputs: [sum] }]);
  });
});
