import { add, div, type FunctionBuilder, type Local, load, mul, rem, type Value } from "../assembler.ts";
import type { Real } from "./real.ts";
import type { Place } from "./work.ts";

/** C [batch.., m, n] = A B; strides in elements, C dense. */
export interface Product {
  readonly real: Real;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: Operand;
  readonly b: Operand;
  readonly c: Place;
  readonly batch: readonly BatchAxis[];
}

export interface Operand {
  readonly place: Place;
  readonly row: number;
  readonly column: number;
}

export interface BatchAxis {
  readonly size: number;
  readonly a: number;
  readonly b: number;
}

/** The batch axes as a table that follows the parameters: size, and the steps of A and B in bytes, innermost first. */
export const batchTable = ({ batch, real }: Product): number[] =>
  [...batch].reverse().flatMap(({ size, a, b }) => [size, a * real.bytes, b * real.bytes]);

/** Moves the addresses of A and B to element `index` of the batch; leaves `index` 0. */
export function toBatchElement(f: FunctionBuilder, index: Local, rank: Value, table: Value, a: Local, b: Local): void {
  const axis = f.let(table);
  f.range(0, rank, 1, () => {
    const size = f.let(load("i32.load", axis));
    const at = f.let(rem(index, size));
    f.set(index, div(index, size));
    f.set(a, add(a, mul(at, load("i32.load", axis, 4))));
    f.set(b, add(b, mul(at, load("i32.load", axis, 8))));
    f.set(axis, add(axis, 12));
  });
}
