import type { Expr, Load, Reduce } from "../../compiler/expr.ts";
import type { Idx } from "../../compiler/idx.ts";
import type { Test } from "../../compiler/ir.ts";
import type { Store } from "../../compiler/kernel.ts";
import { byteSize, type DType } from "../../core/dtype.ts";
import { add, extract, i32, type Local, load, op, type Value } from "./assembler.ts";
import type { Frame, Held } from "./frame.ts";
import { castLanes, fromFour, fromMask, type Lanes, laneCall, laneOf, pickLanes, splat } from "./lane-ops.ts";
import { Positions } from "./positions.ts";
import { castScalar, scalarCall, scalarConstant, scalarType } from "./scalar-ops.ts";

/** A buffer as a kernel finds it. */
export interface Source {
  readonly dtype: DType;
  /** Where it lies in the thread's own memory, in bytes; null for one of the program's. */
  readonly own: number | null;
}

const loadNames: Partial<Record<DType, string>> = {
  f32: "f32.load",
  f64: "f64.load",
  u8: "i32.load8_u",
  bool: "i32.load8_u",
};
const storeNames: Partial<Record<DType, string>> = {
  f32: "f32.store",
  f64: "f64.store",
  u8: "i32.store8",
  bool: "i32.store8",
};

/** Computes the expressions of a kernel, each once in the outermost block where that is possible. */
export class Evaluator {
  readonly frame: Frame;
  private readonly sources: readonly Source[];
  private readonly reduce: (r: Reduce, lanes: boolean) => Held;
  private readonly positions: Positions;
  private readonly numbers = new Map<Expr, number>();
  /** Tests around what is being written: addresses may lie outside of their buffers until all hold. */
  private guards = 0;

  /** `reduce` writes a reduction inside of a loop that it depends on. */
  constructor(frame: Frame, sources: readonly Source[], reduce: (r: Reduce, lanes: boolean) => Held) {
    this.frame = frame;
    this.sources = sources;
    this.reduce = reduce;
    this.positions = new Positions(frame, {
      one: (e) => castScalar(this.one(e), e.dtype, "i32"),
      lanes: (e) => castLanes(frame, this.lanes(e), e.dtype, "i32").map((v) => frame.f.let(v)),
    });
  }

  /** A value that is the same in all lanes, or of which there is one. */
  one(e: Expr): Value {
    const held = this.held(e);
    if ("lanes" in held) throw new Error(`wasm: ${e.op} differs between lanes`);
    return held.one;
  }

  /** A value in every lane. */
  lanes(e: Expr): Lanes {
    const { frame } = this;
    if (e.op === "const" && e.dtype !== "bool") {
      const vector = this.constantLanes(e.value, e.dtype);
      return e.dtype === "f64" ? [vector, vector] : [vector];
    }
    const held = this.held(e);
    if ("lanes" in held) return held.lanes;
    const { level } = frame.known(e, frame.reach(e).level) as { level: number };
    const number = this.numbers.get(e) ?? this.numbers.size;
    this.numbers.set(e, number);
    const vector = frame.integer(level, `splat ${number}`, () => splat(held.one, e.dtype)[0]);
    return e.dtype === "f64" ? [vector, vector] : [vector];
  }

  private constantLanes(value: number, dtype: DType): Value {
    const { frame } = this;
    return dtype === "f32" ? frame.f32x4(value) : dtype === "f64" ? frame.f64x2(value) : frame.i32x4(value);
  }

  private held(e: Expr): Held {
    const { frame } = this;
    const { level, isLanes } = frame.reach(e);
    const known = frame.known(e, level);
    if (known) return known.held;
    return frame.at(level, () => {
      const held = this.compute(e, isLanes);
      frame.keep(e, held);
      return held;
    });
  }

  private compute(e: Expr, isLanes: boolean): Held {
    const { f } = this.frame;
    const lanes = (values: Lanes): Held => ({ lanes: values.map((v) => f.let(v)) });
    const one = (value: Value): Held => ({ one: f.let(value) });
    switch (e.op) {
      case "const":
        return { one: scalarConstant(e.value, e.dtype) };
      case "load":
        return isLanes ? lanes(this.loadLanes(e)) : one(this.loadOne(e));
      case "index":
        return isLanes
          ? lanes(castLanes(this.frame, [this.positions.lanes(e.index)], "i32", e.dtype))
          : one(castScalar(this.positions.index(e.index), "i32", e.dtype));
      case "call": {
        const from = e.args[0].dtype;
        if (!isLanes)
          return one(
            scalarCall(
              this.frame,
              e.name,
              e.args.map((a) => this.one(a)),
              from,
              e.dtype,
            ),
          );
        return lanes(
          laneCall(
            this.frame,
            e.name,
            e.args.map((a) => this.lanes(a)),
            from,
            e.dtype,
          ),
        );
      }
      case "random":
        return isLanes ? lanes([this.random(e, true)]) : one(this.random(e, false));
      case "guard":
        return isLanes ? { lanes: this.guardLanes(e) } : { one: this.guardOne(e) };
      case "reduce":
        return this.reduce(e, isLanes);
    }
  }

