import { children, type Expr, type Reduce, type Test, usesVar } from "../../compiler/expr.ts";
import type { Idx, LoopVar } from "../../compiler/idx.ts";
import { canReplace, type Kernel, type Store } from "../../compiler/kernel.ts";
import { costPerElement, innermost, outerAxes, runsAcross, topReductions } from "../../compiler/reductions.ts";
import { type DType, isHalf } from "../../core/dtype.ts";
import { commonRange } from "./render-guards.ts";
import { accumulator, beats } from "./render-reduce.ts";
import { callC, castC, constantC, convertC, ctype, loadC, roundC, storeC, valueType } from "./scalar.ts";

export interface RenderedKernel {
  /** The body of `void k(void *const *b, const int64_t *p, int64_t begin, int64_t end)`. */
  readonly body: string;
  /** Values of `p`. */
  readonly params: readonly number[];
  /** Positions of the outer loop, which are shared among threads. */
  readonly range: number;
  /** Fewest positions worth handing to a thread. */
  readonly grain: number;
}

/** Independent accumulators of a reduction along memory: one vector register or more, whatever the machine. */
const lanes = 32;
/** Terms that a lane adds up in f32 before they go into its f64 accumulator: the error stays below that of pairwise sums. */
const stagedTerms = 8;
/** Results that are accumulated side by side when a reduction runs across memory. */
const strip = 64;
/** How many positions of the outer loop keep the threads busy. */
const enoughPieces = 64;
/** Work, in elements times cost, that is worth waking a thread for. */
const threadWork = 16384;

/** Renders one kernel of loop IR as C. Extents and strides become parameters, so equal forms give equal text. */
export function renderKernel(kernel: Kernel): RenderedKernel {
  return new Renderer(kernel).render();
}

/**
 * The same for a kernel that runs over parts of an operation's result: its range is everything but the last axis, of which
 * the first two parameters are begin and end.
 */
export function renderEpilogue(kernel: Kernel): RenderedKernel {
  return new Renderer(kernel).renderWindow();
}

class Renderer {
  private readonly kernel: Kernel;
  /** Those that are being rendered. */
  private stores: readonly Store[];
  private readonly params: number[] = [];
  /** The first parameters, which the caller changes. */
  private window = 0;
  private readonly variables: LoopVar[] = [];
  private readonly lines: string[] = [];
  private indent = 1;
  private names = 0;
  /** Whether guards that look at `v` are open, where that is known of the current part of its loop. */
  private inside: { readonly v: LoopVar; readonly text: string } | null = null;
  /** C expressions of values computed in the current block and those around it. */
  private scope = new Map<Expr, string>();
  /** What a store writes for a value of a 16-bit dtype, where that is known without going through the value. */
  private readonly stored = new Map<string, string>();

  constructor(kernel: Kernel) {
    this.kernel = kernel;
    this.stores = kernel.stores;
  }

  render(): RenderedKernel {
    const { axes } = this.kernel;
    if (this.kernel.stores[0].inner) return this.renderRows();
    const tops = topReductions(this.stores);
    const last = axes.at(-1);
    const acrossMemory = last !== undefined && tops.length > 0 && runsAcross(tops, last);
    const work = axes.reduce((n, v) => n * v.size, 1) * costPerElement(this.stores, tops);

    let range = 1;
    if (axes.length === 0) this.position(tops);
    else if (acrossMemory) range = this.strips(tops, axes.slice(0, -1), axes[axes.length - 1]);
    else if (axes.length === 1) {
      range = axes[0].size;
      this.vectorHint(tops);
      this.open(
        `for (int64_t ${this.variable(axes[0])} = begin; ${this.variable(axes[0])} < end; ++${this.variable(axes[0])}) {`,
      );
      this.position(tops);
      this.close();
    } else {
      const outer = outerAxes(axes, enoughPieces);
      range = outer.reduce((n, v) => n * v.size, 1);
      this.open("for (int64_t q = begin; q < end; ++q) {");
      this.decompose("q", outer);
      const inner = axes.slice(outer.length);
      this.loops(inner, tops);
      this.close();
    }
    const perPosition = Math.max(1, work / Math.max(1, range));
    return {
      body: [...this.prologue(), ...this.lines].join("\n"),
      params: this.params,
      range,
      grain: Math.max(1, Math.ceil(threadWork / perPosition)),
    };
  }

