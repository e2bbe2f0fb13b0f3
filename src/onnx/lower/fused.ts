/** Several primitives that one operator stands for, so that readers recognise their layers and runtimes have one kernel
 *  for them. What is not recognised is written primitive by primitive. */
import type { Node } from "../../graph/node.ts";
import type { PrimitiveName } from "../../primitives/index.ts";
import type { ConstantAttrs } from "../../primitives/leaf.ts";
import { type Emitter, type Value, whole } from "./site.ts";

/** The inputs of a node of this primitive, else null. */
const inputsOf = (node: Node | undefined, name: PrimitiveName): readonly Node[] | null =>
  node?.prim.name === name ? node.inputs : null;

/** A node without the repetition of its axes. */
const unrepeated = (node: Node | undefined): Node | undefined => inputsOf(node, "broadcast")?.[0] ?? node;

/** The number that a node is everywhere. */
function constantOf(node: Node | undefined): number | null {
  const inner = unrepeated(node);
  if (inner?.prim.name === "reshape") return constantOf(inner.inputs[0]);
  return inner?.prim.name === "constant" ? (inner.attrs as ConstantAttrs).value : null;
}

/** The vector [c] that a node repeats along axis 1 of a tensor of its rank. */
function perChannel(node: Node | undefined): Node | null {
  const inner = unrepeated(node);
  const [vector] = inputsOf(inner, "reshape") ?? [];
  if (!inner || vector?.shape.length !== 1) return null;
  return inner.shape.every((d, axis) => d === (axis === 1 ? vector.shape[0] : 1)) ? vector : null;
}

/** (x - mean) / sqrt(variance + eps) * weight + bias per channel. */
function batchNorm(node: Node, emitter: Emitter): Value | null {
  const [scaled, shift] = inputsOf(node, "add") ?? [];
  const [centred, factor] = inputsOf(scaled, "mul") ?? [];
  const [x, average] = inputsOf(centred, "sub") ?? [];
  const [inverse, scale] = inputsOf(unrepeated(factor), "mul") ?? [];
  const [one, root] = inputsOf(inverse, "div") ?? [];
  const [sum] = inputsOf(root, "sqrt") ?? [];
  const [spread, epsilon] = inputsOf(sum, "add") ?? [];
  const vectors = [scale, shift, average, spread].map(perChannel);
  const eps = constantOf(epsilon);
  if (!x || constantOf(one) !== 1 || eps === null || vectors.includes(null) || x.shape.length < 2) return null;
  const operands = [x, ...(vectors as Node[])].map((operand) => emitter.full(operand));
  return whole(emitter.writer.node("BatchNormalization", operands, { epsilon: { float: eps } }), node);
}

/** 0 where x is not positive, else x. */
function relu(node: Node, emitter: Emitter): Value | null {
  const [condition, zero, x] = inputsOf(node, "where") ?? [];
  const [compared, bound] = inputsOf(condition, "le") ?? [];
  if (!x || compared !== x || constantOf(zero) !== 0 || constantOf(bound) !== 0) return null;
  const value = emitter.get(x);
  return { ...value, name: emitter.writer.node("Relu", [value.name]) };
}

/** The value of the last node of such a group; null for any other node. */
export const lowerFused = (node: Node, emitter: Emitter): Value | null =>
  batchNorm(node, emitter) ?? relu(node, emitter);
