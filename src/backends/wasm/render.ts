import type { Reduce } from "../../compiler/expr.ts";
import type { LoopVar } from "../../compiler/idx.ts";
import type { Kernel, Store } from "../../compiler/kernel.ts";
import { costPerElement, outerAxes, runsAcross, topReductions } from "../../compiler/reductions.ts";
import { byteSize } from "../../core/dtype.ts";
import {
  add,
  type FunctionBuilder,
  i32,
  type Local,
  ModuleBuilder,
  minOf,
  mul,
  op,
  sub,
  type Value,
} from "./assembler.ts";
import type { Call, WorkFunction } from "./call.ts";
import { Evaluator, type Source } from "./evaluate.ts";
import { importMath } from "./f64-functions.ts";
import { type Binding, Frame, type Held } from "./frame.ts";
import { laneBindings, reduceEach, reduceNested, unrollFor, wholeLoop } from "./reduce.ts";
import { reduceAlong } from "./reduce-along.ts";

/** What a kernel is as a call, but for its buffers. */
export type RenderedKernel = Omit<Call, "buffers">;

/** Results that one item of work covers when a reduction runs across memory; fewer where each takes long. */
const strip = 64;
const shortStrip = 16;
const longTerms = 1024;
/** Work, in elements times cost, that is worth waking a thread for. */
const threadWork = 16384;
/** Positions of the outer loop that keep the threads busy. */
const enoughPieces = 64;

type Tops = readonly (readonly Reduce[])[];

const count = (axes: readonly LoopVar[]): number => axes.reduce((n, v) => n * v.size, 1);

/** Renders one kernel of loop IR. Extents and strides become parameters, so equal forms give equal functions. */
export function renderKernel(kernel: Kernel): RenderedKernel {
  // Written once to see its parameters and its code, which tells it from other functions.
  const draft = new ModuleBuilder({ initial: 1, maximum: 1, shared: false });
  importMath(draft);
  let params: readonly number[] = [];
  let items = { range: 1, grain: 1 };
  const write: WorkFunction["build"] = (f, module, ctx, begin, end) => {
    const renderer = new Renderer(kernel, f, module, ctx, begin, end);
    items = renderer.render();
    params = renderer.params;
  };
  draft.function("k", ["i32", "i32", "i32", "i32"], null, (f, ctx, begin, end, thread) => {
    write(f, draft, ctx, begin, end, thread);
    return undefined;
  });
  const key = `kernel ${new TextDecoder("latin1").decode(draft.encode())}`;
  const threadBytes = kernel.buffers.reduce((bytes, { row, dtype }) => bytes + rowBytes(row ?? 0, byteSize(dtype)), 0);
  return { work: { key, build: write }, params, ...items, threadBytes };
}

const rowBytes = (elements: number, size: number): number => Math.ceil((elements * size) / 16) * 16;

class Renderer {
  private readonly kernel: Kernel;
  private readonly f: FunctionBuilder;
  private readonly begin: Local;
  private readonly end: Local;
  private readonly frame: Frame;
  private readonly evaluator: Evaluator;

  constructor(kernel: Kernel, f: FunctionBuilder, module: ModuleBuilder, ctx: Local, begin: Local, end: Local) {
    this.kernel = kernel;
    this.f = f;
    this.begin = begin;
    this.end = end;
    const inProgram = kernel.buffers.filter(({ row }) => row === undefined).length;
    this.frame = new Frame(f, module, ctx, inProgram);
    let next = 0;
    const sources = kernel.buffers.map(({ dtype, row }): Source => {
      if (row === undefined) return { dtype, own: null };
      const own = next;
      next += rowBytes(row, byteSize(dtype));
      return { dtype, own };
    });
    this.evaluator = new Evaluator(this.frame, sources, (r, isLanes): Held => reduceNested(this.evaluator, r, isLanes));
  }

  get params(): readonly number[] {
    return this.frame.params;
  }

