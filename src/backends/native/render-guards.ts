import { usesVar, walk } from "../../compiler/expr.ts";
import type { LoopVar } from "../../compiler/idx.ts";
import type { Store } from "../../compiler/kernel.ts";

/**
 * The positions [lo, hi) of `v` at which all guards of these stores that look at it are open; null where there are none,
 * they differ, or other variables matter as well.
 */
export function commonRange(stores: readonly Store[], v: LoopVar): readonly [lo: number, hi: number] | null {
  const ranges = new Map<string, readonly [number, number]>();
  let plain = true;
  for (const { value } of stores)
    walk(value, (e) => {
      if (e.op !== "guard") return;
      for (const { index, lo, hi } of e.tests) {
        if (!usesVar(index, v)) continue;
        const [{ coef, atom }] = index.terms;
        if (index.terms.length > 1 || coef !== 1 || atom.kind !== "var") {
          plain = false;
          return;
        }
        const from = Math.min(v.size, Math.max(0, lo - index.offset));
        const range = [from, Math.max(from, Math.min(v.size, hi - index.offset))] as const;
        ranges.set(range.join(), range);
      }
    });
  return plain && ranges.size === 1 ? [...ranges.values()][0] : null;
}
