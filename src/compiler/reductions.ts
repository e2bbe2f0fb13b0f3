import { children, dependsOn, type Expr, type Reduce, walk } from "./expr.ts";
import { coefOf, type LoopVar } from "./idx.ts";
import type { Store } from "./kernel.ts";

/**
 * Reductions that are constant within one result: they are computed before it, inner ones first, and those over the
 * same terms in one loop.
 */
export function topReductions(stores: readonly Store[]): Reduce[][] {
  const groups = new Map<string, Reduce[]>();
  const seen = new Set<Reduce>();
  const visit = (e: Expr, around: readonly LoopVar[]) => {
    if (e.op === "reduce") {
      if (seen.has(e) || (around.length > 0 && dependsOn(e, around))) return;
      visit(e.body, [...around, ...e.axes]);
      seen.add(e);
      const key = e.axes.map((v) => v.id).join();
      groups.set(key, [...(groups.get(key) ?? []), e]);
      return;
    }
    for (const c of children(e)) visit(c, around);
  };
  for (const s of stores) visit(s.value, []);
  return [...groups.values()];
}

/** Whether the results, rather than the terms of each sum, lie next to each other in memory. */
export function runsAcross(groups: readonly (readonly Reduce[])[], last: LoopVar): boolean {
  let [along, across] = [0, 0];
  const tops = groups.flat();
  const spread = new Set(tops.filter((r) => readsBoth(r, last)));
  for (const r of tops) {
    const longest = innermost([r], spread.has(r) ? last : null);
    let nested = false;
    walk(r.body, (e) => {
      if (e.op === "reduce" && !tops.includes(e)) nested = true;
      if (e.op !== "load") return;
      const a = coefOf(e.index, longest);
      const b = coefOf(e.index, last);
      // What is the same for all results, such as the mean of each row under a sum down the columns, stays in the cache.
      if (b === 0 && spread.has(r)) return;
      if (a === 1 && longest.size >= 8) along++;
      if (b !== null && b !== 0 && a !== 1) across++;
      if (b !== null && a === 1 && longest.size < 8) across++;
    });
    if (nested) return false;
  }
  return across > along && last.size > 1;
}

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

/** Leading axes whose product gives the threads enough pieces. */
export function outerAxes(axes: readonly LoopVar[], enoughPieces: number): readonly LoopVar[] {
  let [count, pieces] = [0, 1];
  while (count < axes.length - 1 && pieces < enoughPieces) pieces *= axes[count++].size;
  return axes.slice(0, count);
}

/** Work of one result, in rough units of a memory access. */
export function costPerElement(stores: readonly Store[], groups: readonly (readonly Reduce[])[]): number {
  let cost = 0;
  for (const { value } of stores) walk(value, (e) => (cost += e.op === "call" || e.op === "random" ? 2 : 1));
  for (const [r] of groups) cost *= Math.max(1, r.axes.reduce((n, v) => n * v.size, 1) / 2);
  return cost;
}