  renderWindow(): RenderedKernel {
    const { axes } = this.kernel;
    const [outer, last] = [axes.slice(0, -1), axes[axes.length - 1]];
    const range = outer.reduce((n, v) => n * v.size, 1);
    this.window = this.params.push(0, last.size);
    this.open("for (int64_t q = begin; q < end; ++q) {");
    this.decompose("q", outer);
    const v = this.variable(last);
    this.vectorHint([]);
    this.open(`for (int64_t ${v} = p0; ${v} < p1; ++${v}) {`);
    this.position([]);
    this.close();
    this.close();
    return {
      body: [...this.prologue(), ...this.lines].join("\n"),
      params: this.params,
      range,
      grain: Math.max(1, Math.ceil(threadWork / (last.size * costPerElement(this.stores, [])))),
    };
  }

  /** Row by row, the stores in their order, those with the same inner loops together. */
  private renderRows(): RenderedKernel {
    const { axes, stores: all } = this.kernel;
    const range = axes.reduce((n, v) => n * v.size, 1);
    this.kernel.buffers.forEach(({ dtype, row }, i) => {
      if (row !== undefined) this.line(`${ctype[dtype]} b${i}[${this.int(row)}];`);
    });
    this.open("for (int64_t q = begin; q < end; ++q) {");
    this.decompose("q", axes);
    let work = 0;
    for (let from = 0; from < all.length; from += this.stores.length) {
      const inner = all[from].inner as readonly LoopVar[];
      const next = all.findIndex((s, i) => i > from && s.inner !== inner);
      this.stores = all.slice(from, next < 0 ? all.length : next);
      const tops = topReductions(this.stores);
      work += inner.reduce((n, v) => n * v.size, 1) * costPerElement(this.stores, tops);
      if (inner.length === 0) this.open("{");
      this.loops(inner, tops);
      if (inner.length === 0) this.close();
    }
    this.close();
    return {
      body: [...this.prologue(), ...this.lines].join("\n"),
      params: this.params,
      range,
      grain: Math.max(1, Math.ceil(threadWork / Math.max(1, work))),
    };
  }

  private prologue(): string[] {
    const all = this.kernel.buffers.filter(({ row }) => row === undefined);
    const numbers = all.map((_, i) => i);
    // Where the memory plan may store a result over an input, the compiler must not take the two for different.
    const apart = (i: number): boolean =>
      numbers.every((j) => {
        if (all[i].written === all[j].written) return true;
        return all[i].written ? !canReplace(this.kernel, j, i) : !canReplace(this.kernel, i, j);
      });
    const buffers = all.map(({ dtype, written }, i) => {
      const type = `${written ? "" : "const "}${ctype[dtype]} *`;
      return `  ${type}${apart(i) ? "restrict " : ""}const b${i} = (${type})b[${i}];`;
    });
    return [...buffers, ...this.params.map((_, i) => `  const int64_t p${i} = p[${i}];`)];
  }

  /**
   * The stores at all positions of these axes. Where guards look at the last one, it is run through in three parts:
   * before, inside of and after the range where they are open. None of these has a branch, so all become vectors.
   */
  private loops(axes: readonly LoopVar[], tops: readonly (readonly Reduce[])[]): void {
    const last = axes.at(-1);
    for (const v of axes.slice(0, -1)) this.loop(v);
    const range = last && tops.length === 0 ? commonRange(this.stores, last) : null;
    if (last && range) {
      const [lo, hi, n] = [...range, last.size].map((x) => this.int(x));
      const [part, v] = [this.name("part"), this.variable(last)];
      this.open(`for (int ${part} = 0; ${part} < 3; ++${part}) {`);
      this.line(`const int64_t ${part}_from = ${part} == 0 ? 0 : ${part} == 1 ? ${lo} : ${hi};`);
      this.line(`const int64_t ${part}_to = ${part} == 0 ? ${lo} : ${part} == 1 ? ${hi} : ${n};`);
      this.vectorHint(tops);
      this.open(`for (int64_t ${v} = ${part}_from; ${v} < ${part}_to; ++${v}) {`);
      this.inside = { v: last, text: `${part} == 1` };
    } else if (last) {
      this.vectorHint(tops);
      this.loop(last);
    }
    this.position(tops);
    this.inside = null;
    for (const _ of axes) this.close();
    if (range) this.close();
  }