  // Memory

  private address(buffer: number, index: Idx): { readonly base: Value; readonly offset: number } {
    const { dtype, own } = this.sources[buffer];
    const { frame } = this;
    const start =
      own === null ? frame.buffer(buffer) : frame.integer(0, `own ${own}`, () => add(frame.own(), frame.int(own)));
    const { base, offset } = this.positions.linear(index, byteSize(dtype), { key: `b${buffer}`, value: start });
    return offset >= 0 && this.guards === 0 ? { base, offset } : { base: add(base, frame.int(offset)), offset: 0 };
  }

  private loadOne({ buffer, index, dtype }: Load): Value {
    const { base, offset } = this.address(buffer, index);
    return load(loadNames[dtype] ?? "i32.load", base, offset);
  }

  private loadLanes({ buffer, index, dtype }: Load): Lanes {
    const { f } = this.frame;
    const step = this.positions.step(index);
    if (step === 1) return this.loadNeighbours(buffer, index, dtype);
    const name = loadNames[dtype] ?? "i32.load";
    if (step === null) {
      const start = this.address(buffer, { ...index, terms: [], offset: 0 });
      const positions = f.let(this.positions.lanes(index));
      const at = (lane: number) =>
        add(start.base, this.frame.times(extract("i32x4", positions, lane), byteSize(dtype)));
      return fromFour(
        [0, 1, 2, 3].map((lane) => load(name, at(lane))),
        dtype,
      );
    }
    const { base, offset } = this.address(buffer, index);
    const first = f.let(add(base, offset));
    const bytes = step * byteSize(dtype);
    const at = (lane: number) => (lane === 0 ? first : add(first, this.frame.int(lane * bytes)));
    return fromFour(
      [0, 1, 2, 3].map((lane) => load(name, at(lane))),
      dtype,
    );
  }

  private loadNeighbours(buffer: number, index: Idx, dtype: DType): Lanes {
    const { base, offset } = this.address(buffer, index);
    if (dtype === "f64") {
      const at = this.frame.f.let(base);
      return [load("v128.load", at, offset), load("v128.load", at, offset + 16)];
    }
    if (byteSize(dtype) === 4) return [load("v128.load", base, offset)];
    const bytes = op("i16x8.extend_low_i8x16_u", load("v128.load32_zero", base, offset));
    const words = op("i32x4.extend_low_i16x8_u", bytes);
    return dtype === "bool" ? [op("i32x4.ne", words, this.frame.i32x4(0))] : [words];
  }

  storeOne({ buffer, index }: Store, value: Value): void {
    const { base, offset } = this.address(buffer, index);
    this.frame.f.store(storeNames[this.sources[buffer].dtype] ?? "i32.store", base, value, offset);
  }

  storeLanes({ buffer, index }: Store, lanes: Lanes): void {
    const { f } = this.frame;
    const { dtype } = this.sources[buffer];
    const step = this.positions.step(index);
    if (step === 1) {
      this.storeNeighbours(buffer, index, lanes);
      return;
    }
    const name = storeNames[dtype] ?? "i32.store";
    const positions = f.let(this.positions.lanes(index));
    const { base } = this.address(buffer, { ...index, terms: [], offset: 0 });
    for (let lane = 0; lane < 4; lane++) {
      const at = add(base, this.frame.times(extract("i32x4", positions, lane), byteSize(dtype)));
      f.store(name, at, laneOf(lanes, dtype, lane));
    }
  }

  private storeNeighbours(buffer: number, index: Idx, lanes: Lanes): void {
    const { f } = this.frame;
    const { dtype } = this.sources[buffer];
    const { base, offset } = this.address(buffer, index);
    if (byteSize(dtype) === 1) {
      const words = dtype === "bool" ? fromMask(lanes[0]) : lanes[0];
      const halves = f.let(op("i16x8.narrow_i32x4_u", words, words));
      f.store("i32.store", base, extract("i32x4", op("i8x16.narrow_i16x8_u", halves, halves), 0), offset);
      return;
    }
    const at = lanes.length > 1 ? f.let(base) : base;
    lanes.forEach((vector, i) => {
      f.store("v128.store", at, vector, offset + 16 * i);
    });
  }

  // Random numbers

