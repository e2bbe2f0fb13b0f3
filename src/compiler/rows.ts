import { type Expr, type Reduce, rewriter, walk } from "./expr.ts";
import { addIdx, coefOf, type Idx, type LoopVar, literal, mapIdx, offsetIdx, ofVar } from "./idx.ts";
import type { Buffer, Instruction, KernelInstruction, KernelLimits } from "./instruction.ts";
import { alignLeading, type Kernel, type KernelBuffer, type Store } from "./kernel.ts";
import { independent } from "./merge.ts";
import { reads, root, writes } from "./updates.ts";

/** How far ahead a kernel looks for another one over the same rows. */
const window = 24;
const mostBuffers = 40;
/** Fewer rows leave threads without work, unless there is hardly any. */
const fewRows = 8;
const littleWork = 1 << 15;
/** Shorter rows are no work for a vector unit. */
const shortRow = 8;
/**
 * Joins kernels that go over the same rows one after the other, such as the maximum, the exponentials, their sum and the
 * quotient of a softmax, into one that takes a row through all of them while it is in the cache.
 */
export function fuseRows(instructions: readonly Instruction[], limits: KernelLimits): Instruction[] {
  const list = instructions.map((i): Instruction => (i.kind === "loop" ? { ...i, body: fuseRows(i.body, limits) } : i));
  for (let a = 0; a < list.length; a++) {
    for (let b = a + 1; b < Math.min(list.length, a + window); b++) {
      const [first, second] = [list[a], list[b]];
      if (first.kind !== "kernel" || second.kind !== "kernel") continue;
      const [up, down] = [independent(list, a, b), movesDown(list, a, b)];
      if (!up && !down) continue;
      const fused = fusePair(first, second, limits.rowRoom);
      if (!fused || !limits.canBind(fused.buffers)) continue;
      if (up) {
        list[a] = fused;
        list.splice(b, 1);
      } else {
        list[b] = fused;
        list.splice(a, 1);
      }
      b = a;
    }
  }
  return list;
}

/** Whether instruction a can wait until right before instruction b. */
function movesDown(list: readonly Instruction[], a: number, b: number): boolean {
  const [read, written] = [new Set(reads(list[a])), new Set(writes(list[a]))];
  for (let i = a + 1; i < b; i++) {
    if (writes(list[i]).some((x) => read.has(x) || written.has(x))) return false;
    if (reads(list[i]).some((x) => written.has(x))) return false;
  }
  return true;
}

const count = (axes: readonly LoopVar[]): number => axes.reduce((n, v) => n * v.size, 1);
const isRowKernel = ({ stores }: Kernel): boolean => stores[0].inner !== undefined;

function reductionsIn(kernel: Kernel): Reduce[] {
  const found = new Set<Reduce>();
  for (const { value } of kernel.stores)
    walk(value, (e) => {
      if (e.op === "reduce") found.add(e);
    });
  return [...found];
}

/** Whether every result of the kernel is made of sums along memory, one for each row. */
function reducesRows(kernel: Kernel): boolean {
  const reductions = reductionsIn(kernel);
  const last = kernel.axes.at(-1);
  if (reductions.length === 0 || !last) return false;
  return reductions.every((r) => {
    let [along, across] = [0, 0];
    walk(r.body, (e) => {
      if (e.op !== "load") return;
      const steps = r.axes.map((v) => coefOf(e.index, v));
      if (steps.includes(1)) along++;
      else if (steps.some((c) => c !== 0) && coefOf(e.index, last) === 1) across++;
    });
    return along > across && count(r.axes) >= shortRow;
  });
}

/** The rows that two kernels share: those of the one that is a row kernel already or reduces rows. */
function fusePair(first: KernelInstruction, second: KernelInstruction, rowRoom: number): KernelInstruction | null {
  const [a, b] = [first.kernel, second.kernel];
  if (isRowKernel(b) || a.axes.length === 0 || b.axes.length === 0) return null;
  // One that writes over what it reads does so position by position, which its rendering must know.
  if ([first, second].some((k) => writes(k).some((w) => reads(k).includes(w)))) return null;
  const known = new Set([...writes(first), ...first.buffers.filter((x) => x.size > rowRoom)]);
  if (!second.buffers.some((x) => known.has(x))) return null;

  const rowsOfFirst = isRowKernel(a) || reducesRows(a);
  const rowsOfSecond = reducesRows(b);
  if (!rowsOfFirst && !rowsOfSecond) return null;
  for (const [k, isRows] of [[a, rowsOfFirst] as const, [b, rowsOfSecond] as const])
    if (!isRows && reductionsIn(k).length > 0) return null;
  const aligned = rowsOfFirst ? alignLeading(a, b) : (alignLeading(b, a)?.reverse() as [Kernel, Kernel] | undefined);
  if (!aligned) return null;
  const [x, y] = aligned;
  const depth = (rowsOfFirst ? x : y).axes.length;
  if (rowsOfFirst && rowsOfSecond && y.axes.length !== depth) return null;
  const rows = x.axes.slice(0, depth);
  const size = Math.max(...[...first.buffers, ...second.buffers].map((buffer) => buffer.size));
  if (count(rows) < fewRows && size > littleWork) return null;
  for (const k of [x, y]) if (k.axes.length > depth && count(k.axes.slice(depth)) < shortRow) return null;

  const rename = new Map(rows.map((v, i) => [y.axes[i], v]));
  const toRows = rewriter({ variable: (v) => ofVar(rename.get(v) ?? v) });
  const buffers = [...first.buffers];
  const kinds: KernelBuffer[] = [...a.buffers];
  const numbers = second.buffers.map((buffer, i): number => {
    const kind = b.buffers[i];
    const at = buffers.findIndex((other, j) => other === buffer && (kinds[j].written || !kind.written));
    if (at >= 0) return at;
    kinds.push(kind);
    return buffers.push(buffer) - 1;
  });
  if (buffers.length > mostBuffers) return null;

  const before: Store[] = isRowKernel(x) ? [...x.stores] : x.stores.map((s) => ({ ...s, inner: x.axes.slice(depth) }));
  const number = rewriter({ load: (load) => ({ ...load, buffer: numbers[load.buffer] }) });
  const inner = y.axes.slice(depth);
  const after = y.stores.map(
    (s): Store => ({
      buffer: numbers[s.buffer],
      index: toRows.index(s.index),
      value: number.expr(toRows.expr(s.value)),
      inner,
    }),
  );
  if (!staysInRows(first, second, before, after, rows, buffers)) return null;
  const kernel: Kernel = { axes: rows, buffers: kinds, stores: [...before, ...after] };
  return { kind: "kernel", buffers, kernel };
}