  render(): { readonly range: number; readonly grain: number } {
    const { axes, stores } = this.kernel;
    if (stores[0].inner) return this.rows();
    const tops = topReductions(stores);
    const last = axes.at(-1);
    let range = 1;
    if (last === undefined) this.position(stores, tops);
    else if (tops.length > 0 && runsAcross(tops, last)) range = this.strips(axes.slice(0, -1), last, tops);
    else if (axes.length === 1) {
      range = last.size;
      this.alongAxis(last, this.begin, this.end, null, stores, tops);
    } else {
      const outer = outerAxes(axes, enoughPieces);
      range = count(outer);
      this.items(outer, () => this.nest(axes.slice(outer.length), stores, tops));
    }
    const work = count(axes) * costPerElement(stores, tops);
    return { range, grain: grainFor(work, range) };
  }

  /** For every item of work, a position of `axes`. */
  private items(
    axes: readonly LoopVar[],
    write: (item: Local) => void,
    toPosition = (item: Local): Value => item,
  ): void {
    const { f, frame } = this;
    for (const v of axes) frame.int(v.size);
    frame.mark();
    f.range(this.begin, this.end, 1, (item) => {
      const bindings = new Map<LoopVar, Binding>();
      let rest: Local = f.let(toPosition(item));
      for (const v of [...axes].reverse()) {
        const at = v === axes[0] ? rest : f.let(op("i32.rem_u", rest, frame.int(v.size)));
        if (v !== axes[0]) rest = f.let(op("i32.div_u", rest, frame.int(v.size)));
        bindings.set(v, { at, offset: 0, isLanes: false });
      }
      frame.block(() => write(item), bindings);
    });
  }

  /** Loops over whole axes, the last of them in lanes if that is possible. */
  private nest(axes: readonly LoopVar[], stores: readonly Store[], tops: Tops): void {
    const [v, ...rest] = axes;
    if (v === undefined) this.position(stores, tops);
    else if (rest.length === 0) this.alongAxis(v, i32(0), this.frame.int(v.size), v.size, stores, tops);
    else wholeLoop(this.evaluator, v, () => this.nest(rest, stores, tops));
  }

  /** Row by row, the stores in their order, those with the same inner loops together. */
  private rows(): { readonly range: number; readonly grain: number } {
    const { axes, stores: all } = this.kernel;
    const { frame } = this;
    let work = 0;
    this.items(axes, () => {
      for (let from = 0; from < all.length; ) {
        const inner = all[from].inner as readonly LoopVar[];
        const next = all.findIndex((s, i) => i > from && s.inner !== inner);
        const stores = all.slice(from, next < 0 ? all.length : next);
        from += stores.length;
        const tops = topReductions(stores);
        work += count(inner) * costPerElement(stores, tops);
        // Loads stay here: what they read may be stored in the loops before.
        frame.mark();
        frame.block(() => this.nest(inner, stores, tops), undefined, true);
      }
    });
    return { range: count(axes), grain: grainFor(work, 1) };
  }

  /** One result of each store. */
  private position(stores: readonly Store[], tops: Tops): void {
    const { evaluator, frame } = this;
    frame.mark();
    frame.block(() => {
      for (const group of tops) this.keep(group, reduceAlong(evaluator, group));
      this.storeOne(stores);
    });
  }

  private keep(group: readonly Reduce[], results: readonly Held[]): void {
    group.forEach((r, i) => {
      this.frame.keep(r, results[i]);
    });
  }

  private storeOne(stores: readonly Store[]): void {
    // All values before any store: a store may overwrite what another value reads.
    const values = stores.map((s) => this.evaluator.one(s.value));
    stores.forEach((s, i) => {
      this.evaluator.storeOne(s, values[i]);
    });
  }

  /** Positions `first` to `limit` of an axis; `size` is their number if it is the same every time. */
  private alongAxis(
    v: LoopVar,
    first: Value,
    limit: Value,
    size: number | null,
    stores: readonly Store[],
    tops: Tops,
  ): void {
    const { f, frame } = this;
    if (tops.length > 0 && !runsAcross(tops, v)) {
      frame.mark();
      f.range(first, limit, 1, (at) =>
        frame.block(() => this.position(stores, tops), new Map([[v, { at, offset: 0, isLanes: false }]])),
      );
      return;
    }
    this.inLanes(v, first, limit, size, stores, tops);
  }

