import { type Load, type Reduce, rewriter, walk } from "./expr.ts";
import { type LoopVar, ofVar } from "./idx.ts";
import type { Buffer, Instruction, KernelInstruction, KernelLimits } from "./instruction.ts";
import { alignAxes, fitAxes, type KernelBuffer, type Store } from "./kernel.ts";
import { reads, root, writes } from "./updates.ts";

/** A merged kernel that touches more buffers than this loses more to the cache than a pass over memory costs. */
const mostBuffers = 14;
/** Unless all of them stay in the cache: then only registers and the run time's table of buffers set a limit. */
const mostCachedBuffers = 40;
const cachedElements = 1 << 18;
/** How far ahead a kernel looks for another one over the same positions. */
const window = 24;

/**
 * Joins kernels over the same positions into one pass over memory: reductions of the same terms (the two sums of batch
 * normalization), and elementwise results that share inputs or read each other (the moments and the step of Adam).
 */
export function mergeKernels(instructions: readonly Instruction[], canBind: KernelLimits["canBind"]): Instruction[] {
  const list = instructions.map(
    (i): Instruction => (i.kind === "loop" ? { ...i, body: mergeKernels(i.body, canBind) } : i),
  );
  for (let a = 0; a < list.length; a++) {
    let first = list[a];
    if (first.kind !== "kernel") continue;
    for (let b = a + 1; b < Math.min(list.length, a + window); b++) {
      const second = list[b];
      if (second.kind !== "kernel" || !independent(list, a, b)) continue;
      const merged = mergePair(first, second);
      if (!merged || !canBind(merged.buffers)) continue;
      first = merged;
      list[a] = merged;
      list.splice(b, 1);
      b--;
    }
  }
  return list;
}

/** Leaves out stores into temporaries that nothing reads any more, because merged kernels pass the value on directly. */
export function dropDeadStores(instructions: readonly Instruction[]): Instruction[] {
  const read = new Set(instructions.flatMap(reads));
  const prune = (list: readonly Instruction[]): Instruction[] =>
    list.map((i): Instruction => {
      if (i.kind === "loop") return { ...i, body: prune(i.body) };
      if (i.kind !== "kernel" || i.kernel.stores.length === 1) return i;
      const stores = i.kernel.stores.filter((s) => {
        const target = root(i.buffers[s.buffer]);
        return target.place.kind !== "temp" || read.has(target);
      });
      return stores.length && stores.length < i.kernel.stores.length ? withStores(i, stores) : i;
    });
  return prune(instructions);
}

/** The kernel with these stores only, and only the buffers that they need. */
export function withStores(instruction: KernelInstruction, stores: readonly Store[]): KernelInstruction {
  const { kernel, buffers } = instruction;
  const used = new Set(stores.map((s) => s.buffer));
  for (const s of stores)
    walk(s.value, (e) => {
      if (e.op === "load") used.add(e.buffer);
    });
  const kept = [...used].sort((a, b) => a - b);
  const { expr, index } = rewriter({ load: (load) => ({ ...load, buffer: kept.indexOf(load.buffer) }) });
  return {
    kind: "kernel",
    buffers: kept.map((b) => buffers[b]),
    kernel: {
      axes: kernel.axes,
      buffers: kept.map((b) => kernel.buffers[b]),
      stores: stores.map((s) => ({
        ...s,
        buffer: kept.indexOf(s.buffer),
        index: index(s.index),
        value: expr(s.value),
      })),
    },
  };
}

/** Whether instruction b can run right after instruction a: nothing in between touches what it writes or writes what it reads. */
export function independent(list: readonly Instruction[], a: number, b: number): boolean {
  const [read, written] = [new Set(reads(list[b])), new Set(writes(list[b]))];
  for (let i = a + 1; i < b; i++) {
    if (writes(list[i]).some((x) => read.has(x) || written.has(x))) return false;
    if (reads(list[i]).some((x) => written.has(x))) return false;
  }
  return true;
}

const reductionsOf = (stores: readonly Store[]): Reduce[] => {
  const found = new Set<Reduce>();
  for (const { value } of stores)
    walk(value, (e) => {
      if (e.op === "reduce") found.add(e);
    });
  return [...found];
};

const sizes = (axes: readonly LoopVar[]) => axes.map((v) => v.size).join(",");

