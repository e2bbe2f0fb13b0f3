import { unknownName } from "../core/errors.ts";
import { guarded } from "./variable.ts";

/**
 * How f32 matrix products and convolutions may compute; tensors stay f32, sums are f32 in any case.
 * - `highest`: products of f32.
 * - `high`: products of sums of three bf16 where that is faster (AMX), with an error near that of f32.
 * - `medium`: products of operands rounded to bf16 (8 significant bits), where the processor has them.
 *
 * Where the processor has no bf16 products, and on backends that know none, all three are `highest`.
 */
export type MatrixPrecision = "highest" | "high" | "medium";

const names: readonly MatrixPrecision[] = ["highest", "high", "medium"];
let setting: MatrixPrecision = "highest";
const read = (): MatrixPrecision => setting;

/** The precision of products that are built now. */
export const matrixPrecision = (): MatrixPrecision => guarded(read);

/** Chooses the precision of every matrix product and convolution built from now on; their gradients follow them. */
export function setMatrixPrecision(precision: MatrixPrecision): void {
  if (!names.includes(precision)) throw unknownName("matrix precision", precision, names);
  setting = precision;
}

/** Runs `fn` with a precision of its own. */
export function withMatrixPrecision<T>(precision: MatrixPrecision, fn: () => T): T {
  const outer = setting;
  setMatrixPrecision(precision);
  try {
    return fn();
  } finally {
    setting = outer;
  }
}

/** Attribute of a product; absent, it is `highest`. */
export interface PrecisionAttrs {
  readonly precision?: Exclude<MatrixPrecision, "highest">;
}

/** The attribute that says what is in force. */
export function precisionAttrs(): PrecisionAttrs {
  const precision = matrixPrecision();
  return precision === "highest" ? {} : { precision };
}