  /** The same, four neighbours at once, several such side by side, and what is left one by one. */
  private inLanes(
    v: LoopVar,
    first: Value,
    limit: Value,
    size: number | null,
    stores: readonly Store[],
    tops: Tops,
  ): void {
    const { f, frame } = this;
    const at = f.let(first);
    const left = size ?? Number.POSITIVE_INFINITY;
    const reductions = tops.flat();
    const written = [...stores.map((s) => s.value), ...reductions.map((r) => r.body)];
    const unroll = unrollFor(written, tops.length ? 8 : 4, reductions);
    const steps = (copies: number) => {
      const step = 4 * copies;
      const stop = f.let(add(at, op("i32.and", sub(limit, at), i32(-step))));
      frame.mark();
      f.for(at, stop, step, () =>
        frame.block(() => this.lanesOf(laneBindings(this.evaluator, v, at, copies), stores, tops)),
      );
    };
    if (unroll > 1 && left >= 4 * unroll) steps(unroll);
    if (left >= 4 && (unroll === 1 || size === null || size % (4 * unroll) >= 4)) steps(1);
    if (size !== null && size % 4 === 0) return;
    frame.mark();
    f.for(at, limit, 1, () =>
      frame.block(
        () => {
          for (const group of tops) this.keep(group, reduceEach(this.evaluator, group, [null])[0]);
          this.storeOne(stores);
        },
        new Map([[v, { at, offset: 0, isLanes: false }]]),
      ),
    );
  }

  /** Four results of each store for each of the bindings. */
  private lanesOf(copies: readonly ReadonlyMap<LoopVar, Binding>[], stores: readonly Store[], tops: Tops): void {
    const { frame, evaluator } = this;
    const known: [group: readonly Reduce[], results: readonly Held[]][][] = copies.map(() => []);
    const inCopy = <T>(c: number, write: () => T): T => {
      frame.mark();
      return frame.block(() => {
        for (const [group, results] of known[c]) this.keep(group, results);
        return write();
      }, copies[c]);
    };
    // One after the other where a reduction is made of others.
    for (const group of tops)
      if (tops.length > 1)
        copies.forEach((_, c) => {
          const results = inCopy(c, () => reduceEach(evaluator, group, [null])[0]);
          known[c].push([group, results]);
        });
      else
        reduceEach(evaluator, group, copies).forEach((results, c) => {
          known[c].push([group, results]);
        });
    const values = copies.map((_, c) => inCopy(c, () => stores.map((s) => evaluator.lanes(s.value))));
    copies.forEach((_, c) => {
      inCopy(c, () =>
        stores.forEach((s, i) => {
          evaluator.storeLanes(s, values[c][i]);
        }),
      );
    });
  }

  /** Strips of neighbouring results: the reductions run across memory, each step adds one row of terms to the strip. */
  private strips(outer: readonly LoopVar[], last: LoopVar, tops: Tops): number {
    const { f, frame } = this;
    const width = tops.some(([r]) => count(r.axes) > longTerms) ? shortStrip : strip;
    const perRow = Math.ceil(last.size / width);
    const rowOf = (item: Local) => (perRow === 1 ? item : op("i32.div_u", item, frame.int(perRow)));
    const size = frame.int(last.size);
    const write = (item: Local) => {
      const inRow = perRow === 1 ? i32(0) : op("i32.rem_u", item, frame.int(perRow));
      const first = f.let(mul(inRow, width));
      const limit = f.let(minOf(size, f.let(add(first, width))));
      this.inLanes(last, first, limit, perRow === 1 ? last.size : null, this.kernel.stores, tops);
    };
    frame.int(perRow);
    this.items(outer, write, rowOf);
    return count(outer) * perRow;
  }
}

const grainFor = (work: number, range: number): number =>
  Math.max(1, Math.ceil(threadWork / Math.max(1, work / Math.max(1, range))));