  private vectorHint(tops: readonly (readonly Reduce[])[]): void {
    if (tops.length === 0) this.line("#pragma GCC ivdep");
  }

  private position(tops: readonly (readonly Reduce[])[]): void {
    const outer = this.scope;
    this.scope = new Map(outer);
    for (const group of tops) this.reduceAlong(group);
    this.store();
    this.scope = outer;
  }

  private store(): void {
    // All values before any store: a store may overwrite what another value reads.
    const values = this.stores.map((s) => this.value(s.value));
    for (const [i, { buffer, index }] of this.stores.entries()) {
      const value = this.stored.get(values[i]) ?? storeC(values[i], this.kernel.buffers[buffer].dtype);
      this.line(`b${buffer}[${this.index(index)}] = ${value};`);
    }
  }

  // Reductions

  /** One result: the reductions run along memory, with several accumulators for the vector unit. */
  private reduceAlong(group: readonly Reduce[]): void {
    const [first] = group;
    if (first.kind === "argmax" || first.kind === "argmin") {
      this.scope.set(first, this.argAlong(first));
      return;
    }
    const inner = innermost(group);
    if (inner.size < lanes) {
      this.reduceShort(group);
      return;
    }
    const outer = first.axes.filter((v) => v !== inner);
    const accs = group.map((r) => ({ r, acc: accumulator(r.kind, r.dtype), a: this.name("a") }));
    for (const { acc, a } of accs) {
      this.line(`${valueType(acc.dtype)} ${a}[${lanes}];`);
      this.line(`for (int j = 0; j < ${lanes}; ++j) ${a}[j] = ${acc.init};`);
    }
    for (const v of outer) this.loop(v);
    const n = this.int(inner.size);
    const [base, j] = [this.name("i"), this.name("j")];
    this.line(`int64_t ${base} = 0;`);
    const step = (into: typeof accs, at: string, lane: string) => {
      this.line(`const int64_t ${this.variable(inner)} = ${at};`);
      this.inBlock(() => {
        for (const { r, acc, a } of into)
          this.line(`${acc.step(`${a}[${lane}]`, convertC(this.value(r.body), r.body.dtype, acc.dtype))};`);
      });
    };
    // Sums of f32 run in f32 over a few terms, which go into the f64 accumulators.
    const isStaged = ({ r, acc }: (typeof accs)[number]) =>
      r.kind === "sum" && r.dtype === "f32" && acc.dtype === "f64";
    const staged = accs.some(isStaged);
    const near = accs.map((into) =>
      isStaged(into) ? { r: into.r, acc: accumulator("sum", "f32", true), a: this.name("f") } : into,
    );
    const stop = this.name("e");
    if (staged) {
      this.open(`while (${base} + ${lanes} <= ${n}) {`);
      this.line(
        `const int64_t ${stop} = ${base} + ${lanes * stagedTerms} < ${n} ? ${base} + ${lanes * stagedTerms} : ${n};`,
      );
      near.forEach(({ r, a }, i) => {
        if (a !== accs[i].a) this.line(`${ctype[r.dtype]} ${a}[${lanes}] = {0};`);
      });
    }
    this.open(`for (; ${base} + ${lanes} <= ${staged ? stop : n}; ${base} += ${lanes}) {`);
    this.line("#pragma GCC ivdep");
    this.open(`for (int ${j} = 0; ${j} < ${lanes}; ++${j}) {`);
    step(near, `${base} + ${j}`, j);
    this.close();
    this.close();
    if (staged) {
      near.forEach(({ a }, i) => {
        if (a !== accs[i].a) this.line(`for (int j = 0; j < ${lanes}; ++j) ${accs[i].a}[j] += ${a}[j];`);
      });
      this.close();
    }
    this.open(`for (int ${j} = 0; ${base} < ${n}; ++${base}, ++${j}) {`);
    step(accs, base, `${j} & ${lanes - 1}`);
    this.close();
    for (const _ of outer) this.close();
    for (const { r, acc, a } of accs) {
      // Halving the lanes adds pairwise.
      const half = acc.step(`${a}[j]`, `${a}[j + w]`);
      this.line(`for (int w = ${lanes / 2}; w; w >>= 1) for (int j = 0; j < w; ++j) { ${half}; }`);
      this.scope.set(r, this.rounded(r.dtype, convertC(`${a}[0]`, acc.dtype, r.dtype), acc.dtype !== r.dtype));
    }
  }

