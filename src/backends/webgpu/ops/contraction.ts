import type { OpInstruction } from "../../../compiler/instruction.ts";
import type { Operand } from "../wgsl/shader.ts";
import { type Finish, finishOf } from "./finish.ts";

/**
 * result[z, i, j] = sum over p of left[z, i, p] right[z, p, j], whatever the operands are: matrices by strides, or
 * pictures whose windows are never laid out. Operands are f32 or are widened to it as they are read, sums and results f32. It
 * is computed in tiles, by matrices of a subgroup or not, by a thread, or by a workgroup for each result.
 */
export interface Contraction extends Product {
  /** What becomes of an element of the result. */
  readonly finish: Finish;
}

export interface Product {
  readonly label: string;
  readonly batches: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly operands: readonly Operand[];
  /**
   * What is left[z, i, p] is had in three steps, so that what takes divisions is done once for many terms:
   * `left(left_row(z, i), left_term(z, p))`; right[z, p, j] by `right(right_column(z, j), right_term(z, p))`; and
   * `place(z, i, j)` is the position in the result. Parameters of these functions are numbered from `firstParam`.
   */
  readonly functions: string;
  readonly params: readonly number[];
  /** Whether neighbouring terms, rather than rows or columns, are neighbours in memory. */
  readonly leftAlongTerms: boolean;
  readonly rightAlongTerms: boolean;
}

/** m, n, k, batches and the terms of one part come before the parameters of a contraction's functions. */
export const firstParam = 5;

/** A product with what the compiler has attached to its operation. */
export const finished = (op: OpInstruction, product: Product): Contraction => ({
  ...product,
  finish: finishOf(op, product.operands.length, firstParam + product.params.length),
});

/** All functions that a shader of the contraction calls. */
export const functionsOf = ({ functions, finish }: Contraction): string =>
  [functions, finish.text].join("\n").trimEnd();