  /** Word 0 of Threefry-2x32, 20 rounds (Salmon et al. 2011). */
  private random({ state, index }: Extract<Expr, { op: "random" }>, lanes: boolean): Value {
    const { frame } = this;
    const { f } = frame;
    const constant = (n: number) => (lanes ? frame.i32x4(n) : i32(n));
    const sum = (x: Value, y: Value) => op(lanes ? "i32x4.add" : "i32.add", x, y);
    const xor = (x: Value, y: Value) => op(lanes ? "v128.xor" : "i32.xor", x, y);
    const rotate = (x: Value, n: number) =>
      lanes ? op("v128.or", op("i32x4.shl", x, i32(n)), op("i32x4.shr_u", x, i32(32 - n))) : op("i32.rotl", x, i32(n));
    const [k0, k1, counter] = state.map((s) => (lanes ? this.lanes(s)[0] : this.one(s)));
    const position = lanes ? this.positions.lanes(index) : this.positions.index(index);
    const k2 = f.let(xor(xor(k0, k1), constant(0x1bd11bda)));
    const keys = [k0, k1, k2];
    const a = f.let(sum(position, k0));
    const b = f.let(sum(counter, k1));
    const rotations = [
      [13, 15, 26, 6],
      [17, 29, 16, 24],
    ];
    for (let four = 0; four < 5; four++) {
      for (const n of rotations[four % 2]) {
        f.set(a, sum(a, b));
        f.set(b, xor(rotate(b, n), a));
      }
      f.set(a, sum(a, keys[(four + 1) % 3]));
      f.set(b, sum(sum(b, keys[(four + 2) % 3]), constant(four + 1)));
    }
    return a;
  }

  // Guards

  /** The guarded value is computed inside of the branch: outside of it, it may lie beyond its buffer. */
  private guardOne(e: Extract<Expr, { op: "guard" }>): Value {
    const { f } = this.frame;
    const result = f.local(scalarType(e.dtype), this.one(e.other));
    const holds = this.all(e.tests.map((t) => this.holds(t, this.positions.index(t.index))));
    this.branch(holds, () => f.set(result, this.one(e.value)));
    return result;
  }

  /** Writes a branch inside of which addresses are right. */
  private branch(condition: Value, then: () => void, otherwise?: () => void): void {
    const { frame } = this;
    const inside = (write: () => void) => () => {
      this.guards++;
      frame.block(write, undefined, true);
      this.guards--;
    };
    frame.mark();
    frame.f.if(condition, inside(then), otherwise && inside(otherwise));
  }

  private all(conditions: readonly Value[]): Value {
    const { f } = this.frame;
    return f.let(conditions.reduce((a, b) => op("i32.and", a, b)));
  }

  private holds({ index, lo, hi }: Test, at: Value, ahead = 0): Value {
    const { frame } = this;
    const first = frame.f.let(at);
    const last = ahead === 0 ? first : frame.f.let(add(first, frame.int(ahead)));
    const [low, high] = ahead < 0 ? [last, first] : [first, last];
    const tests: Value[] = [];
    if (index.lo < lo) tests.push(op("i32.ge_s", low, frame.int(lo)));
    if (index.hi >= hi) tests.push(op("i32.lt_s", high, frame.int(hi)));
    return tests.length === 0 ? i32(1) : this.all(tests);
  }

  /** All four at once where the tests hold for all of them, else one by one. */
  private guardLanes(e: Extract<Expr, { op: "guard" }>): Lanes {
    const { frame } = this;
    const { f } = frame;
    const result = this.lanes(e.other).map((v) => f.let(v));
    const set = (lanes: Lanes) =>
      result.forEach((r, i) => {
        f.set(r, lanes[i]);
      });
    const steps = e.tests.map((t) => this.positions.step(t.index));
    const fixed = e.tests.filter((_, i) => steps[i] === 0);
    const moving = e.tests.filter((_, i) => steps[i] !== 0);
    const oneByOne = () => this.eachLane(e, moving, result);
    const within = () => {
      if (steps.includes(null)) oneByOne();
      else {
        const all = moving.map((t) =>
          this.holds(t, this.positions.index(t.index), 3 * (this.positions.step(t.index) as number)),
        );
        this.branch(this.all(all), () => set(this.lanes(e.value)), oneByOne);
      }
    };
    if (fixed.length === 0) within();
    else {
      const holds = fixed.map((t) => this.holds(t, this.positions.index(t.index)));
      this.branch(this.all(holds), () => (moving.length === 0 ? set(this.lanes(e.value)) : within()));
    }
    return result;
  }

  private eachLane(e: Extract<Expr, { op: "guard" }>, tests: readonly Test[], result: readonly Local[]): void {
    const { frame } = this;
    const { f } = frame;
    const v = frame.laneVariable();
    const { at, offset } = frame.binding(v);
    const first = f.let(add(at, offset));
    frame.mark();
    f.range(0, 4, 1, (lane) => {
      const own = f.let(add(first, lane));
      frame.block(
        () => {
          const holds = this.all(tests.map((t) => this.holds(t, this.positions.index(t.index))));
          this.branch(holds, () => {
            const value = splat(this.one(e.value), e.dtype);
            const mask = f.let(op("i32x4.eq", op("i32x4.splat", lane), frame.laneNumbers()));
            const next = pickLanes(mask, value, result, e.dtype);
            result.forEach((r, i) => {
              f.set(r, next[i]);
            });
          });
        },
        new Map([[v, { at: own, offset: 0, isLanes: false }]]),
        true,
      );
    });
  }
}
