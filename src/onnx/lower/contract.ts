import { filledArray } from "../../core/dtype.ts";
import type { Node } from "../../graph/node.ts";
import { type AttentionAttrs, attentionSizes } from "../../primitives/attention.ts";
import type { ConvAttrs, ConvInputGradAttrs } from "../../primitives/contract.ts";
import type { SliceAttrs } from "../../primitives/movement.ts";
import { type Lowering, type Site, type Value, whole } from "./site.ts";

function dot({ node, writer, emitter, input }: Site): Value {
  // Batch axes broadcast, those of the matrices do not.
  const operands = node.inputs.map((x, i) => {
    const value = input(i);
    const isWhole = !value.scalar && value.shape.slice(-2).every((d, k) => d === x.shape.slice(-2)[k]);
    return isWhole ? value : whole(emitter.full(x), x);
  });
  const shape = node.shape.map((d, i) =>
    i >= node.shape.length - 2 || operands.some((value) => value.shape[i] === d) ? d : 1,
  );
  const names = operands.map(({ name }) => name);
  return { name: writer.node("MatMul", names), shape, scalar: false };
}

const geometry = ({ stride, padding, dilation, groups }: ConvAttrs) => ({
  strides: stride,
  pads: [...padding.map(([low]) => low), ...padding.map(([, high]) => high)],
  dilations: dilation,
  group: groups,
});

function conv(site: Site<ConvAttrs>): Value {
  const { node, writer, emitter } = site;
  const [x, w] = node.inputs;
  const attributes = { ...geometry(site.attrs), kernel_shape: w.shape.slice(2) };
  return whole(writer.node("Conv", [emitter.full(x), emitter.full(w)], attributes), node);
}

/** The gradient of a convolution by its input is a transposed convolution. */
function convInputGrad(site: Site<ConvInputGradAttrs>): Value {
  const { node, writer, emitter } = site;
  const [y, w] = node.inputs;
  const { stride, padding, dilation, spatial } = emitter.fixed(site, (attrs) => attrs);
  const kernel = w.shape.slice(2);
  const least = kernel.map(
    (k, i) => (y.shape[i + 2] - 1) * stride[i] + (k - 1) * dilation[i] + 1 - padding[i][0] - padding[i][1],
  );
  const output_padding = spatial.map((d, i) => d - least[i]);
  const attributes = { ...geometry(site.attrs), kernel_shape: kernel, output_padding };
  return whole(writer.node("ConvTranspose", [emitter.full(y), emitter.full(w)], attributes), node);
}

/** Attention as products and a softmax: the first part of the primitive's result, flat. What follows it, the sums of
 *  exponentials, only a gradient reads; `isAttentionOutput` tells a slice of the first part. */
function attention({ node, attrs: { scale, causal }, writer, emitter }: Site<AttentionAttrs>): Value {
  const [q, k, v, mask] = node.inputs;
  const { tq, tk } = attentionSizes("exportOnnx", node.inputs);
  const { dtype } = q;
  const number = (value: number) => writer.constant({ dtype, shape: [], data: filledArray(1, dtype, value) });
  const rank = q.shape.length;
  const perm = q.shape.map((_, i) => (i === rank - 1 ? rank - 2 : i === rank - 2 ? rank - 1 : i));
  const transposed = writer.node("Transpose", [emitter.full(k)], { perm });
  let scores = writer.node("MatMul", [writer.node("Mul", [emitter.full(q), number(scale)]), transposed]);
  const seen: string[] = [];
  if (causal) {
    const data = Uint8Array.from({ length: tq * tk }, (_, i) => Number(i % tk <= Math.floor(i / tk)));
    seen.push(writer.constant({ dtype: "bool", shape: [tq, tk], data }));
  }
  if (mask?.dtype === "bool") seen.push(emitter.full(mask));
  else if (mask) scores = writer.node("Add", [scores, emitter.full(mask)]);
  const hidden = number(Number.NEGATIVE_INFINITY);
  const visible = seen.length > 1 ? writer.node("And", seen) : seen[0];
  if (visible) scores = writer.node("Where", [visible, scores, hidden]);
  let weights = writer.node("Softmax", [scores], { axis: -1 });
  // A query that sees no key gives 0, where the softmax is 0 / 0.
  if (mask) weights = writer.node("Where", [writer.node("IsNaN", [weights]), number(0), weights]);
  const out = writer.node("MatMul", [weights, emitter.full(v)]);
  return whole(writer.node("Reshape", [out, writer.integers([-1])]), node);
}

/** The attention whose result a node is, unchanged. */
export function attentionBehind(node: Node): Node | null {
  if (node.prim.name === "stopGradient") return attentionBehind(node.inputs[0]);
  return node.prim.name === "attention" ? node : null;
}

/** Whether a slice takes the first part of the result of `attention`, which is all that `attention` writes. */
export function isAttentionOutput({ prim, attrs, inputs: [x] }: Node): boolean {
  const behind = prim.name === "slice" ? attentionBehind(x) : null;
  if (!behind) return false;
  const { starts, sizes } = attrs as SliceAttrs;
  return starts[0] === 0 && sizes[0] === attentionSizes("exportOnnx", behind.inputs).outputs;
}

export const contractions = { dot, conv, convInputGrad, attention } satisfies Record<string, Lowering<never>>;
