import { type Reduce, walk } from "../../compiler/expr.ts";
import { coefOf, type LoopVar } from "../../compiler/idx.ts";
import { computeDType, type DType, isFloat } from "../../core/dtype.ts";

/** Whether some load of the terms differs between terms and between results. */
export function readsBoth(r: Reduce, result: LoopVar): boolean {
  let both = false;
  walk(r.body, (e) => {
    if (e.op !== "load" || coefOf(e.index, result) === 0) return;
    if (r.axes.some((v) => coefOf(e.index, v) !== 0)) both = true;
  });
  return both;
}

/** The axis of reductions over the same terms that most loads (of those that differ between results) step through. */
export function innermost(group: readonly Reduce[], result: LoopVar | null = null): LoopVar {
  const [{ axes, kind }] = group;
  // Positions are counted in row-major order.
  if (kind === "argmax" || kind === "argmin") return axes[axes.length - 1];
  const score = (v: LoopVar) => {
    let n = 0;
    for (const r of group)
      walk(r.body, (e) => {
        if (e.op === "load" && coefOf(e.index, v) === 1 && !(result && coefOf(e.index, result) === 0)) n++;
      });
    return n;
  };
  const scored = axes.map((v) => ({ v, score: score(v) }));
  return scored.sort((a, b) => b.score - a.score || (a.score ? b.v.size - a.v.size : 0))[0].v;
}

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
