import type { Reduce } from "../../../compiler/expr.ts";
import { computeDType, type DType } from "../../../core/dtype.ts";
import { type WgslType, wgslType } from "./scalar.ts";

export const isArg = ({ kind }: Reduce): boolean => kind === "argmax" || kind === "argmin";

/** How the terms of a reduction come together; of an argmax or argmin, its best value. */
export interface Accumulator {
  /** What it adds up in: f32 for a reduction to 16 bits, which is rounded once it is complete. */
  readonly dtype: DType;
  readonly type: WgslType;
  readonly init: string;
  combine(a: string, b: string): string;
}

const lowest: Partial<Record<DType, string>> = {
  f32: "-infinity()",
  i32: "i32(-2147483648)",
  u32: "0u",
  u8: "0u",
  bool: "0u",
};
const highest: Partial<Record<DType, string>> = {
  f32: "infinity()",
  i32: "2147483647",
  u32: "4294967295u",
  u8: "255u",
  bool: "1u",
};

export function accumulator(r: Reduce): Accumulator {
  const dtype = computeDType(isArg(r) ? r.body.dtype : r.dtype);
  const type = wgslType(dtype);
  const zero = { f32: "0f", i32: "0", u32: "0u" }[type];
  const one = { f32: "1f", i32: "1", u32: "1u" }[type];
  switch (r.kind) {
    case "sum":
      return { dtype, type, init: zero, combine: (a, b) => `${a} + ${b}` };
    case "prod":
      return { dtype, type, init: one, combine: (a, b) => `${a} * ${b}` };
    case "max":
    case "argmax":
      return {
        dtype,
        type,
        init: lowest[dtype] as string,
        combine: (a, b) => (type === "f32" ? `largest(${a}, ${b})` : `max(${a}, ${b})`),
      };
    case "min":
    case "argmin":
      return {
        dtype,
        type,
        init: highest[dtype] as string,
        combine: (a, b) => (type === "f32" ? `smallest(${a}, ${b})` : `min(${a}, ${b})`),
      };
  }
}

/** Whether value `v` at position `i` takes the place of the best so far, whatever the order they come in. */
export function beats(r: Reduce, v: string, i: string, best: string, at: string): string {
  const type = wgslType(r.body.dtype);
  return `${r.kind === "argmax" ? "above" : "below"}${type === "f32" ? "" : `_${type}`}(${v}, ${i}, ${best}, ${at})`;
}