  /** Reductions of so few terms that one accumulator each is enough. */
  private reduceShort(group: readonly Reduce[]): void {
    const accs = group.map((r) => ({ r, acc: accumulator(r.kind, r.dtype), a: this.name("a") }));
    for (const { acc, a } of accs) this.line(`${valueType(acc.dtype)} ${a} = ${acc.init};`);
    for (const v of group[0].axes) this.loop(v);
    this.inBlock(() => {
      for (const { r, acc, a } of accs)
        this.line(`${acc.step(a, convertC(this.value(r.body), r.body.dtype, acc.dtype))};`);
    });
    for (const _ of group[0].axes) this.close();
    for (const { r, acc, a } of accs)
      this.scope.set(r, this.rounded(r.dtype, convertC(a, acc.dtype, r.dtype), acc.dtype !== r.dtype));
  }

  private argAlong(r: Reduce): string {
    const [best, at, count] = [this.name("m"), this.name("r"), this.name("c")];
    const { dtype } = r.body;
    const acc = accumulator(r.kind === "argmax" ? "max" : "min", dtype);
    this.line(`${valueType(dtype)} ${best} = ${acc.init}; int32_t ${at} = 0; int32_t ${count} = 0;`);
    for (const v of r.axes) this.loop(v);
    const value = this.inBlock(() => this.value(r.body));
    this.line(`if (${beats(r.kind, value, best, dtype)}) { ${best} = ${value}; ${at} = ${count}; }`);
    this.line(`++${count};`);
    for (const _ of r.axes) this.close();
    return at;
  }

  /** Strips of neighbouring results: the reduction runs across memory, each step adds one row of terms to the strip. */
  private strips(tops: readonly (readonly Reduce[])[], outer: readonly LoopVar[], last: LoopVar): number {
    const perRow = Math.ceil(last.size / strip);
    const n = this.int(last.size);
    this.open("for (int64_t q = begin; q < end; ++q) {");
    const rows = perRow === 1 ? "1" : this.int(perRow);
    this.line(`const int64_t s0 = (q % ${rows}) * ${strip};`);
    this.line(`const int64_t row = q / ${rows};`);
    this.decompose("row", outer);
    this.line(`const int width = (int)(${n} - s0 < ${strip} ? ${n} - s0 : ${strip});`);
    for (const group of tops) this.reduceAcross(group, last);
    this.line("#pragma GCC ivdep");
    this.openStrip(last);
    const outerScope = this.scope;
    this.scope = new Map(outerScope);
    this.store();
    this.scope = outerScope;
    this.close();
    this.close();
    return outer.reduce((m, v) => m * v.size, 1) * perRow;
  }

  private openStrip(last: LoopVar): void {
    this.open("for (int j = 0; j < width; ++j) {");
    this.line(`const int64_t ${this.variable(last)} = s0 + j;`);
  }

