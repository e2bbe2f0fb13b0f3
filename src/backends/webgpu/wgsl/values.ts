import { children, type Expr, type Reduce, type Test } from "../../../compiler/expr.ts";
import type { Idx, LoopVar } from "../../../compiler/idx.ts";
import type { Kernel } from "../../../compiler/kernel.ts";
import { type DType, isHalf } from "../../../core/dtype.ts";
import { accumulator, beats, isArg } from "./reduce.ts";
import { callW, convertW, literalW, roundW, wgslType } from "./scalar.ts";
import { param } from "./shader.ts";

/** Writes expressions of the loop IR as WGSL. Extents and strides become parameters, so equal forms give equal text. */
export class Values {
  readonly params: number[] = [];
  readonly lines: string[] = [];
  private readonly kernel: Kernel;
  private readonly firstParam: number;
  private readonly variables: LoopVar[] = [];
  private indent = 1;
  private names = 0;
  /** WGSL of values computed in the current block and those around it. */
  private scope = new Map<Expr, string>();
  /** WGSL of the patterns of values of 16 bits, where it is less than their conversion. */
  private readonly patterns = new Map<string, string>();

  /** `firstParam` parameters belong to others. */
  constructor(kernel: Kernel, firstParam = 0) {
    this.kernel = kernel;
    this.firstParam = firstParam;
  }

  /** Emits what computes `e` and returns an expression without side effects. */
  value(e: Expr): string {
    const known = this.scope.get(e);
    if (known !== undefined) return known;
    const text = this.compute(e);
    this.scope.set(e, text);
    return text;
  }

  /** What has been computed for `e` already. */
  define(e: Expr, text: string): void {
    this.scope.set(e, text);
  }

  private compute(e: Expr): string {
    switch (e.op) {
      case "const":
        return literalW(e.value, e.dtype);
      case "load":
        return this.load(e.buffer, this.index(e.index));
      case "index":
        return roundW(convertW(`(${this.index(e.index)})`, "i32", e.dtype), e.dtype);
      case "call": {
        const args = e.args.map((a) => this.value(a));
        const types = e.args.map((a) => a.dtype);
        const { text, rounds } = callW(e.name, args, types, e.dtype);
        return rounds ? this.rounded(e.dtype, text) : this.temp(e.dtype, text);
      }
      case "random": {
        const [k0, k1, c1] = e.state.map((s) => this.value(s));
        return this.temp(e.dtype, `threefry(${k0}, ${k1}, u32(${this.index(e.index)}), ${c1})`);
      }
      case "guard":
        return this.guard(e);
      case "reduce":
        return this.reduceSerially([e])[0];
    }
  }

  private load(buffer: number, index: string): string {
    const { row, dtype } = this.kernel.buffers[buffer];
    if (row !== undefined) return this.temp(dtype, `row${buffer}[x * ${row} + ${index}]`);
    if (!isHalf(dtype)) return this.temp(dtype, `load${buffer}(${index})`);
    const pattern = this.temp("u32", `pattern${buffer}(${index})`);
    const t = this.temp(dtype, `from_${dtype}(${pattern})`);
    this.patterns.set(t, pattern);
    return t;
  }

  store(buffer: number, index: Idx, value: string): void {
    const { row, dtype } = this.kernel.buffers[buffer];
    const at = this.index(index);
    if (row !== undefined) this.line(`row${buffer}[x * ${row} + ${at}] = ${value};`);
    else if (isHalf(dtype)) this.line(`put${buffer}(${at}, ${this.pattern(value, dtype)});`);
    else this.line(`store${buffer}(${at}, ${value});`);
  }

  /** The pattern of a value of 16 bits. */
  pattern(value: string, dtype: DType): string {
    return this.patterns.get(value) ?? `to_${dtype}(${value})`;
  }

  /** A computed value. What is rounded to be stored and what for further use are told apart: often one is all it takes. */
  rounded(dtype: DType, text: string): string {
    if (!isHalf(dtype)) return this.temp(dtype, text);
    const exact = this.temp("f32", text);
    const t = this.temp(dtype, roundW(exact, dtype));
    this.patterns.set(t, `to_${dtype}(${exact})`);
    return t;
  }

  temp(dtype: DType, text: string): string {
    const t = this.name("t");
    this.line(`let ${t}: ${wgslType(dtype)} = ${text};`);
    return t;
  }

  /** The guarded value is computed inside of the branch: outside of it, it may lie beyond its buffer. */
  private guard(e: Extract<Expr, { op: "guard" }>): string {
    const t = this.name("t");
    this.line(`var ${t}: ${wgslType(e.dtype)} = ${this.value(e.other)};`);
    this.open(`if (${e.tests.map((test) => this.test(test)).join(" && ")}) {`);
    const value = this.inBlock(() => this.value(e.value));
    this.line(`${t} = ${value};`);
    this.close();
    return t;
  }

