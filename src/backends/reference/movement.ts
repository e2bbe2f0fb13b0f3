import type { TypedArray } from "../../core/dtype.ts";
import { sizeOf, stridesOf } from "../../core/shape.ts";
import type { Spec } from "../../graph/node.ts";
import { accumulator, empty, type Kernels, rounded } from "./kernel.ts";
import { addView, copyView } from "./walk.ts";

/** A dense copy of what `strides` see in `x`. */
function materialize(node: Spec, x: TypedArray, offset: number, strides: readonly number[]): TypedArray {
  const out = empty(node);
  copyView(node.shape, { data: out, offset: 0, strides: stridesOf(node.shape) }, { data: x, offset, strides });
  return out;
}

const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, v, i) => sum + v * b[i], 0);

export const movement = {
  reshape: ({ inputs: [x] }) => x,

  permute({ node, inputs: [x], specs: [{ shape }], attrs: { perm } }) {
    const strides = stridesOf(shape);
    return materialize(
      node,
      x,
      0,
      perm.map((p) => strides[p]),
    );
  },

  broadcast({ node, inputs: [x], specs: [{ shape }] }) {
    const strides = stridesOf(shape).map((s, i) => (shape[i] === node.shape[i] ? s : 0));
    return materialize(node, x, 0, strides);
  },

  slice({ node, inputs: [x], specs: [{ shape }], attrs: { starts, steps } }) {
    const strides = stridesOf(shape);
    return materialize(
      node,
      x,
      dot(starts, strides),
      strides.map((s, i) => s * steps[i]),
    );
  },

  pad({ node, inputs: [x], specs: [{ shape }], attrs: { lo, interior, value } }) {
    const out = empty(node);
    out.fill(value);
    const strides = stridesOf(node.shape);
    copyView(
      shape,
      { data: out, offset: dot(lo, strides), strides: strides.map((s, i) => s * (interior[i] + 1)) },
      { data: x, offset: 0, strides: stridesOf(shape) },
    );
    return out;
  },

  flip({ node, inputs: [x], attrs: { axes } }) {
    const strides = stridesOf(node.shape);
    const offset = axes.reduce((sum, a) => sum + (node.shape[a] - 1) * strides[a], 0);
    return materialize(
      node,
      x,
      offset,
      strides.map((s, i) => (axes.includes(i) ? -s : s)),
    );
  },

  concat({ node, inputs, specs, attrs: { axis } }) {
    const out = empty(node);
    const strides = stridesOf(node.shape);
    let offset = 0;
    inputs.forEach((x, k) => {
      const { shape } = specs[k];
      copyView(shape, { data: out, offset, strides }, { data: x, offset: 0, strides: stridesOf(shape) });
      offset += shape[axis] * strides[axis];
    });
    return out;
  },

  unfold({ node, inputs: [x], specs: [{ shape }], attrs: { axis, stride, dilation } }) {
    return materialize(node, x, 0, windowStrides(shape, axis, stride, dilation));
  },

  fold({ node, inputs: [x], specs: [{ shape }], attrs: { axis, stride, dilation } }) {
    const sums = accumulator(node.dtype, sizeOf(node.shape));
    addView(
      shape,
      { data: sums, offset: 0, strides: windowStrides(node.shape, axis, stride, dilation) },
      { data: x, offset: 0, strides: stridesOf(shape) },
    );
    return rounded(node, sums);
  },
} satisfies Kernels<"reshape" | "permute" | "broadcast" | "slice" | "pad" | "flip" | "concat" | "unfold" | "fold">;

/** Strides of [.., windows, size, ..] in an array of `shape` that has the windows along `axis`. */
function windowStrides(shape: readonly number[], axis: number, stride: number, dilation: number): number[] {
  const strides = stridesOf(shape);
  return [...strides.slice(0, axis), strides[axis] * stride, strides[axis] * dilation, ...strides.slice(axis + 1)];
}