  private reduceAcross(group: readonly Reduce[], last: LoopVar): void {
    const [{ axes, kind }] = group;
    const arg = kind === "argmax" || kind === "argmin";
    const terms = axes.reduce((n, v) => n * v.size, 1);
    const accs = group.map((r) => ({
      r,
      acc: arg
        ? accumulator(kind === "argmax" ? "max" : "min", r.body.dtype)
        : accumulator(r.kind, r.dtype, terms <= strip),
      a: this.name("a"),
    }));
    for (const { acc, a } of accs) {
      this.line(`${valueType(acc.dtype)} ${a}[${strip}];`);
      if (arg) this.line(`int32_t ${a}i[${strip}]; int32_t ${a}c = 0;`);
      this.line(`for (int j = 0; j < width; ++j) { ${a}[j] = ${acc.init}; ${arg ? `${a}i[j] = 0; ` : ""}}`);
    }
    for (const v of axes) this.loop(v);
    this.line("#pragma GCC ivdep");
    this.openStrip(last);
    this.inBlock(() => {
      for (const { r, acc, a } of accs) {
        const value = this.value(r.body);
        if (arg) {
          const wins = this.name("w");
          this.line(`const int ${wins} = ${beats(kind, value, `${a}[j]`, r.body.dtype)};`);
          this.line(`${a}[j] = ${wins} ? ${value} : ${a}[j]; ${a}i[j] = ${wins} ? ${a}c : ${a}i[j];`);
        } else this.line(`${acc.step(`${a}[j]`, convertC(value, r.body.dtype, acc.dtype))};`);
      }
    });
    this.close();
    if (arg) for (const { a } of accs) this.line(`++${a}c;`);
    for (const _ of axes) this.close();
    for (const { r, acc, a } of accs) this.scope.set(r, arg ? `${a}i[j]` : castC(`${a}[j]`, acc.dtype, r.dtype));
  }

  // Values

  /** Emits what computes `e` and returns a C expression without side effects. */
  private value(e: Expr): string {
    const known = this.scope.get(e);
    if (known !== undefined) return known;
    const text = this.compute(e);
    this.scope.set(e, text);
    return text;
  }

  private compute(e: Expr): string {
    switch (e.op) {
      case "const":
        return constantC(e.value, e.dtype);
      case "load":
        return this.loaded(e.dtype, `b${e.buffer}[${this.index(e.index)}]`);
      case "index":
        return castC(`(${this.index(e.index)})`, "i64", e.dtype);
      case "call": {
        const args = e.args.map((a) => this.value(a));
        const argTypes = e.args.map((a) => a.dtype);
        const { text, rounds } = callC(e.name, args, argTypes, e.dtype);
        return this.rounded(e.dtype, text, rounds);
      }
      case "random": {
        const [k0, k1, c1] = e.state.map((s) => this.value(s));
        return this.temp(e.dtype, `mnb_threefry(${k0}, ${k1}, (uint32_t)(${this.index(e.index)}), ${c1})`);
      }
      case "guard":
        return this.guard(e);
      case "reduce":
        return this.reduceNested(e);
    }
  }

  private temp(dtype: DType, text: string): string {
    const t = this.name("t");
    this.line(`const ${valueType(dtype)} ${t} = ${text};`);
    return t;
  }

  /** An element in memory; one of 16 bits that is only moved is stored as it is. */
  private loaded(dtype: DType, element: string): string {
    if (!isHalf(dtype)) return this.temp(dtype, element);
    const raw = this.name("h");
    this.line(`const uint16_t ${raw} = ${element};`);
    const t = this.temp(dtype, loadC(raw, dtype));
    this.stored.set(t, raw);
    return t;
  }

  /** A computed value. What is rounded for a store and what for further use are told apart: often one is all it takes. */
  private rounded(dtype: DType, text: string, rounds: boolean): string {
    if (!isHalf(dtype) || !rounds) return this.temp(dtype, text);
    const exact = this.temp("f32", text);
    const t = this.temp(dtype, roundC(exact, dtype));
    this.stored.set(t, storeC(exact, dtype));
    return t;
  }

