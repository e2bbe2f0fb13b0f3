import type { Expr, Reduce } from "../../compiler/expr.ts";
import type { LoopVar } from "../../compiler/idx.ts";
import { isFloat } from "../../core/dtype.ts";
import { add, i32, type Local, minOf, op, select, type Value } from "./assembler.ts";
import type { Evaluator } from "./evaluate.ts";
import { type Fold, foldOf } from "./fold.ts";
import type { Binding, Held } from "./frame.ts";
import { castLanes, type Lanes, laneCall, pickLanes, splat } from "./lane-ops.ts";
import { castScalar, scalarCall, scalarConstant } from "./scalar-ops.ts";

export const isPosition = ({ kind }: Reduce): boolean => kind === "argmax" || kind === "argmin";

/** Sums of more f32 run in f64 where results lie side by side. */
const mostShort = 64;

/** Terms of f32 that are added in f32 before they go to a sum in f64. */
const stagedTerms = 16;

/** A loop over a whole axis. */
export function wholeLoop(evaluator: Evaluator, v: LoopVar, write: () => void): void {
  const { frame } = evaluator;
  const limit = frame.int(v.size);
  frame.mark();
  frame.f.range(0, limit, 1, (at) => frame.block(write, new Map([[v, { at, offset: 0, isLanes: false }]])));
}

export function wholeLoops(evaluator: Evaluator, [v, ...rest]: readonly LoopVar[], write: () => void): void {
  if (v === undefined) write();
  else wholeLoop(evaluator, v, () => wholeLoops(evaluator, rest, write));
}

/** The same, with `flush` after every few terms, and in the end. */
function stagedLoops(evaluator: Evaluator, axes: readonly LoopVar[], write: () => void, flush: () => void): void {
  const { frame } = evaluator;
  const { f } = frame;
  const v = axes[axes.length - 1];
  wholeLoops(evaluator, axes.slice(0, -1), () => {
    const size = frame.int(v.size);
    frame.mark();
    f.range(0, size, stagedTerms, (first) =>
      frame.block(() => {
        const limit = f.let(minOf(f.let(add(first, stagedTerms)), size));
        frame.mark();
        f.range(first, limit, 1, (at) => frame.block(write, new Map([[v, { at, offset: 0, isLanes: false }]])));
        flush();
      }),
    );
  });
}

/** How many vectors are computed side by side: fewer where they take long anyway. What is `known` costs nothing. */
export function unrollFor(expressions: readonly Expr[], most: number, known: readonly Expr[] = []): number {
  const seen = new Set<Expr>(known);
  let cost = 0;
  const visit = (e: Expr): void => {
    if (seen.has(e)) return;
    seen.add(e);
    cost += e.op === "guard" || e.op === "random" || e.op === "reduce" ? 16 : e.op === "call" ? callCost(e.name) : 1;
    if (e.op === "call") e.args.forEach(visit);
  };
  expressions.forEach(visit);
  return cost <= 6 ? most : cost <= 12 ? Math.min(4, most) : cost <= 20 ? Math.min(2, most) : 1;
}

const callCost = (name: string): number => (/exp|log|sin|cos|atan|tanh|erf|pow|mod/.test(name) ? 12 : 1);

/** Four values at once for `v` from `at` on, `copies` times side by side; to be called in the block of the loop. */
export function laneBindings(
  { frame }: Evaluator,
  v: LoopVar,
  at: Value,
  copies: number,
): ReadonlyMap<LoopVar, Binding>[] {
  return Array.from(
    { length: copies },
    (_, k) => new Map([[v, { at, offset: 4 * k, isLanes: true, home: frame.depth }]]),
  );
}

type Bindings = ReadonlyMap<LoopVar, Binding> | null;

/**
 * Reductions over the same terms, for each of `copies`: one result each, or four side by side where a copy binds lanes.
 * Returns the results of each copy.
 */
export function reduceEach(
  evaluator: Evaluator,
  group: readonly Reduce[],
  copies: readonly Bindings[],
): readonly (readonly Held[])[] {
  const { frame } = evaluator;
  const { f } = frame;
  const { axes } = group[0];
  const terms = axes.reduce((n, v) => n * v.size, 1);
  const within = <T>(bindings: Bindings, write: () => T): T => {
    if (bindings === null) return write();
    frame.mark();
    return frame.block(write, bindings);
  };
  const states = copies.map((bindings) =>
    within(bindings, () => {
      const isLanes = group.some((r) => frame.reach(r).isLanes);
      return group.map((r) =>
        isPosition(r) ? new Place(evaluator, r, isLanes) : new Sum(evaluator, r, isLanes, terms),
      );
    }),
  );
  const counter = group.some(isPosition) ? f.let(i32(0)) : null;
  const loops = states.flat().some((state) => state.isStaged) ? stagedLoops : wholeLoops;
  const step = () => {
    copies.forEach((bindings, c) => {
      // What a copy has computed is not known to the next.
      frame.mark();
      frame.block(() => {
        for (const state of states[c]) state.step(counter ?? i32(0));
      }, bindings ?? undefined);
    });
    if (counter) f.set(counter, add(counter, 1));
  };
  loops(evaluator, axes, step, () => {
    for (const state of states.flat()) state.flush();
  });
  return states.map((copy) => copy.map((state) => state.result()));
}

