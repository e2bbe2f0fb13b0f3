import type { Reduce } from "../../compiler/expr.ts";
import type { LoopVar } from "../../compiler/idx.ts";
import { innermost } from "../../compiler/reductions.ts";
import type { DType } from "../../core/dtype.ts";
import { extract, i32, type Local, op, shuffle32, type Value } from "./assembler.ts";
import type { Evaluator } from "./evaluate.ts";
import { type Fold, foldOf } from "./fold.ts";
import type { Frame, Held } from "./frame.ts";
import { castLanes, type Lanes, laneCall, splat } from "./lane-ops.ts";
import { isPosition, laneBindings, reduceEach, unrollFor, wholeLoops } from "./reduce.ts";
import { castScalar, scalarCall, scalarConstant } from "./scalar-ops.ts";

/** Fewer terms along memory are added one by one. */
const leastAlong = 16;

/** A reduction whose terms are taken four at a time, and one by one at the end. */
interface Running {
  readonly r: Reduce;
  readonly fold: Fold;
  readonly lanes: readonly Local[];
  readonly rest: Local;
}

/** Reductions over the same terms, with one result each, which run along memory if that is worth it. */
export function reduceAlong(evaluator: Evaluator, group: readonly Reduce[]): readonly Held[] {
  const inner = innermost(group);
  if (group.some(isPosition) || inner.size < leastAlong) return reduceEach(evaluator, group, [null])[0];
  const running = group.map((r) => start(evaluator.frame, r));
  const bodies = group.map((r) => r.body);
  const unroll = unrollFor(bodies, 8);
  const outer = group[0].axes.filter((v) => v !== inner);
  wholeLoops(evaluator, outer, () => {
    const at = evaluator.frame.f.let(i32(0));
    if (unroll > 1 && inner.size >= 4 * unroll) takeLanes(evaluator, running, inner, at, unroll);
    if (unroll === 1 || inner.size % (4 * unroll) >= 4) takeLanes(evaluator, running, inner, at, 1);
    if (inner.size % 4 !== 0) takeRest(evaluator, running, inner, at);
  });
  return running.map((state) => ({ one: finish(evaluator.frame, state) }));
}

function start({ f }: Frame, r: Reduce): Running {
  const fold = foldOf(r.kind, r.dtype, false);
  const rest = f.let(scalarConstant(fold.start, fold.dtype));
  return { r, fold, lanes: splat(rest, fold.dtype).map((v) => f.let(v)), rest };
}

const joinLanes = (frame: Frame, { join }: Fold, x: Lanes, y: Lanes, dtype: DType): Lanes =>
  laneCall(frame, join, [x, y], dtype, dtype).map((v) => frame.f.let(v));

/** Steps of `copies` vectors each: their terms are joined in pairs before they go to the lanes. */
function takeLanes(evaluator: Evaluator, running: readonly Running[], v: LoopVar, at: Local, copies: number): void {
  const { frame } = evaluator;
  const { f } = frame;
  const step = 4 * copies;
  const stop = f.let(op("i32.and", frame.int(v.size), i32(-step)));
  frame.mark();
  f.for(at, stop, step, () =>
    frame.block(() => {
      const terms = laneBindings(evaluator, v, at, copies).map((binding) => {
        frame.mark();
        return frame.block(() => running.map(({ r }) => evaluator.lanes(r.body)), binding);
      });
      running.forEach(({ r, fold, lanes }, k) => {
        const own = terms.map((t) => t[k]);
        // A product of f32 may leave their range on the way.
        const joined = r.kind === "prod" ? own : [inPairs(own, (x, y) => joinLanes(frame, fold, x, y, r.body.dtype))];
        for (const term of joined) {
          const wide = castLanes(frame, term, r.body.dtype, fold.dtype).map((x) => f.let(x));
          const next = joinLanes(frame, fold, lanes, wide, fold.dtype);
          lanes.forEach((lane, i) => {
            f.set(lane, next[i]);
          });
        }
      });
    }),
  );
}

/** What is left of an axis from `at` on. */
function takeRest(evaluator: Evaluator, running: readonly Running[], v: LoopVar, at: Local): void {
  const { frame } = evaluator;
  const { f } = frame;
  const limit = frame.int(v.size);
  const takeOne = () => {
    for (const { r, fold, rest } of running) {
      const term = castScalar(evaluator.one(r.body), r.body.dtype, fold.dtype);
      f.set(rest, scalarCall(frame, fold.join, [rest, f.let(term)], fold.dtype, fold.dtype));
    }
  };
  frame.mark();
  f.for(at, limit, 1, () => frame.block(takeOne, new Map([[v, { at, offset: 0, isLanes: false }]])));
}

function finish(frame: Frame, { r, fold, lanes, rest }: Running): Value {
  const all = scalarCall(frame, fold.join, [acrossLanes(frame, lanes, fold), rest], fold.dtype, fold.dtype);
  return frame.f.let(castScalar(frame.f.let(all), fold.dtype, r.dtype));
}

/** The terms of all lanes as one. */
function acrossLanes(frame: Frame, lanes: Lanes, fold: Fold): Value {
  const { f } = frame;
  const { join, dtype } = fold;
  const both = (x: Value, y: Value): Value => joinLanes(frame, fold, [x], [f.let(y)], dtype)[0];
  const [first] = lanes;
  if (dtype === "f64") {
    const sum = both(first, lanes[1]);
    const two = [0, 1].map((i) => f.let(extract("f64x2", sum, i)));
    return f.let(scalarCall(frame, join, two, dtype, dtype));
  }
  const two = both(first, shuffle32(first, first, [2, 3, 2, 3]));
  const one = both(two, shuffle32(two, two, [1, 1, 1, 1]));
  const value = extract(dtype === "f32" ? "f32x4" : "i32x4", one, 0);
  return f.let(dtype === "bool" ? op("i32.and", value, i32(1)) : value);
}

function inPairs<T>(items: readonly T[], join: (x: T, y: T) => T): T {
  let list = [...items];
  while (list.length > 1)
    list = Array.from({ length: Math.ceil(list.length / 2) }, (_, i) =>
      2 * i + 1 < list.length ? join(list[2 * i], list[2 * i + 1]) : list[2 * i],
    );
  return list[0];
}
