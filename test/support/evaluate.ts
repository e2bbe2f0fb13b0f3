import { evaluate as evaluateNodes } from "../../src/backends/evaluate.ts";
import { reference } from "../../src/backends/reference/index.ts";
import { type DType, loadValues, storeValues, type TypedArray } from "../../src/core/dtype.ts";
import type { Shape } from "../../src/core/shape.ts";
import { readNow, readValue } from "../../src/core/value.ts";
import type { Node } from "../../src/graph/node.ts";
import { data } from "../../src/primitives/leaf.ts";

/** A leaf holding `values`, row-major. */
export function leaf(dtype: DType, shape: Shape, values: readonly number[]): Node {
  return data({ dtype, shape, data: storeValues(values, dtype) });
}

/** A leaf of rank 1. */
export const vector = (dtype: DType, ...values: number[]): Node => leaf(dtype, [values.length], values);

/** The values of `node` on the reference backend. */
export function evaluate(node: Node): number[] {
  const [values] = reference.compile({ inputs: [], outputs: [node], updates: [] }).run([]);
  return Array.from(loadValues(values, node.dtype));
}

/** Values of nodes, computed as one program on the backend in use. */
export const evaluateTogether = (nodes: readonly Node[]): Promise<TypedArray[]> =>
  Promise.all(evaluateNodes(nodes).map(readValue));

/** Values of nodes on the backend in use, which computes in host memory. */
export const evaluateNow = (nodes: readonly Node[]): TypedArray[] =>
  evaluateNodes(nodes).map((value) => readNow(value, "this test is for backends in host memory"));
