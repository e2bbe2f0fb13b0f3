import type { DType } from "../core/dtype.ts";
import { type Expr, indicesOf, rewriter, walk } from "./expr.ts";
import { type Idx, type LoopVar, literal, ofVar } from "./idx.ts";

export interface KernelBuffer {
  readonly dtype: DType;
  readonly written: boolean;
}

export interface Store {
  /** Number of the kernel's buffer. */
  readonly buffer: number;
  readonly index: Idx;
  readonly value: Expr;
}

/** One loop nest of the loop IR: for every position of `axes`, all stores. */
export interface Kernel {
  readonly axes: readonly LoopVar[];
  readonly buffers: readonly KernelBuffer[];
  readonly stores: readonly Store[];
}

let lastVar = 0;
export const newVar = (size: number): LoopVar => ({ id: ++lastVar, size });

/** All indices of a kernel. */
function allIndices(kernel: Kernel): Idx[] {
  const list: Idx[] = [];
  for (const { index, value } of kernel.stores) {
    list.push(index);
    walk(value, (e) => list.push(...indicesOf(e)));
  }
  return list;
}

/** Whether `outer` and `inner` only ever occur as outer * inner.size + inner. */
function mergeable(indices: readonly Idx[], outer: LoopVar, inner: LoopVar): boolean {
  return indices.every(function ok(x: Idx): boolean {
    let [a, b] = [0, 0];
    for (const { atom, coef } of x.terms) {
      if (atom.kind === "var") {
        if (atom.v === outer) a = coef;
        if (atom.v === inner) b = coef;
      } else if (atom.kind !== "ref" && !ok(atom.of)) return false;
    }
    return a === b * inner.size;
  });
}

/** Joins neighbouring axes that every access walks as one, and drops axes of size 1: fewer, longer loops. */
export function mergeAxes(kernel: Kernel): Kernel {
  let k = kernel;
  const reduceAxes = (): (readonly LoopVar[])[] => {
    const lists: (readonly LoopVar[])[] = [];
    for (const { value } of k.stores)
      walk(value, (e) => {
        if (e.op === "reduce") lists.push(e.axes);
      });
    return lists;
  };
  for (;;) {
    const pair = findPair(k, [k.axes, ...reduceAxes()]);
    if (!pair) return k;
    k = join(k, pair[0], pair[1]);
  }
}

function findPair(kernel: Kernel, lists: readonly (readonly LoopVar[])[]): [LoopVar, LoopVar] | null {
  const indices = allIndices(kernel);
  for (const list of lists)
    for (let i = 0; i < list.length; i++) {
      if (list.length > 1 && list[i].size === 1) return i > 0 ? [list[i - 1], list[i]] : [list[i], list[i + 1]];
      if (i + 1 < list.length && mergeable(indices, list[i], list[i + 1])) return [list[i], list[i + 1]];
    }
  return null;
}

function join(kernel: Kernel, outer: LoopVar, inner: LoopVar): Kernel {
  const merged = newVar(outer.size * inner.size);
  // In every index the pair is outer * inner.size + inner, so dropping one and renaming the other joins them.
  // An axis of size 1 has no occurrences.
  const [keep, drop] = inner.size === 1 ? [outer, inner] : [inner, outer];
  const at = (v: LoopVar): Idx => (v === keep ? ofVar(merged) : v === drop ? literal(0) : ofVar(v));
  const renameList = (axes: readonly LoopVar[]) => axes.flatMap((v) => (v === keep ? [merged] : v === drop ? [] : [v]));
  const { expr, index } = rewriter({ variable: at, axes: renameList });
  return {
    ...kernel,
    axes: renameList(kernel.axes),
    stores: kernel.stores.map((s) => ({ ...s, index: index(s.index), value: expr(s.value) })),
  };
}
