import { filledArray } from "../../core/dtype.ts";
import type { Node } from "../../graph/node.ts";
import { ManabiError } from "../../index.ts";
import type { AxesAttrs } from "../../primitives/broadcast.ts";
import { type PadAttrs, padPrim, unfoldPrim, type WindowAttrs } from "../../primitives/movement.ts";
import type { CumsumAttrs } from "../../primitives/reduce.ts";
import { onnxDTypes } from "../tensor-proto.ts";
import { type Lowering, type Site, type Value, whole } from "./site.ts";

const reduction =
  (opType: string): Lowering<AxesAttrs> =>
  ({ node, attrs: { axes }, writer, emitter }) => {
    const x = emitter.full(node.inputs[0]);
    const reduce = (name: string) => writer.node(opType, [name, writer.integers(axes)], { keepdims: 0 });
    if (node.dtype !== "bool") return whole(reduce(x), node);
    const number = writer.node("Cast", [x], { to: onnxDTypes.i32 });
    return whole(writer.node("Cast", [reduce(number)], { to: onnxDTypes.bool }), node);
  };

/** The input of a reduction with the reduced axes joined into a last one. */
function joinedLast({ node, attrs: { axes }, writer, emitter }: Site<AxesAttrs>): string {
  const [x] = node.inputs;
  const kept = x.shape.flatMap((_, i) => (axes.includes(i) ? [] : [i]));
  const moved = writer.node("Transpose", [emitter.full(x)], { perm: [...kept, ...axes] });
  const all = emitter.extents(x);
  const sizes = axes.map((i) => all[i]);
  if (!sizes.every((extent) => "fixed" in extent))
    throw new ManabiError("exportOnnx: a position over the axis that may vary, among others, is not supported");
  const count = sizes.reduce((n, { fixed }) => n * fixed, 1);
  return writer.node("Reshape", [moved, emitter.sizes([...kept.map((i) => all[i]), { fixed: count }])]);
}

const position =
  (opType: string): Lowering<AxesAttrs> =>
  (site) => {
    const { node, attrs, writer, emitter } = site;
    const [axis, x] = attrs.axes.length > 1 ? [-1, joinedLast(site)] : [attrs.axes[0], emitter.full(node.inputs[0])];
    // Positions are those of numbers: bool goes by way of i32.
    const numbers = node.inputs[0].dtype === "bool" ? writer.node("Cast", [x], { to: onnxDTypes.i32 }) : x;
    const found = writer.node(opType, [numbers], { axis, keepdims: 0 });
    return whole(writer.node("Cast", [found], { to: onnxDTypes.i32 }), node);
  };

/** Sliding windows over the spatial axes of x [n, c, s..]. */
interface Pooling {
  readonly x: Node;
  readonly attributes: Readonly<Record<string, readonly number[]>>;
  readonly size: number;
  readonly dilated: boolean;
}

/** The pooling that a reduction over windows is, if it is one: `axes` of unfolded spatial axes, all of them, of
 *  something that may be padded by `filler`. */
function poolingOf(windows: Node, axes: readonly number[], filler: number): Pooling | null {
  const kernels: WindowAttrs[] = [];
  let x = windows;
  while (x.prim.name === unfoldPrim.name) {
    kernels.unshift(x.attrs as WindowAttrs);
    [x] = x.inputs;
  }
  const spatial = x.shape.length - 2;
  const covers =
    spatial > 0 &&
    kernels.length === spatial &&
    axes.length === spatial &&
    kernels.every(({ axis }, i) => axis === 2 + 2 * i && axes[i] === axis + 1);
  if (!covers) return null;
  let pads = { lo: x.shape.map(() => 0), hi: x.shape.map(() => 0) } as Pick<PadAttrs, "lo" | "hi">;
  if (x.prim.name === padPrim.name) {
    const { lo, hi, interior, value } = x.attrs as PadAttrs;
    const within = [...lo.slice(2), ...hi.slice(2)].every((p, i) => p < kernels[i % spatial].size);
    const plain = [...lo.slice(0, 2), ...hi.slice(0, 2), ...interior].every((p) => p === 0);
    if (value === filler && within && plain) {
      pads = { lo, hi };
      [x] = x.inputs;
    }
  }
  const each = (pick: (w: WindowAttrs) => number) => kernels.map(pick);
  return {
    x,
    attributes: {
      kernel_shape: each(({ size }) => size),
      strides: each(({ stride }) => stride),
      dilations: each(({ dilation }) => dilation),
      pads: [...pads.lo.slice(2), ...pads.hi.slice(2)],
    },
    size: each(({ size }) => size).reduce((a, b) => a * b, 1),
    dilated: each(({ dilation }) => dilation).some((d) => d !== 1),
  };
}

function max(site: Site<AxesAttrs>): Value {
  const { node, attrs, writer, emitter } = site;
  const pooling = poolingOf(node.inputs[0], attrs.axes, Number.NEGATIVE_INFINITY);
  if (!pooling || node.dtype !== "f32") return reduction("ReduceMax")(site);
  return whole(writer.node("MaxPool", [emitter.full(pooling.x)], pooling.attributes), node);
}

function sum(site: Site<AxesAttrs>): Value {
  const { node, attrs, writer, emitter } = site;
  const pooling = poolingOf(node.inputs[0], attrs.axes, 0);
  if (!pooling || pooling.dilated || node.dtype !== "f32") return reduction("ReduceSum")(site);
  const { dilations: _, ...attributes } = pooling.attributes;
  const mean = writer.node("AveragePool", [emitter.full(pooling.x)], { ...attributes, count_include_pad: 1 });
  const size = writer.constant({ dtype: "f32", shape: [], data: filledArray(1, "f32", pooling.size) });
  return whole(writer.node("Mul", [mean, size]), node);
}

function cumsum({ node, attrs: { axis, reverse, exclusive }, writer, emitter }: Site<CumsumAttrs>): Value {
  const inputs = [emitter.full(node.inputs[0]), writer.node("Squeeze", [writer.integers([axis])])];
  return whole(writer.node("CumSum", inputs, { reverse: Number(reverse), exclusive: Number(exclusive) }), node);
}

export const reductions = {
  sum,
  prod: reduction("ReduceProd"),
  max,
  min: reduction("ReduceMin"),
  argmax: position("ArgMax"),
  argmin: position("ArgMin"),
  cumsum,
} satisfies Record<string, Lowering<never>>;