  private test({ index, lo, hi }: Test): string {
    const i = this.index(index);
    const tests = [];
    if (index.lo < lo) tests.push(`${i} >= ${this.int(lo)}`);
    if (index.hi >= hi) tests.push(`${i} < ${this.int(hi)}`);
    return tests.join(" && ");
  }

  /** Reductions over the same terms, all of them by this thread; returns their results. */
  reduceSerially(group: readonly Reduce[]): string[] {
    const accs = this.accumulators(group);
    if (isArg(group[0])) this.line(`var ${accs[0].count} = 0;`);
    for (const v of group[0].axes) this.loop(v);
    this.step(accs, accs[0].count);
    if (isArg(group[0])) this.line(`${accs[0].count}++;`);
    for (const _ of group[0].axes) this.close();
    return accs.map((a) => this.result(a, a.value, a.at));
  }

  accumulators(group: readonly Reduce[]): Accumulating[] {
    return group.map((r) => {
      const acc = { r, value: this.name("a"), at: this.name("at"), count: this.name("c") };
      const { type, init } = accumulator(r);
      this.line(`var ${acc.value}: ${type} = ${init};`);
      if (isArg(r)) this.line(`var ${acc.at}: i32 = 2147483647;`);
      return acc;
    });
  }

  /** Takes the term at the present position, which has number `count`, into the accumulators. */
  step(accs: readonly Accumulating[], count: string): void {
    this.inBlock(() => {
      for (const { r, value, at } of accs) {
        const term = this.value(r.body);
        if (isArg(r)) this.line(`if (${beats(r, term, count, value, at)}) { ${value} = ${term}; ${at} = ${count}; }`);
        else
          this.line(`${value} = ${accumulator(r).combine(value, convertW(term, r.body.dtype, accumulator(r).dtype))};`);
      }
    });
  }

  /** What a reduction gives for the value and the position that it has come to. */
  result({ r }: Accumulating, value: string, at: string): string {
    if (isArg(r)) return this.temp("i32", at);
    if (r.kind === "sum" || r.kind === "prod")
      return this.rounded(r.dtype, r.dtype === "u8" ? `(${value} & 0xffu)` : value);
    return this.temp(r.dtype, value);
  }

  /** Values computed by `emit` are forgotten afterwards: their block ends. */
  inBlock<T>(emit: () => T): T {
    const outer = this.scope;
    this.scope = new Map(outer);
    const result = emit();
    this.scope = outer;
    return result;
  }

  // Integers

  index(x: Idx): string {
    for (const i of children({ op: "index", index: x, dtype: "i32" })) this.value(i);
    const atoms = x.terms.map(({ atom, coef }) => {
      if (atom.kind === "var") return { coef, text: this.variable(atom.v) };
      if (atom.kind === "ref") return { coef, text: `position(${this.value(atom.at)}, ${this.int(atom.size)})` };
      const of = this.index(atom.of);
      const operator = atom.kind === "div" ? "/" : "%";
      return {
        coef,
        text: atom.of.lo >= 0 ? `(${of} ${operator} ${atom.by})` : `floor_${atom.kind}(${of}, ${atom.by})`,
      };
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
  int(n: number): string {
    if (n >= -1 && n <= 2) return `${n}`;
    let at = this.params.indexOf(n);
    if (at < 0) at = this.params.push(n) - 1;
    return param(this.firstParam + at);
  }

  /** Takes the position `name` over `axes`, row-major, apart. */
  decompose(name: string, axes: readonly LoopVar[]): void {
    let rest = name;
    for (let i = axes.length - 1; i >= 0; i--) {
      if (i === 0) this.line(`let ${this.variable(axes[i])} = ${rest};`);
      else {
        const n = this.int(axes[i].size);
        const next = this.name("q");
        this.line(`let ${this.variable(axes[i])} = ${rest} % ${n};`);
        this.line(`let ${next} = ${rest} / ${n};`);
        rest = next;
      }
    }
  }

  // Text

  /** Loops are numbered as they appear, so that equal forms give equal text. */
  variable(v: LoopVar): string {
    let at = this.variables.indexOf(v);
    if (at < 0) at = this.variables.push(v) - 1;
    return `v${at}`;
  }
  loop(v: LoopVar): void {
    const n = this.variable(v);
    this.open(`for (var ${n} = 0; ${n} < ${this.int(v.size)}; ${n}++) {`);
  }
  name(prefix: string): string {
    return `${prefix}${this.names++}`;
  }
  line(text: string): void {
    this.lines.push("  ".repeat(this.indent) + text);
  }
  open(text: string): void {
    this.line(text);
    this.indent++;
  }
  close(): void {
    this.indent--;
    this.line("}");
  }
}

/** A reduction under way: names of its accumulator and, of an argmax or argmin, of the best position and the count. */
export interface Accumulating {
  readonly r: Reduce;
  readonly value: string;
  readonly at: string;
  readonly count: string;
}
