/** 16-bit floats on webgpu: stores of pairs and of single halves of a word, on either side of each other. */
import { describe, test } from "node:test";
import { backward } from "../../src/autodiff/vjp.ts";
import type { HalfDType } from "../../src/core/dtype.ts";
import { type Shape, sizeOf } from "../../src/core/shape.ts";
import type { Node } from "../../src/graph/node.ts";
import * as m from "../../src/index.ts";
import { sum } from "../../src/primitives/broadcast.ts";
import { constantLike } from "../../src/primitives/leaf.ts";
import { concat } from "../../src/primitives/movement.ts";
import { uniform } from "../support/check-grads.ts";
import { assertConforms } from "../support/conform.ts";
import { leaf } from "../support/evaluate.ts";
import { webgpuUnderTest } from "../support/webgpu.ts";

const backend = await webgpuUnderTest();
const skip = backend === null && "no adapter";

let seed = 40;
const random = (dtype: HalfDType, ...shape: Shape): Node => leaf(dtype, shape, uniform(sizeOf(shape), ++seed));
const tensorOf = (node: Node): m.Tensor => new m.Tensor(node);

const forms: Readonly<Record<string, (x: (...shape: number[]) => Node) => Node | readonly Node[]>> = {
  "an even number of elements": (x) => tensorOf(x(300, 4)).tanh().node,
  "an odd number of elements": (x) => tensorOf(x(7, 99)).tanh().mul(3).node,
  "one element": (x) => tensorOf(x(1)).exp().node,
  "even rows and a vector": (x) => tensorOf(x(9, 34)).add(tensorOf(x(34))).node,
  "odd rows and a vector": (x) => tensorOf(x(9, 33)).add(tensorOf(x(33))).node,
  "parts that begin within a word": (x) => concat([x(3, 5), x(3, 2), x(3, 7)], 1),
  "parts that begin with a word": (x) => concat([x(3, 4), x(3, 6)], 1),
  "transposed, even": (x) => tensorOf(x(6, 40)).permute([1, 0]).mul(2).node,
  "transposed, odd": (x) => tensorOf(x(5, 41)).permute([1, 0]).mul(2).node,
  "softmax of even rows": (x) => m.softmax(tensorOf(x(40, 100)), -1).node,
  "softmax of odd rows": (x) => m.softmax(tensorOf(x(40, 101)), -1).node,
  "softmax of long rows": (x) => m.softmax(tensorOf(x(3, 4096)), -1).node,
  "layer norm": (x) => m.layerNorm(tensorOf(x(13, 96)), [96], { weight: tensorOf(x(96)) }).node,
  "sums of rows": (x) => sum(x(37, 130), [1]),
  "sums of columns": (x) => sum(x(100, 75), [0]),
  "a sum in parts": (x) => sum(x(3, 1 << 14), [1]),
  "products, greatest and least": (x) => {
    const t = tensorOf(x(11, 24));
    return [t.add(1).prod(1), t.max(1), t.min(0), t.argmax(1), t.argmin(0)].map(({ node }) => node);
  },
  "cumulative sum, order and scatter": (x) => {
    const t = tensorOf(x(5, 31));
    return [
      t.cumsum(1),
      t.argsort(1),
      m.tensor(0).cast(t.dtype).broadcastTo([5, 9]).scatterAdd(1, t.argsort(1).mod(9), t),
    ].map(({ node }) => node);
  },
  "casts to and from other dtypes": (x) => {
    const t = tensorOf(x(77)).mul(300);
    return (["f32", "i32", "u8", "bool", "f16", "bf16"] as const).flatMap((to) => {
      const there = t.cast(to);
      return [there.node, there.cast(t.dtype).node];
    });
  },
  iota: (x) => m.arange(4000).cast(x(1).dtype).node,
  "products of matrices, with gradients": (x) => {
    const [a, b] = [x(40, 30), x(30, 33)];
    const out = tensorOf(a).matmul(tensorOf(b)).node;
    return [out, ...backward([out], [constantLike(out, 1)], [a, b]).flatMap((g) => g ?? [])];
  },
  "a convolution with gradients": (x) => {
    const [a, w] = [x(2, 6, 9, 9), x(5, 6, 3, 3)];
    const out = m.conv2d(tensorOf(a), tensorOf(w), null, { padding: 1 }).node;
    return [out, ...backward([out], [constantLike(out, 1)], [a, w]).flatMap((g) => g ?? [])];
  },
  "steps of odd size through a loop": (x) => {
    const [[last], [steps]] = m.scan(
      ([h], [s]) => {
        const next = h.mul(0.5).add(s);
        return [[next], [next.mul(2)]];
      },
      [tensorOf(x(5))],
      [tensorOf(x(6, 5))],
    );
    return [last.node, steps.node];
  },
};

describe("16-bit floats on webgpu", { skip }, () => {
  for (const dtype of ["f16", "bf16"] as const)
    for (const [name, form] of Object.entries(forms))
      test(`${name}, ${dtype}`, async () => {
        const made = form((...shape) => random(dtype, ...shape));
        const outputs = "prim" in made ? [made] : made;
        if (backend) await assertConforms(backend, [{ name, outputs, scale: 1 }]);
      });
});