  /** The guarded value is computed inside of the branch: outside of it, it may lie beyond its buffer. */
  private guard(e: Extract<Expr, { op: "guard" }>): string {
    const t = this.name("t");
    this.line(`${valueType(e.dtype)} ${t} = ${this.value(e.other)};`);
    this.open(`if (${e.tests.map((test) => this.test(test)).join(" && ")}) {`);
    const value = this.inBlock(() => this.value(e.value));
    this.line(`${t} = ${value};`);
    this.close();
    return t;
  }

  private test({ index, lo, hi }: Test): string {
    if (this.inside && usesVar(index, this.inside.v)) return this.inside.text;
    const i = this.index(index);
    const tests = [];
    if (index.lo < lo) tests.push(`${i} >= ${this.int(lo)}`);
    if (index.hi >= hi) tests.push(`${i} < ${this.int(hi)}`);
    return tests.join(" && ");
  }

  /** A reduction inside of a loop that it depends on. */
  private reduceNested(r: Reduce): string {
    if (r.kind === "argmax" || r.kind === "argmin") return this.argAlong(r);
    this.reduceShort([r]);
    return this.scope.get(r) as string;
  }

  /** Values computed by `emit` are forgotten afterwards: their block ends. */
  private inBlock<T>(emit: () => T): T {
    const outer = this.scope;
    this.scope = new Map(outer);
    const result = emit();
    this.scope = outer;
    return result;
  }

  // Integers

  private index(x: Idx): string {
    for (const i of refsOf(x)) this.value(i);
    const atoms = x.terms.map(({ atom, coef }) => {
      if (atom.kind === "var") return { coef, text: this.variable(atom.v) };
      if (atom.kind === "ref") return { coef, text: `mnb_at(${this.value(atom.at)}, ${this.int(atom.size)})` };
      return { coef, text: `mnb_${atom.kind}(${this.index(atom.of)}, ${atom.by})` };
    });
    // An order that does not depend on how the variables were numbered elsewhere.
    atoms.sort((a, b) => (a.text < b.text ? -1 : 1));
    const parts = atoms.map(({ coef, text }) =>
      coef === 1 ? text : coef === -1 ? `-${text}` : `${this.int(coef)} * ${text}`,
    );
    if (x.offset !== 0 || parts.length === 0) parts.push(this.int(x.offset));
    return parts.length === 1 ? parts[0] : `(${parts.join(" + ")})`;
  }

  /** Small numbers are part of a kernel's form, others are its parameters. */
  private int(n: number): string {
    if (n >= -1 && n <= 2) return `${n}`;
    let at = this.params.indexOf(n, this.window);
    if (at < 0) at = this.params.push(n) - 1;
    return `p${at}`;
  }

  private decompose(name: string, axes: readonly LoopVar[]): void {
    let rest = name;
    for (let i = axes.length - 1; i >= 0; i--) {
      if (i === 0) this.line(`const int64_t ${this.variable(axes[i])} = ${rest};`);
      else {
        const n = this.int(axes[i].size);
        const next = this.name("q");
        this.line(`const int64_t ${this.variable(axes[i])} = ${rest} % ${n}, ${next} = ${rest} / ${n};`);
        rest = next;
      }
    }
  }

  // Text

  /** Loops are numbered as they appear, so that equal forms give equal text. */
  private variable(v: LoopVar): string {
    let at = this.variables.indexOf(v);
    if (at < 0) at = this.variables.push(v) - 1;
    return `v${at}`;
  }

  private loop(v: LoopVar): void {
    const n = this.variable(v);
    this.open(`for (int64_t ${n} = 0; ${n} < ${this.int(v.size)}; ++${n}) {`);
  }

  private name(prefix: string): string {
    return `${prefix}${this.names++}`;
  }
  private line(text: string): void {
    this.lines.push("  ".repeat(this.indent) + text);
  }
  private open(text: string): void {
    this.line(text);
    this.indent++;
  }
  private close(): void {
    this.indent--;
    this.line("}");
  }
}

/** Values that an index is computed from. */
const refsOf = (index: Idx): Expr[] => children({ op: "index", index, dtype: "i32" });
