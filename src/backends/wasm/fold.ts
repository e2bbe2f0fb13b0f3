import type { Reduce } from "../../compiler/expr.ts";
import type { DType } from "../../core/dtype.ts";

/** How the terms of a reduction are put together. */
export interface Fold {
  /** What they are held in meanwhile. */
  readonly dtype: DType;
  readonly start: number;
  /** The primitive that joins two. */
  readonly join: string;
}

const lowest: Partial<Record<DType, number>> = { i32: -(2 ** 31), u32: 0, u8: 0, bool: 0 };
const highest: Partial<Record<DType, number>> = { i32: 2 ** 31 - 1, u32: 2 ** 32 - 1, u8: 255, bool: 1 };

/** Sums and products of f32 run in f64 unless they are short, those of u8 modulo 2^32. */
export function foldOf(kind: Reduce["kind"], dtype: DType, short: boolean): Fold {
  const wide: DType = dtype === "f32" && !short ? "f64" : dtype === "u8" ? "u32" : dtype;
  switch (kind) {
    case "sum":
      return { dtype: wide, start: 0, join: "add" };
    case "prod":
      return { dtype: wide, start: 1, join: "mul" };
    case "max":
    case "argmax":
      return { dtype, start: lowest[dtype] ?? Number.NEGATIVE_INFINITY, join: "maximum" };
    default:
      return { dtype, start: highest[dtype] ?? Number.POSITIVE_INFINITY, join: "minimum" };
  }
}
