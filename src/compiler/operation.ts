import type { DType } from "../core/dtype.ts";
import { ManabiError } from "../core/errors.ts";
import type { Node } from "../graph/node.ts";
import type { PrecisionAttrs } from "../graph/precision.ts";
import { type AttentionAttrs, attentionSizes } from "../primitives/attention.ts";
import type { ConvAttrs } from "../primitives/contract.ts";
import type { PrimitiveName } from "../primitives/index.ts";
import type { ScatterAttrs, SortAttrs } from "../primitives/indexing.ts";
import type { CumsumAttrs } from "../primitives/reduce.ts";
import { type Access, around, aroundIndex, denseBase, viewChain, viewStrides } from "./access.ts";
import type { Buffer, OpInstruction } from "./instruction.ts";

/** How an instruction that takes strides reads input `i`: a view of a buffer if that is linear, else a buffer of its own. */
function strided(node: Node, i: number): { from: Node; access: Access } {
  const x = node.inputs[i];
  const { axis } = node.attrs as Partial<ScatterAttrs>;
  const read = (from: Node): Access | null =>
    axis === undefined
      ? viewStrides(x, from, x.shape, (loops) => [...loops])
      : viewStrides(x, from, around(x.shape, axis), aroundIndex(x.shape, axis));
  // The value furthest back of which this is a linear view: others may read that too.
  for (const from of viewChain(x).reverse()) {
    const access = read(from);
    if (access) return { from, access };
  }
  throw new ManabiError(`compiler: ${node.prim.name} cannot read its input`);
}

function takesStrides({ prim: { name }, inputs }: Node, i: number): boolean {
  if (name === "dot" || name === "attention") return true;
  // All but the saved result.
  if (name === "attentionGrad") return i !== inputs.length - 2;
  return name === "scatterAdd" && i === 0;
}

/** The nodes that must have a buffer for an instruction to run. */
export const operands = (node: Node): Node[] =>
  node.inputs.map((x, i) => (takesStrides(node, i) ? strided(node, i).from : denseBase(x)));

/** bool is stored as u8. */
const stored = (dtype: DType): DType => (dtype === "bool" ? "u8" : dtype);

/** The name of a product's operation: what it computes in, and how precisely if that is not as precisely as possible. */
function product(name: string, dtype: DType, { attrs }: Node): string {
  const { precision } = attrs as PrecisionAttrs;
  return dtype === "f32" && precision ? `${name}_f32_${precision}` : `${name}_${dtype}`;
}

/** The instruction that computes a node by a built-in of the run time. */
export function operation(node: Node, target: Buffer, bufferOf: (node: Node) => Buffer): OpInstruction {
  const { dtype } = target;
  const [x, y] = node.inputs;
  const dense = (name: string, params: readonly number[]): OpInstruction => ({
    kind: "op",
    name,
    buffers: [...node.inputs.map(bufferOf), target],
    offsets: [...node.inputs.map(() => 0), 0],
    params,
  });
  switch (node.prim.name as PrimitiveName) {
    case "dot": {
      const [a, b] = [strided(node, 0), strided(node, 1)];
      const [m, n] = node.shape.slice(-2);
      const batch = node.shape.slice(0, -2);
      const [sa, sb] = [a.access.strides, b.access.strides];
      const batches = batch.flatMap((size, i) => [size, sa[i], sb[i]]);
      return {
        kind: "op",
        name: product("gemm", dtype, node),
        buffers: [bufferOf(a.from), bufferOf(b.from), target],
        offsets: [a.access.offset, b.access.offset, 0],
        params: [m, n, x.shape[x.shape.length - 1], ...sa.slice(-2), ...sb.slice(-2), batch.length, ...batches],
      };
    }
    case "conv":
      return dense(product("conv", dtype, node), geometry(node, x, y, node));
    case "convInputGrad":
      return dense(product("conv_input_grad", dtype, node), geometry(node, node, y, x));
    case "convWeightGrad":
      return dense(product("conv_weight_grad", dtype, node), geometry(node, x, node, y));
    case "attention":
      return attention(node, node.inputs, [], target, bufferOf);
    case "attentionGrad":
      return attention(node, node.inputs.slice(0, -2), node.inputs.slice(-2), target, bufferOf);
    case "cumsum": {
      const { axis, reverse, exclusive } = node.attrs as CumsumAttrs;
      return dense(`cumsum_${dtype}`, [...around(x.shape, axis), Number(reverse), Number(exclusive)]);
    }
    case "argsort": {
      const { axis, limit, descending } = node.attrs as SortAttrs;
      return dense(`argsort_${stored(x.dtype)}`, [...around(x.shape, axis), limit, Number(descending)]);
    }
    case "scatterAdd": {
      const { axis, length } = node.attrs as ScatterAttrs;
      const [outer, n, inner] = around(x.shape, axis);
      const index = strided(node, 0);
      return {
        kind: "op",
        name: `scatter_add_${stored(dtype)}`,
        buffers: [bufferOf(index.from), bufferOf(y), target],
        offsets: [index.access.offset, 0, 0],
        params: [outer, n, length, inner, ...index.access.strides],
      };
    }
    default:
      throw new ManabiError(`compiler: ${node.prim.name} is no instruction`);
  }
}

/** Sizes, settings, then the strides of what is read through them (runtime/attention.h). */
function attention(
  node: Node,
  operands: readonly Node[],
  saved: readonly Node[],
  target: Buffer,
  bufferOf: (node: Node) => Buffer,
): OpInstruction {
  const { scale, causal } = node.attrs as AttentionAttrs;
  const { batch, tq, tk, d, dv } = attentionSizes(node.prim.name, operands);
  const mask = operands.length < 4 ? 0 : operands[3].dtype === "bool" ? 1 : 2;
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, scale);
  const reads = node.inputs.map((x, i) =>
    takesStrides(node, i) ? strided(node, i) : { from: x, access: { strides: [], offset: 0 } },
  );
  const settings = [Number(causal), mask, bits.getUint32(0), bits.getUint32(4)];
  return {
    kind: "op",
    name: `${saved.length ? "attention_grad" : "attention"}_${target.dtype}`,
    buffers: [...reads.map(({ from }) => bufferOf(from)), target],
    offsets: [...reads.map(({ access }) => access.offset), 0],
    params: [...[batch.length, ...batch, tq, tk, d, dv, ...settings], ...reads.flatMap(({ access }) => access.strides)],
  };
}

/** n, c, o, groups, then input, kernel, output, stride, low padding, dilation, each for three spatial axes. */
function geometry(node: Node, x: Node, w: Node, y: Node): number[] {
  const { stride, padding, dilation, groups } = node.attrs as ConvAttrs;
  const three = (values: readonly number[], fill: number) => [...new Array(3 - values.length).fill(fill), ...values];
  const low = padding.map(([lo]) => lo);
  const spatial = [x, w, y].flatMap((t) => three(t.shape.slice(2), 1));
  return [
    x.shape[0],
    x.shape[1],
    y.shape[1],
    groups,
    ...spatial,
    ...three(stride, 1),
    ...three(low, 0),
    ...three(dilation, 1),
  ];
}
