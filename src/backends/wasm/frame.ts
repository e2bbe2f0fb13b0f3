import type { Expr, Reduce } from "../../compiler/expr.ts";
import type { Idx, LoopVar } from "../../compiler/idx.ts";
import * as literal from "./assembler.ts";
import {
  add,
  type FunctionBuilder,
  i32,
  type Local,
  load,
  type ModuleBuilder,
  op,
  type Slot,
  type Value,
} from "./assembler.ts";
import type { LaneWriter } from "./math.ts";

/** A value of a kernel: one element, or four neighbours in one vector (two for f64). bool lanes are masks. */
export type Held = { readonly one: Value } | { readonly lanes: readonly Value[] };

/** What stands for a loop variable: `at` + `offset`, and the three after that where four lanes are computed at once. */
export interface Binding {
  readonly at: Value;
  readonly offset: number;
  readonly isLanes: boolean;
  /** Depth of the block that `at` is known in, if that is not the one of this binding. */
  readonly home?: number;
}

/** A block of code with the values that are known in it. */
interface Level {
  readonly bindings: ReadonlyMap<LoopVar, Binding>;
  /** Whether loads must stay inside: outside they may leave their buffer, or come before what they read is stored. */
  readonly keepsLoads: boolean;
  /** The last place of this block before the code that is being written. */
  slot: Slot | null;
  readonly values: Map<Expr, Held>;
  readonly integers: Map<string, Value>;
}

/** How deep a value belongs, and whether it differs between the four lanes. */
interface Reach {
  readonly level: number;
  readonly isLanes: boolean;
}

/**
 * Nested blocks of a function. What is computed goes to the outermost block in which all it depends on is known, so that
 * loops hold only what changes in them: engines do not move code out of loops.
 */
export class Frame implements LaneWriter {
  readonly f: FunctionBuilder;
  readonly module: ModuleBuilder;
  private readonly ctx: Local;
  private readonly bufferCount: number;
  private levels: readonly Level[];
  private reaches = new Map<Expr, Reach>();
  readonly params: number[] = [];

  constructor(f: FunctionBuilder, module: ModuleBuilder, ctx: Local, bufferCount: number) {
    this.f = f;
    this.module = module;
    this.ctx = ctx;
    this.bufferCount = bufferCount;
    this.levels = [newLevel(new Map(), true)];
  }

  // Blocks

  /** Number of blocks around what is being written. */
  get depth(): number {
    return this.levels.length - 1;
  }

  /** To be called right before the instruction that opens a block: what belongs outside of the block goes here. */
  mark(): void {
    this.top.slot = this.f.slot();
  }

  /** Writes inside of a block in which some loop variables are known. */
  block<T>(write: () => T, bindings: ReadonlyMap<LoopVar, Binding> = new Map(), keepsLoads = false): T {
    const outer = this.levels;
    this.enter([...outer, newLevel(bindings, keepsLoads)]);
    const result = write();
    this.enter(outer);
    return result;
  }

  private get top(): Level {
    return this.levels[this.levels.length - 1];
  }

  private enter(levels: readonly Level[]): void {
    this.levels = levels;
    this.reaches = new Map();
  }

  /** Writes to the block of that depth, before the blocks inside it that are being written. */
  at<T>(level: number, write: () => T): T {
    if (level === this.levels.length - 1) return write();
    const levels = this.levels;
    const slot = levels[level].slot as Slot;
    this.enter(levels.slice(0, level + 1));
    const result = this.f.into(slot, write);
    this.enter(levels);
    levels[level].slot = slot;
    return result;
  }

  // Values

  /** The value of `e` if it is known at this depth or deeper, and where. */
  known(e: Expr, level: number): { readonly held: Held; readonly level: number } | null {
    for (let i = this.levels.length - 1; i >= level; i--) {
      const held = this.levels[i].values.get(e);
      if (held) return { held, level: i };
    }
    return null;
  }

  /** Makes a value known in the block that is being written. */
  keep(e: Expr, value: Held): void {
    this.top.values.set(e, value);
    this.reaches = new Map();
  }

  binding(v: LoopVar): Required<Binding> & { readonly level: number } {
    for (let level = this.levels.length - 1; level >= 0; level--) {
      const found = this.levels[level].bindings.get(v);
      if (found) return { home: level, ...found, level };
    }
    throw new Error(`wasm: a loop over ${v.size} is used outside of it`);
  }

  /** The loop variable that four values are computed at once for. */
  laneVariable(): LoopVar {
    for (const { bindings } of [...this.levels].reverse())
      for (const [v, { isLanes }] of bindings) if (isLanes) return v;
    throw new Error("wasm: no loop is computed in lanes here");
  }

  private isBound(v: LoopVar): boolean {
    return this.levels.some(({ bindings }) => bindings.has(v));
  }

