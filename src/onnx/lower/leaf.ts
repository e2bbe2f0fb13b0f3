import { filledArray, storeValues } from "../../core/dtype.ts";
import { readNow } from "../../core/value.ts";
import type { DataAttrs, Node } from "../../graph/node.ts";
import { ManabiError } from "../../index.ts";
import type { ConstantAttrs, IotaAttrs } from "../../primitives/leaf.ts";
import { onnxDTypes } from "../tensor-proto.ts";
import { type Lowering, type Site, type Value, whole } from "./site.ts";

function constant(site: Site<ConstantAttrs>): Value {
  const { node, writer, emitter } = site;
  emitter.fixed(site, ({ value }) => String(value));
  const name = writer.constant({ dtype: node.dtype, shape: [], data: filledArray(1, node.dtype, site.attrs.value) });
  return { name, shape: node.shape.map(() => 1), scalar: true };
}

/** Positions along one axis, repeated along the others. */
function iota({ node, attrs: { axis }, writer, emitter }: Site<IotaAttrs>): Value {
  const shape = node.shape.map((d, i) => (i === axis ? d : 1));
  const extent = emitter.extents(node)[axis];
  if ("fixed" in extent) {
    const data = storeValues(
      Array.from({ length: extent.fixed }, (_, i) => i),
      node.dtype,
    );
    return { name: writer.constant({ dtype: node.dtype, shape, data }), shape, scalar: false };
  }
  const squeezed = writer.node("Squeeze", [emitter.size(extent.times)]);
  const [zero, one] = [0, 1].map((v) => writer.node("Squeeze", [writer.integers([v])]));
  const range = writer.node("Range", [zero, squeezed, one]);
  const along = writer.node("Reshape", [range, writer.integers(shape.map((_, i) => (i === axis ? -1 : 1)))]);
  return { name: writer.node("Cast", [along], { to: onnxDTypes[node.dtype] }), shape, scalar: false };
}

function data({ node, writer, emitter }: Site<DataAttrs>): Value {
  const valuesOf = (n: Node) =>
    readNow((n.attrs as DataAttrs).data, "await tensor.data() of the constants before exportOnnx");
  const [data, other] = [valuesOf(node), valuesOf(emitter.pair.twin(node))];
  if (data !== other && (data.length !== other.length || data.some((v, i) => !Object.is(v, other[i]))))
    throw new ManabiError(
      `exportOnnx: a constant depends on the size of "${emitter.pair.symbol}"; give a number in its place`,
    );
  return whole(writer.constant({ dtype: node.dtype, shape: node.shape, data }), node);
}

/** Inputs and variables have their values before the walk begins. */
const input = ({ node, emitter }: Site): Value => emitter.get(node);

export const leaf = { constant, iota, data, input } satisfies Record<string, Lowering<never>>;
