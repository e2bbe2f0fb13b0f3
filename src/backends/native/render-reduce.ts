import type { Reduce } from "../../compiler/expr.ts";
import { computeDType, type DType, isFloat } from "../../core/dtype.ts";

export interface Accumulator {
  readonly dtype: DType;
  readonly init: string;
  step(acc: string, value: string): string;
}

/** Sums and products of f32 and below run in f64 unless they are short; extremes let NaN through. */
export function accumulator(kind: Reduce["kind"], dtype: DType, short = false): Accumulator {
  const float = isFloat(dtype);
  const own = computeDType(dtype);
  const wide: DType = own === "f32" && !short ? "f64" : own;
  if (kind === "sum") return { dtype: wide, init: "0", step: (a, v) => `${a} = ${a} + ${v}` };
  if (kind === "prod") return { dtype: wide, init: "1", step: (a, v) => `${a} = ${a} * ${v}` };
  const [sign, infinity] = kind === "max" ? [">", "-INFINITY"] : ["<", "INFINITY"];
  const lowest: Partial<Record<DType, string>> = { i32: "INT32_MIN", u32: "0", u8: "0", bool: "0" };
  const highest: Partial<Record<DType, string>> = { i32: "INT32_MAX", u32: "UINT32_MAX", u8: "255", bool: "1" };
  const init = float ? infinity : ((kind === "max" ? lowest : highest)[dtype] as string);
  return {
    dtype,
    init,
    step: (a, v) =>
      float ? `${a} = (${v} ${sign} ${a} || ${v} != ${v}) ? ${v} : ${a}` : `${a} = ${v} ${sign} ${a} ? ${v} : ${a}`,
  };
}

/** Whether a later candidate replaces the best so far: strictly better, or the first NaN. */
export function beats(kind: Reduce["kind"], value: string, best: string, dtype: DType): string {
  const better = `${value} ${kind === "argmax" ? ">" : "<"} ${best}`;
  return isFloat(dtype) ? `(${better}) | ((${value} != ${value}) & (${best} == ${best}))` : better;
}