/** Whether a row of the later stores needs nothing of the earlier ones but what they stored in that row. */
function staysInRows(
  first: KernelInstruction,
  second: KernelInstruction,
  before: readonly Store[],
  after: readonly Store[],
  rows: readonly LoopVar[],
  buffers: readonly Buffer[],
): boolean {
  const touched = new Set([...reads(first), ...writes(first)]);
  if (writes(second).some((b) => touched.has(b))) return false;
  const written = new Set(writes(first));
  let ok = true;
  for (const { value } of after)
    walk(value, (e) => {
      if (!ok || e.op !== "load" || !written.has(root(buffers[e.buffer]))) return;
      const stores = before.filter((s) => s.buffer === e.buffer);
      ok = stores.length === 1 && isWithin(e.index, stores[0], rows);
    });
  return ok;
}

/** The parts of an index that depend on the row and on the rest, null where they do not come apart. */
function partsOf(x: Idx, rows: readonly LoopVar[]): { row: Idx; rest: Idx } | null {
  const only = (keep: (v: LoopVar) => boolean) =>
    mapIdx(
      x,
      (v) => (keep(v) ? ofVar(v) : literal(0)),
      (e: Expr) => e,
    );
  const [row, rest] = [only((v) => rows.includes(v)), only((v) => !rows.includes(v))];
  if (x.terms.some((t) => t.atom.kind === "ref")) return null;
  return offsetIdx(addIdx(row, rest), -x.offset).key === x.key ? { row: offsetIdx(row, -x.offset), rest } : null;
}

/** Whether a load falls into what the store has stored in the same row. */
function isWithin(load: Idx, store: Store, rows: readonly LoopVar[]): boolean {
  const [l, s] = [partsOf(load, rows), partsOf(store.index, rows)];
  if (!l || !s || l.row.key !== s.row.key) return false;
  const whole = s.rest.hi - s.rest.lo + 1 === count(store.inner ?? []);
  return whole && l.rest.lo >= s.rest.lo && l.rest.hi <= s.rest.hi;
}

/** Lets temporaries that only one row kernel reads live for one row. */
export function localizeRows(instructions: readonly Instruction[], { rowRoom }: KernelLimits): Instruction[] {
  const read = new Set(instructions.flatMap(reads));
  const visit = (i: Instruction): Instruction => {
    if (i.kind === "loop") return { ...i, body: i.body.map(visit) };
    return i.kind === "kernel" && isRowKernel(i.kernel) ? localize(i, read, rowRoom) : i;
  };
  return instructions.map(visit);
}

function localize(instruction: KernelInstruction, read: ReadonlySet<Buffer>, rowRoom: number): KernelInstruction {
  const { kernel, buffers } = instruction;
  const start = new Map<number, Idx>();
  let room = rowRoom;
  buffers.forEach((buffer, i) => {
    const stores = kernel.stores.filter((s) => s.buffer === i);
    if (buffer.place.kind !== "temp" || read.has(buffer) || stores.length !== 1) return;
    const parts = partsOf(stores[0].index, kernel.axes);
    const size = count(stores[0].inner ?? []);
    if (!parts || size > room) return;
    room -= size;
    start.set(i, parts.row);
  });
  if (start.size === 0) return instruction;
  const kept = buffers.flatMap((_, i) => (start.has(i) ? [] : [i]));
  const order = [...kept, ...start.keys()];
  // A position within the row: the rest of the index, which starts at its lowest value.
  const lowest = new Map(kernel.stores.map((s) => [s.buffer, partsOf(s.index, kernel.axes)?.rest.lo ?? 0] as const));
  const within = (x: Idx, buffer: number): Idx => {
    if (!start.has(buffer)) return x;
    const parts = partsOf(x, kernel.axes);
    return offsetIdx((parts as { rest: Idx }).rest, -(lowest.get(buffer) as number));
  };
  const { expr } = rewriter({
    load: (load) => ({ ...load, buffer: order.indexOf(load.buffer), index: within(load.index, load.buffer) }),
  });
  const sizes = new Map(kernel.stores.map((s) => [s.buffer, count(s.inner ?? [])]));
  return {
    kind: "kernel",
    buffers: kept.map((i) => buffers[i]),
    kernel: {
      axes: kernel.axes,
      buffers: order.map((i) => (start.has(i) ? { ...kernel.buffers[i], row: sizes.get(i) } : kernel.buffers[i])),
      stores: kernel.stores.map((s) => ({
        ...s,
        buffer: order.indexOf(s.buffer),
        index: within(s.index, s.buffer),
        value: expr(s.value),
      })),
    },
  };
}
