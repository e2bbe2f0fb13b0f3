import { mapIdx, ofVar } from "./idx.ts";
import type { Expr, Idx, LoopVar } from "./ir.ts";

export type { Expr, ReduceKind, Test } from "./ir.ts";

/** Direct sub-expressions, those inside indices included. */
export function children(e: Expr): Expr[] {
  switch (e.op) {
    case "const":
      return [];
    case "load":
    case "index":
      return refsIn(e.index);
    case "call":
      return [...e.args];
    case "guard":
      return [...e.tests.flatMap((t) => refsIn(t.index)), e.value, e.other];
    case "reduce":
      return [e.body];
    case "random":
      return [...e.state, ...refsIn(e.index)];
  }
}

function refsIn(x: Idx): Expr[] {
  return x.terms.flatMap(({ atom }) => {
    if (atom.kind === "ref") return [atom.at];
    return atom.kind === "var" ? [] : refsIn(atom.of);
  });
}

/** Indices that stand directly in `e`. */
export function indicesOf(e: Expr): Idx[] {
  if (e.op === "load" || e.op === "index" || e.op === "random") return [e.index];
  return e.op === "guard" ? e.tests.map((t) => t.index) : [];
}

/** Visits every distinct expression once, children first. */
export function walk(root: Expr, visit: (e: Expr) => void): void {
  const seen = new Set<Expr>();
  const go = (e: Expr) => {
    if (seen.has(e)) return;
    seen.add(e);
    for (const c of children(e)) go(c);
    visit(e);
  };
  go(root);
}

export function usesVar(x: Idx, v: LoopVar): boolean {
  return x.terms.some(({ atom }) => {
    if (atom.kind === "var") return atom.v === v;
    return atom.kind === "ref" ? dependsOn(atom.at, [v]) : usesVar(atom.of, v);
  });
}

/** Whether the value of `e` changes with one of `vars`. */
export function dependsOn(e: Expr, vars: readonly LoopVar[]): boolean {
  let found = false;
  walk(e, (x) => {
    if (!found) found = indicesOf(x).some((i) => vars.some((v) => usesVar(i, v)));
  });
  return found;
}

export type Load = Extract<Expr, { op: "load" }>;
export type Reduce = Extract<Expr, { op: "reduce" }>;

/** What `rewrite` changes; what is left out stays. */
export interface Rewrite {
  /** The index that stands for a loop variable. */
  readonly variable?: (v: LoopVar) => Idx;
  /** The axes that stand for those of a reduction. */
  readonly axes?: (axes: readonly LoopVar[]) => readonly LoopVar[];
  readonly load?: (load: Load) => Expr;
}

/** Rewrites expressions, keeping shared sub-expressions shared, also between calls of the result. */
export function rewriter({ variable = ofVar, axes = (x) => x, load = (x) => x }: Rewrite): {
  expr: (e: Expr) => Expr;
  index: (x: Idx) => Idx;
} {
  const memo = new Map<Expr, Expr>();
  const index = (x: Idx) => mapIdx(x, variable, expr);
  const expr = (e: Expr): Expr => {
    let out = memo.get(e);
    if (!out) {
      out = rebuild(e);
      memo.set(e, out);
    }
    return out;
  };
  const rebuild = (e: Expr): Expr => {
    switch (e.op) {
      case "const":
        return e;
      case "load":
        return load({ ...e, index: index(e.index) });
      case "index":
        return { ...e, index: index(e.index) };
      case "call":
        return { ...e, args: e.args.map(expr) };
      case "guard":
        return {
          ...e,
          tests: e.tests.map((t) => ({ ...t, index: index(t.index) })),
          value: expr(e.value),
          other: expr(e.other),
        };
      case "reduce":
        return { ...e, axes: axes(e.axes), body: expr(e.body) };
      case "random":
        return { ...e, state: e.state.map(expr), index: index(e.index) };
    }
  };
  return { expr, index };
}