/** A sum, product or extreme on the way. */
class Sum {
  private readonly evaluator: Evaluator;
  private readonly r: Reduce;
  private readonly fold: Fold;
  private readonly isLanes: boolean;
  private readonly parts: readonly Local[];
  /** The sum of the last few terms, in f32, where that of all is in f64. */
  private readonly near: Local | null;

  constructor(evaluator: Evaluator, r: Reduce, isLanes: boolean, terms: number) {
    this.evaluator = evaluator;
    this.r = r;
    this.isLanes = isLanes;
    this.fold = foldOf(r.kind, r.dtype, isLanes && terms <= mostShort);
    const { f } = evaluator.frame;
    const start = f.let(scalarConstant(this.fold.start, this.fold.dtype));
    this.parts = isLanes ? splat(start, this.fold.dtype).map((v) => f.let(v)) : [start];
    const isLong = isLanes && r.kind === "sum" && r.dtype === "f32" && terms > mostShort;
    this.near = isLong ? f.let(evaluator.frame.f32x4(0)) : null;
  }

  get isStaged(): boolean {
    return this.near !== null;
  }

  /** Adds what has been added up in f32. */
  flush(): void {
    const { near } = this;
    const { frame } = this.evaluator;
    if (!near) return;
    this.join(castLanes(frame, [near], "f32", "f64").map((v) => frame.f.let(v)));
    frame.f.set(near, frame.f32x4(0));
  }

  private join(term: Lanes): void {
    const { frame } = this.evaluator;
    const { join, dtype } = this.fold;
    laneCall(frame, join, [this.parts, term], dtype, dtype).forEach((v, i) => {
      frame.f.set(this.parts[i], v);
    });
  }

  step(): void {
    const { frame } = this.evaluator;
    const { f } = frame;
    const { body } = this.r;
    const { join, dtype } = this.fold;
    if (!this.isLanes) {
      const [sum] = this.parts;
      const term = f.let(castScalar(this.evaluator.one(body), body.dtype, dtype));
      f.set(sum, scalarCall(frame, join, [sum, term], dtype, dtype));
      return;
    }
    const term = this.evaluator.lanes(body);
    if (this.near) f.set(this.near, op("f32x4.add", this.near, term[0]));
    else this.join(castLanes(frame, term, body.dtype, dtype).map((v) => f.let(v)));
  }

  result(): Held {
    const { frame } = this.evaluator;
    const { f } = frame;
    if (!this.isLanes) return { one: f.let(castScalar(this.parts[0], this.fold.dtype, this.r.dtype)) };
    return { lanes: castLanes(frame, this.parts, this.fold.dtype, this.r.dtype).map((v) => f.let(v)) };
  }
}

/** The position of an extreme on the way, of which nothing is staged: a later term replaces it if it is strictly better, or the first NaN. */
class Place {
  private readonly evaluator: Evaluator;
  private readonly r: Reduce;
  private readonly isLanes: boolean;
  private readonly best: readonly Local[];
  private readonly at: Local;
  readonly isStaged = false;

  constructor(evaluator: Evaluator, r: Reduce, isLanes: boolean) {
    this.evaluator = evaluator;
    this.r = r;
    this.isLanes = isLanes;
    const { f } = evaluator.frame;
    const { dtype } = r.body;
    const start = f.let(scalarConstant(foldOf(r.kind, dtype, true).start, dtype));
    this.best = isLanes ? splat(start, dtype).map((v) => f.let(v)) : [start];
    this.at = f.local(isLanes ? "v128" : "i32");
    if (isLanes) f.set(this.at, op("v128.xor", this.at, this.at));
    else f.set(this.at, i32(0));
  }

  step(counter: Value): void {
    const { frame } = this.evaluator;
    const { f } = frame;
    const { body, kind } = this.r;
    const { dtype } = body;
    const compare = kind === "argmax" ? "gt" : "lt";
    if (this.isLanes) {
      const value = this.evaluator.lanes(body);
      const call = (name: string, x: Lanes, y: Lanes) => f.let(laneCall(frame, name, [x, y], dtype, "bool")[0]);
      let wins: Value = call(compare, value, this.best);
      if (isFloat(dtype)) {
        const firstNaN = op("v128.and", call("ne", value, value), call("eq", this.best, this.best));
        wins = f.let(op("v128.or", wins, firstNaN));
      }
      pickLanes(wins, value, this.best, dtype).forEach((v, i) => {
        f.set(this.best[i], v);
      });
      f.set(this.at, op("v128.bitselect", op("i32x4.splat", counter), this.at, wins));
      return;
    }
    const [best] = this.best;
    const value = this.evaluator.one(body);
    const call = (name: string, x: Value, y: Value) => scalarCall(frame, name, [x, y], dtype, "bool");
    const better = call(compare, value, best);
    const firstNaN = () => op("i32.and", call("ne", value, value), call("eq", best, best));
    const wins = f.let(isFloat(dtype) ? op("i32.or", better, firstNaN()) : better);
    f.set(best, select(wins, value, best));
    f.set(this.at, select(wins, counter, this.at));
  }

  flush(): void {}

  result(): Held {
    return this.isLanes ? { lanes: [this.at] } : { one: this.at };
  }
}

/** A reduction inside of a loop that it depends on. */
export function reduceNested(evaluator: Evaluator, r: Reduce, isLanes: boolean): Held {
  const [[held]] = reduceEach(evaluator, [r], [null]);
  if (isLanes !== "lanes" in held) throw new Error(`wasm: a ${r.kind} is ${isLanes ? "not " : ""}in lanes`);
  return held;
}