  /** Where `e` belongs. */
  reach(e: Expr): Reach {
    let reach = this.reaches.get(e);
    if (!reach) {
      reach = this.findReach(e);
      this.reaches.set(e, reach);
    }
    return reach;
  }

  private findReach(e: Expr): Reach {
    switch (e.op) {
      case "const":
        return outermost;
      case "load": {
        const barrier = this.levels.findLastIndex(({ keepsLoads }) => keepsLoads);
        return deepest([{ level: barrier, isLanes: false }, this.indexReach(e.index)]);
      }
      case "index":
        return this.indexReach(e.index);
      case "call":
        return deepest(e.args.map((a) => this.reach(a)));
      case "guard":
        return deepest([...e.tests.map((t) => this.indexReach(t.index)), this.reach(e.value), this.reach(e.other)]);
      case "random":
        return deepest([...e.state.map((s) => this.reach(s)), this.indexReach(e.index)]);
      case "reduce":
        return this.reduceReach(e);
    }
  }

  /** A reduction that is known stays where it has been computed. */
  private reduceReach(r: Reduce): Reach {
    const own = new Map(r.axes.filter((v) => !this.isBound(v)).map((v) => [v, unbound]));
    const levels = this.levels;
    // Its own loops are not open: whatever depends on them alone belongs to the outermost block.
    this.enter([{ ...levels[0], bindings: new Map([...levels[0].bindings, ...own]) }, ...levels.slice(1)]);
    const reach = this.reach(r.body);
    this.enter(levels);
    const known = this.known(r, reach.level);
    return known ? { level: known.level, isLanes: "lanes" in known.held } : reach;
  }

  indexReach(x: Idx): Reach {
    return deepest(x.terms.map(({ atom }) => this.atomReach(atom)));
  }

  atomReach(atom: Idx["terms"][number]["atom"]): Reach {
    if (atom.kind === "ref") return this.reach(atom.at);
    if (atom.kind !== "var") return this.indexReach(atom.of);
    return this.binding(atom.v);
  }

  // Integers

  /** An i32 that is computed once in the block of that depth. */
  integer(level: number, key: string, make: () => Value): Value {
    const { integers } = this.levels[level];
    let known = integers.get(key);
    if (!known) {
      known = this.at(level, () => this.f.let(make()));
      this.levels[level].integers.set(key, known);
    }
    return known;
  }

  /** A number that belongs to the form of a kernel if it is small, and else is one of its parameters. */
  int(n: number): Value {
    if (n >= -16 && n <= 16) return i32(n);
    let word = this.params.indexOf(n);
    if (word < 0) word = this.params.push(n) - 1;
    return this.word(this.bufferCount + 2 + word);
  }

  /** Address of a buffer. */
  buffer(number: number): Value {
    return this.word(number);
  }

  /** Address of the calling thread's own memory. */
  own(): Value {
    return this.word(this.bufferCount + 1);
  }

  private word(at: number): Value {
    return this.integer(0, `word ${at}`, () => load("i32.load", this.ctx, 4 * at));
  }

  /** x * n, without a multiplication where n is a small power of two. */
  times(x: Value, n: number): Value {
    if (n === 0) return i32(0);
    if (n === 1) return x;
    return n > 0 && n <= 16 ? literal.mul(x, n) : op("i32.mul", x, this.int(n));
  }

  sum(values: readonly Value[]): Value {
    return values.length === 0 ? i32(0) : values.reduce((a, b) => add(a, b));
  }

  // Constants of vectors

  private constant(key: string, value: Value): Value {
    return this.integer(0, key, () => value);
  }
  readonly f32x4 = (value: number): Value =>
    this.constant(`f32x4 ${Object.is(value, -0) ? "-0" : value}`, literal.f32x4(value));
  readonly f64x2 = (value: number): Value =>
    this.constant(`f64x2 ${Object.is(value, -0) ? "-0" : value}`, literal.f64x2(value));
  readonly i32x4 = (value: number): Value => this.constant(`i32x4 ${value}`, literal.i32x4(value));
  /** 0, 1, 2, 3. */
  laneNumbers(): Value {
    return this.constant("lanes", literal.v128(new Uint8Array(new Int32Array([0, 1, 2, 3]).buffer)));
  }
}

const outermost: Reach = { level: 0, isLanes: false };
const unbound: Binding = { at: i32(0), offset: 0, isLanes: false };

const newLevel = (bindings: ReadonlyMap<LoopVar, Binding>, keepsLoads: boolean): Level => ({
  bindings,
  keepsLoads,
  slot: null,
  values: new Map(),
  integers: new Map(),
});

const deepest = (reaches: readonly Reach[]): Reach => ({
  level: Math.max(0, ...reaches.map(({ level }) => level)),
  isLanes: reaches.some(({ isLanes }) => isLanes),
});
