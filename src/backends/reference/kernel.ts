import { arrayType, computeDType, type DType, isFloat, type TypedArray } from "../../core/dtype.ts";
import { type Shape, sizeOf } from "../../core/shape.ts";
import type { Primitive, Spec } from "../../graph/node.ts";
import type { ScanBody } from "../../primitives/control.ts";
import type { PrimitiveName, primitives } from "../../primitives/index.ts";

export interface Call<A extends object> {
  /** Shape and dtype of the result. */
  readonly node: Spec;
  readonly attrs: A;
  /** Dense values of the inputs, 16-bit floats as f32; the outputs of a `scan` stand one after the other. */
  readonly inputs: readonly TypedArray[];
  /** Shapes and dtypes of the node's inputs. */
  readonly specs: readonly Spec[];
  /** Makes a function of the body of a loop. */
  readonly prepare: (body: ScanBody) => (inputs: readonly TypedArray[]) => TypedArray[];
}

/**
 * Computes one node. May return an input itself; never writes to one. The property is written as a method so that a
 * kernel of narrower attributes is a `Kernel<object>` (as `Primitive.vjp` is).
 */
export type Kernel<A extends object> = { call(call: Call<A>): TypedArray | TypedArray[] }["call"];

type AttrsOf<P extends PrimitiveName> = (typeof primitives)[P] extends Primitive<infer A> ? A : never;

/** One kernel for each of the primitives `P`, with the attributes of each. */
export type Kernels<P extends PrimitiveName> = { readonly [Q in P]: Kernel<AttrsOf<Q>> };

/** A zeroed array for a value of this shape and dtype; 16-bit floats are f32 until the program rounds them. */
export const empty = ({ shape, dtype }: Spec): TypedArray => new (arrayType(computeDType(dtype)))(sizeOf(shape));

/** Zeroed cells that sum values of `dtype` exactly (integers, modulo 2^32) or in f64 (floats). */
export const accumulator = (dtype: DType, size: number): Float64Array<ArrayBuffer> | Int32Array<ArrayBuffer> =>
  isFloat(dtype) ? new Float64Array(size) : new Int32Array(size);

/** `values` rounded to the dtype that `node` is computed in. */
export function rounded(node: Spec, values: TypedArray): TypedArray {
  const out = empty(node);
  out.set(values);
  return out;
}

/** A shape seen around one axis: [outer, length, inner]. */
export const around = (shape: Shape, axis: number): { outer: number; length: number; inner: number } => ({
  outer: sizeOf(shape.slice(0, axis)),
  length: shape[axis],
  inner: sizeOf(shape.slice(axis + 1)),
});