/** Whether one loop over the terms can serve all reductions: same terms, and none needs another's result. */
function oneDomain(reductions: readonly Reduce[]): boolean {
  const [first] = reductions;
  return reductions.every((r) => {
    let flat = r.kind !== "argmax" && r.kind !== "argmin" && sizes(r.axes) === sizes(first.axes);
    walk(r.body, (e) => {
      if (e.op === "reduce") flat = false;
    });
    return flat;
  });
}

function mergePair(first: KernelInstruction, second: KernelInstruction): KernelInstruction | null {
  if (!shares(first, second) || first.kernel.axes.length === 0) return null;
  const same = sizes(first.kernel.axes) === sizes(second.kernel.axes);
  const aligned = same ? ([first.kernel, second.kernel] as const) : alignAxes(first.kernel, second.kernel);
  if (!aligned) return null;
  const [a, b] = aligned;
  const [ra, rb] = [reductionsOf(a.stores), reductionsOf(b.stores)];
  if ((ra.length === 0) !== (rb.length === 0) || !oneDomain([...ra, ...rb])) return null;
  const buffers = [...first.buffers];
  const kinds: KernelBuffer[] = [...a.buffers];
  const numbers = second.buffers.map((buffer, i): number => {
    const kind = b.buffers[i];
    const at = buffers.findIndex((x, j) => x === buffer && kinds[j].written === kind.written);
    if (at >= 0) return at;
    kinds.push(kind);
    return buffers.push(buffer) - 1;
  });
  const elements = [...new Set(buffers)].reduce((n, x) => n + x.size, 0);
  if (buffers.length > (elements <= cachedElements ? mostCachedBuffers : mostBuffers)) return null;

  const rename = new Map<LoopVar, LoopVar>(b.axes.map((v, i) => [v, a.axes[i]]));
  for (const r of rb) for (const [i, v] of r.axes.entries()) rename.set(v, ra[0].axes[i]);
  for (const r of ra) for (const [i, v] of r.axes.entries()) rename.set(v, ra[0].axes[i]);
  const toFirst = (v: LoopVar) => rename.get(v) ?? v;
  const variables = {
    variable: (v: LoopVar) => ofVar(toFirst(v)),
    axes: (axes: readonly LoopVar[]) => axes.map(toFirst),
  };

  const mine = rewriter(variables);
  const kept = a.stores.map((s): Store => ({ ...s, index: mine.index(s.index), value: mine.expr(s.value) }));
  const stored = (buffer: Buffer) => kept.filter((s) => first.buffers[s.buffer] === buffer);
  const loads = new Map<string, Load>();
  for (const s of kept)
    walk(s.value, (e) => {
      if (e.op === "load") loads.set(`${e.buffer}@${e.index.key}`, e);
    });
  let allowed = true;
  const theirs = rewriter({
    ...variables,
    load(load) {
      const stores = stored(second.buffers[load.buffer]);
      if (stores.length) {
        // What the first kernel has just stored at this position needs no load.
        const own = stores.find((s) => s.index.key === load.index.key);
        if (own) return own.value;
        allowed = false;
      }
      const buffer = numbers[load.buffer];
      return loads.get(`${buffer}@${load.index.key}`) ?? { ...load, buffer };
    },
  });
  const added = b.stores.map(
    (s): Store => ({ buffer: numbers[s.buffer], index: theirs.index(s.index), value: theirs.expr(s.value) }),
  );
  // What the second overwrites, the first may read at the position being written alone.
  const overwritten = new Map(added.map((s) => [root(buffers[s.buffer]), s.index.key] as const));
  for (const load of loads.values()) {
    const at = overwritten.get(root(buffers[load.buffer]));
    if (at !== undefined && (ra.length > 0 || at !== load.index.key)) allowed = false;
  }
  const stores = [...kept, ...added];
  // A result of the first that stands in the terms of a reduction of the second is not known yet.
  if (!allowed || !oneDomain(reductionsOf(stores))) return null;
  // What the second kernel read from the first one's results is loaded no more.
  const merged = withStores({ kind: "kernel", buffers, kernel: { axes: a.axes, buffers: kinds, stores } }, stores);
  return same ? merged : { ...merged, kernel: fitAxes(merged.kernel) };
}

/** Whether one pass saves reading something twice, or writes parts of one buffer. */
function shares(first: KernelInstruction, second: KernelInstruction): boolean {
  const used = new Set([...first.buffers.filter((b) => b.size > 256), ...writes(first)]);
  return second.buffers.some((b) => used.has(b));
}
