import type { DType } from "../core/dtype.ts";
import { type Expr, indicesOf, rewriter, walk } from "./expr.ts";
import { addIdx, type Idx, type LoopVar, literal, ofVar, scaleIdx } from "./idx.ts";

export interface KernelBuffer {
  readonly dtype: DType;
  readonly written: boolean;
  /** Elements of a value that lives for one row of a row kernel and has no buffer in the program; such come last. */
  readonly row?: number;
}

export interface Store {
  /** Number of the kernel's buffer. */
  readonly buffer: number;
  readonly index: Idx;
  readonly value: Expr;
  /** In a row kernel: further loops around this store alone. */
  readonly inner?: readonly LoopVar[];
}

/**
 * One loop nest of the loop IR: for every position of `axes`, all stores. A row kernel, whose stores have inner loops,
 * does them one after the other for each position (row), and later ones may read what earlier ones stored in their row.
 */
export interface Kernel {
  readonly axes: readonly LoopVar[];
  readonly buffers: readonly KernelBuffer[];
  readonly stores: readonly Store[];
}

/**
 * Whether the results in buffer number `written` may be stored over buffer number `read`: nothing is read from there
 * but the position that is written at the same time.
 */
export function canReplace({ buffers, stores }: Kernel, read: number, written: number): boolean {
  if (buffers[read].dtype !== buffers[written].dtype || stores[0].inner) return false;
  const into = stores.filter((s) => s.buffer === written);
  const at = into[0]?.index.key;
  let own = into.length === 1;
  for (const { value } of stores)
    walk(value, (e) => {
      if (e.op === "load" && e.buffer === read && e.index.key !== at) own = false;
      // Inside of a reduction a position may be read after it has been written.
      if (e.op === "reduce")
        walk(e.body, (x) => {
          if (x.op === "load" && x.buffer === read) own = false;
        });
    });
  return own;
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

/** The loops that fit a kernel's accesses: split where positions are taken apart, joined where they are walked as one. */
export function fitAxes(kernel: Kernel): Kernel {
  let k = kernel;
  for (let cut = findCut(k); cut; cut = findCut(k)) k = split(k, cut.axis, cut.by);
  for (let pair = findPair(k); pair; pair = findPair(k)) k = join(k, pair[0], pair[1]);
  return k;
}

function axisLists(kernel: Kernel): (readonly LoopVar[])[] {
  const lists = [kernel.axes];
  for (const { value, inner } of kernel.stores) {
    if (inner) lists.push(inner);
    walk(value, (e) => {
      if (e.op === "reduce") lists.push(e.axes);
    });
  }
  return lists;
}

/** An axis v that is used as v / n or v % n, where n divides its size. */
function findCut(kernel: Kernel): { axis: LoopVar; by: number } | null {
  const visit = (x: Idx): { axis: LoopVar; by: number } | null => {
    for (const { atom } of x.terms) {
      if (atom.kind === "var" || atom.kind === "ref") continue;
      const [term] = atom.of.terms;
      const whole = atom.of.terms.length === 1 && atom.of.offset === 0 && term.coef === 1 && term.atom.kind === "var";
      if (whole && term.atom.kind === "var" && term.atom.v.size % atom.by === 0)
        return { axis: term.atom.v, by: atom.by };
      const inner = visit(atom.of);
      if (inner) return inner;
    }
    return null;
  };
  for (const x of allIndices(kernel)) {
    const cut = visit(x);
    if (cut) return cut;
  }
  return null;
}

/**
 * The kernels with axes of equal sizes, outermost first, where those of both can be split that far; else null. Kernels
 * over as many positions in row-major order, such as 8192 and 32 x 256, can be.
 */
export function alignAxes(a: Kernel, b: Kernel): [Kernel, Kernel] | null {
  const aligned = alignLeading(a, b);
  return aligned && aligned[0].axes.length === aligned[1].axes.length ? aligned : null;
}

/** The same for all axes of `a` and as many leading axes of `b` as cover as many positions. */
export function alignLeading(a: Kernel, b: Kernel): [Kernel, Kernel] | null {
  const sizes: number[] = [];
  const [left, right] = [a, b].map((k) => k.axes.map((v) => v.size));
  while (left.length && right.length) {
    const [x, y] = [left[0], right[0]];
    const size = Math.min(x, y);
    if (size === 0 || x % size || y % size) return null;
    sizes.push(size);
    for (const [list, n] of [[left, x] as const, [right, y] as const]) {
      if (n === size) list.shift();
      else list[0] = n / size;
    }
  }
  return left.length ? null : [splitTo(a, sizes), splitTo(b, sizes)];
}

function splitTo(kernel: Kernel, sizes: readonly number[]): Kernel {
  let k = kernel;
  sizes.forEach((size, i) => {
    const v = k.axes[i];
    if (v.size !== size) k = split(k, v, v.size / size);
  });
  return k;
}

/** The kernel with a last axis of this size, cut off from its own if that is longer; null where that cannot be. */
export function withLastAxis(kernel: Kernel, size: number): Kernel | null {
  const last = kernel.axes.at(-1);
  if (!last || last.size % size) return null;
  return last.size === size ? kernel : split(kernel, last, size);
}

/** Two loops in place of one: v = outer * by + inner. */
function split(kernel: Kernel, axis: LoopVar, by: number): Kernel {
  const [outer, inner] = [newVar(axis.size / by), newVar(by)];
  const joined = addIdx(scaleIdx(ofVar(outer), by), ofVar(inner));
  return rewriteAxes(
    kernel,
    (v) => (v === axis ? joined : ofVar(v)),
    (v) => (v === axis ? [outer, inner] : [v]),
  );
}

function rewriteAxes(kernel: Kernel, variable: (v: LoopVar) => Idx, axis: (v: LoopVar) => LoopVar[]): Kernel {
  const axes = (list: readonly LoopVar[]) => list.flatMap(axis);
  const { expr, index } = rewriter({ variable, axes });
  return {
    ...kernel,
    axes: axes(kernel.axes),
    stores: kernel.stores.map((s) => ({
      ...s,
      index: index(s.index),
      value: expr(s.value),
      ...(s.inner && { inner: axes(s.inner) }),
    })),
  };
}

/** Neighbouring axes that every access walks as one, or of which one has a single position. */
function findPair(kernel: Kernel): [LoopVar, LoopVar] | null {
  const indices = allIndices(kernel);
  for (const list of axisLists(kernel))
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
  return rewriteAxes(
    kernel,
    (v) => (v === keep ? ofVar(merged) : v === drop ? literal(0) : ofVar(v)),
    (v) => (v === keep ? [merged] : v === drop ? [] : [v]),
  );
}
