import { filledArray } from "../../core/dtype.ts";
import type { Node } from "../../graph/node.ts";
import { ManabiError } from "../../index.ts";
import type { AxesAttrs, ShapeAttrs } from "../../primitives/broadcast.ts";
import type { ScatterAttrs, SortAttrs } from "../../primitives/indexing.ts";
import type { AxisAttrs, PadAttrs, PermuteAttrs, SliceAttrs, WindowAttrs } from "../../primitives/movement.ts";
import { onnxDTypes } from "../tensor-proto.ts";
import { type Lowering, type Site, type Value, whole } from "./site.ts";

/** "To the end" of an axis. */
const end = 2 ** 31 - 1;

/** Reshapes a value to the shape of a node, whose one size that may vary, if any, follows from the others. */
export function reshaped({ writer, emitter }: Site, name: string, node: Node): string {
  const wanted = emitter.extents(node);
  const open = wanted.filter((extent) => "times" in extent).length;
  const shape =
    open === 1 && node.shape.every((d) => d > 0)
      ? writer.integers(wanted.map((extent) => ("fixed" in extent ? extent.fixed : -1)))
      : emitter.sizes(wanted);
  return writer.node("Reshape", [name, shape]);
}

function reshape(site: Site<ShapeAttrs>): Value {
  const { node, emitter } = site;
  const x = site.input(0);
  if (x.scalar) return { ...x, shape: node.shape.map(() => 1) };
  return whole(reshaped(site, emitter.full(node.inputs[0]), node), node);
}

/** Nothing is written: whoever needs all elements repeats them. */
const broadcast = ({ input }: Site): Value => input(0);

function permute({ attrs: { perm }, writer, input }: Site<PermuteAttrs>): Value {
  const x = input(0);
  const shape = perm.map((p) => x.shape[p]);
  return x.scalar ? { ...x, shape } : { name: writer.node("Transpose", [x.name], { perm }), shape, scalar: false };
}

function slice(site: Site<SliceAttrs>): Value {
  const { node, attrs, writer, emitter } = site;
  const { starts, steps, sizes } = attrs;
  const [x] = node.inputs;
  const before = emitter.extents(x);
  const axes = starts.flatMap((_, i) => (sizes[i] === x.shape[i] ? [] : [i]));
  for (const axis of axes)
    if ("times" in before[axis])
      throw new ManabiError(`exportOnnx: a slice along the axis "${emitter.pair.symbol}"; give a number in its place`);
  emitter.fixed(site, () => axes.map((i) => [starts[i], sizes[i], steps[i]]));
  const ends = axes.map((i) => starts[i] + (sizes[i] - 1) * steps[i] + 1);
  const operands = [axes.map((i) => starts[i]), ends, axes, axes.map((i) => steps[i])];
  const name = writer.node("Slice", [emitter.full(x), ...operands.map((list) => writer.integers(list))]);
  return whole(name, node);
}

function pad(site: Site<PadAttrs>): Value {
  const { node, writer, emitter } = site;
  const { lo, hi, interior, value } = emitter.fixed(site, (attrs) => ({ ...attrs, value: String(attrs.value) }));
  if (interior.some((n) => n > 0)) throw new ManabiError("exportOnnx: zeros between elements are not supported");
  const { dtype } = node;
  // ONNX pads numbers; bool goes by way of i32.
  const type = dtype === "bool" ? "i32" : dtype;
  const x = emitter.full(node.inputs[0]);
  const from = dtype === "bool" ? writer.node("Cast", [x], { to: onnxDTypes.i32 }) : x;
  const filler = writer.constant({ dtype: type, shape: [], data: filledArray(1, type, Number(value)) });
  const padded = writer.node("Pad", [from, writer.integers([...lo, ...hi]), filler]);
  return whole(dtype === "bool" ? writer.node("Cast", [padded], { to: onnxDTypes.bool }) : padded, node);
}

function flip({ node, attrs: { axes }, writer, emitter }: Site<AxesAttrs>): Value {
  const all = [axes.map(() => end), axes.map(() => -end), axes, axes.map(() => -1)];
  const operands = all.map((list) => writer.integers(list));
  return whole(writer.node("Slice", [emitter.full(node.inputs[0]), ...operands]), node);
}

function concat({ node, attrs: { axis }, writer, emitter }: Site<AxisAttrs>): Value {
  return whole(
    writer.node(
      "Concat",
      node.inputs.map((x) => emitter.full(x)),
      { axis },
    ),
    node,
  );
}

/** Windows as a gathering of their positions; pooling writes no windows (see reduce.ts). */
function unfold(site: Site<WindowAttrs>): Value {
  const { node, writer, emitter } = site;
  const { axis, size, stride, dilation } = site.attrs;
  const windows = emitter.fixed(site, () => node.shape[axis]);
  const data = Int32Array.from(
    { length: windows * size },
    (_, i) => Math.floor(i / size) * stride + (i % size) * dilation,
  );
  const positions = writer.constant({ dtype: "i32", shape: [windows, size], data });
  return whole(writer.node("Gather", [emitter.full(node.inputs[0]), positions], { axis }), node);
}

function gather({ node, attrs: { axis }, writer, emitter, input }: Site<AxisAttrs>): Value {
  const x = emitter.full(node.inputs[0]);
  const index = input(1);
  const rest = index.shape.every((d, i) => i === axis || d === 1);
  // The same positions everywhere: whole slices are taken.
  if (rest && !index.scalar && index.shape[axis] === node.shape[axis]) {
    const flat = writer.node("Reshape", [index.name, writer.integers([-1])]);
    return whole(writer.node("Gather", [x, flat], { axis }), node);
  }
  return whole(writer.node("GatherElements", [x, emitter.full(node.inputs[1])], { axis }), node);
}

function scatterAdd({ node, attrs: { axis }, writer, emitter }: Site<ScatterAttrs>): Value {
  const { dtype } = node;
  const zero = writer.constant({ dtype, shape: [], data: filledArray(1, dtype, 0) });
  const zeros = writer.node("Expand", [zero, emitter.sizes(emitter.extents(node))]);
  const [index, update] = node.inputs.map((x) => emitter.full(x));
  return whole(writer.node("ScatterElements", [zeros, index, update], { axis, reduction: "add" }), node);
}

function argsort(site: Site<SortAttrs>): Value {
  const { node, writer, emitter } = site;
  const { axis, descending, limit } = emitter.fixed(site, (attrs) => attrs);
  const inputs = [emitter.full(node.inputs[0]), writer.integers([limit])];
  const positions = writer.node("TopK", inputs, { axis, largest: Number(descending), sorted: 1 }, 1);
  return whole(writer.node("Cast", [positions], { to: onnxDTypes.i32 }), node);
}

export const movement = {
  reshape,
  broadcast,
  permute,
  slice,
  pad,
  flip,
  concat,
  unfold,
  gather,
  scatterAdd,
  argsort,
} satisfies Record<string, Lowering<never>>;
