import { dependsOn, type Reduce } from "../../../compiler/expr.ts";
import type { LoopVar } from "../../../compiler/idx.ts";
import type { KernelInstruction } from "../../../compiler/instruction.ts";
import type { Kernel, Store } from "../../../compiler/kernel.ts";
import { innermost, runsAcross, topReductions } from "../../../compiler/reductions.ts";
import { canPair, storesHalf } from "./pairs.ts";
import { accumulator, beats, isArg } from "./reduce.ts";
import { wgslType, wordBytes } from "./scalar.ts";
import type { Dispatch, ShaderCode, SubgroupSizes, Workgroups } from "./shader.ts";
import { type Accumulating, Values } from "./values.ts";

/** Threads of a workgroup. */
const threads = 256;
/** Threads that keep a device busy. */
const enough = 1 << 15;
/** Shared memory that reductions of one kernel need at most, in bytes: a value and a position for each thread. */
export const reductionScratch = 2 * threads * wordBytes;

const count = (axes: readonly LoopVar[]): number => axes.reduce((n, v) => n * v.size, 1);
const powerOfTwo = (n: number): number => 2 ** Math.ceil(Math.log2(Math.max(1, n)));

/** How the threads of a workgroup share rows: `x` rows side by side, `y` threads for each. */
interface Tile {
  readonly x: number;
  readonly y: number;
  /** Whether neighbouring threads have neighbouring rows, rather than neighbouring elements of one. */
  readonly across: boolean;
}

/** The run of a kernel. Null where there is nothing to do. */
export function kernelDispatch(
  { kernel, buffers }: KernelInstruction,
  workgroups: Workgroups,
  label: string,
): Dispatch | null {
  if (count(kernel.axes) === 0) return null;
  const inPairs = canPair(kernel, buffers);
  const { code, params, groups } = new KernelText(kernel, workgroups, inPairs).render();
  const operands = buffers.map((buffer, i) => ({ buffer, offset: 0, written: kernel.buffers[i].written, inPairs }));
  return { label, code, params, groups, operands };
}

/** Stores with the same inner loops. */
interface Stage {
  readonly inner: readonly LoopVar[];
  readonly stores: readonly Store[];
  /** Reductions that all threads of a row share. */
  readonly tops: readonly (readonly Reduce[])[];
}

/** Names of a word of two 16-bit floats that is being put together, and of the position of the first. */
interface Pair {
  readonly word: string;
  readonly at: string;
}

class KernelText {
  private readonly kernel: Kernel;
  private readonly workgroups: Workgroups;
  private readonly values: Values;
  /** Whether threads that store 16-bit floats do so for two neighbouring positions (pairs.ts). */
  private readonly inPairs: boolean;
  private readonly scratch = new Set<string>();
  private tile: Tile = { x: threads, y: 1, across: true };

  /** Subgroups that hold neighbouring threads of a row; null where reductions do without. */
  private subgroups: SubgroupSizes | null = null;

  constructor(kernel: Kernel, workgroups: Workgroups, inPairs: boolean) {
    this.kernel = kernel;
    this.workgroups = workgroups;
    this.inPairs = inPairs;
    this.values = new Values(kernel);
  }

  render(): { code: ShaderCode; params: readonly number[]; groups: number } {
    const stages = this.stages();
    const rows = count(this.kernel.axes);
    const reduces = stages.some(({ inner, tops }) => inner.length > 0 || tops.length > 0);
    if (reduces) this.tile = this.chooseTile(stages, rows);
    const { x, y, across } = this.tile;
    const { subgroups } = this.workgroups;
    const together = stages.some(({ tops }) => tops.length > 0) && y > 1 && !across;
    if (together && subgroups && subgroups.most <= x * y) this.subgroups = subgroups;
    if (reduces) this.rows(stages, rows);
    else this.positions(rows);
    const body = this.values.lines.join("\n");
    return {
      code: { before: this.sharedMemory(), body, threads: x * y, subgroups: this.subgroups !== null },
      params: this.values.params,
      groups: Math.ceil(rows / (reduces ? x : x * this.perThread(this.kernel.stores))),
    };
  }

  private stages(): Stage[] {
    const { stores } = this.kernel;
    const stages: Stage[] = [];
    for (let from = 0; from < stores.length; ) {
      const { inner } = stores[from];
      const next = stores.findIndex((s, i) => i > from && s.inner !== inner);
      const own = stores.slice(from, next < 0 ? stores.length : next);
      const around = inner ?? [];
      const tops = topReductions(own).filter((group) => !group.some((r) => dependsOn(r, around)));
      stages.push({ inner: around, stores: own, tops });
      from += own.length;
    }
    return stages;
  }

  /** Neighbouring positions that a thread stores at a time. */
  private perThread(stores: readonly Store[]): 1 | 2 {
    return this.inPairs && stores.some((s) => storesHalf(this.kernel, s)) ? 2 : 1;
  }

  /** One thread for each position, or pair of positions. */
  private positions(range: number): void {
    const { values } = this;
    const { axes, stores } = this.kernel;
    const first = this.perThread(stores) === 1 ? "q" : values.name("i");
    const thread = `group * ${threads} + lane`;
    values.line(`let ${first} = ${first === "q" ? thread : `2 * (${thread})`};`);
    values.open(`if (${first} < ${values.int(range)}) {`);
    this.storeFrom(first, "q", range, stores, () => values.decompose("q", axes));
    values.close();
  }

  /** All stores at a position, or at two from `first` on as far as there are such; `place` takes the position apart. */
  private storeFrom(first: string, position: string, range: number, stores: readonly Store[], place: () => void): void {
    const { values } = this;
    if (this.perThread(stores) === 1) {
      place();
      this.store(stores);
      return;
    }
    const pairs = new Map<Store, Pair>();
    for (const s of stores)
      if (storesHalf(this.kernel, s)) {
        const pair = { word: values.name("p"), at: values.name("at") };
        values.line(`var ${pair.word} = 0u;`);
        values.line(`var ${pair.at} = 0;`);
        pairs.set(s, pair);
      }
    const turn = values.name("e");
    values.open(`for (var ${turn} = 0; ${turn} < 2; ${turn}++) {`);
    values.line(`let ${position} = ${first} + ${turn};`);
    values.line(`if (${position} >= ${values.int(range)}) { break; }`);
    place();
    this.store(stores, (s, value) => {
      const pair = pairs.get(s);
      if (!pair) return false;
      const { dtype } = this.kernel.buffers[s.buffer];
      values.line(`${pair.word} |= ${values.pattern(value, dtype)} << (16u * u32(${turn}));`);
      values.line(`${pair.at} = ${values.index(s.index)} - ${turn};`);
      return true;
    });
    values.close();
    for (const [{ buffer }, { word, at }] of pairs) values.line(`put_pair${buffer}(${at}, ${word});`);
  }

  private chooseTile(stages: readonly Stage[], rows: number): Tile {
    const { axes, buffers } = this.kernel;
    const isRowKernel = this.kernel.stores[0].inner !== undefined;
    const last = axes.at(-1);
    const lengths = stages.flatMap(({ inner, tops }) => [count(inner), ...tops.map(([r]) => count(r.axes))]);
    const longest = Math.max(...lengths);
    const across = !isRowKernel && last !== undefined && runsAcross(stages[0].tops, last);
    let y = 1;
    if (across) while (y < 16 && rows * y < enough && y * 8 <= longest) y *= 2;
    else if (longest > 4) {
      y = powerOfTwo(longest / 4);
      if (longest >= 32) y = Math.max(32, y);
      while (y < longest && rows * y < enough) y *= 2;
      y = Math.min(threads, y);
    }
    const local = buffers.reduce((n, { row }) => n + (row ?? 0) * wordBytes, 0);
    const room = local ? Math.max(1, Math.floor((this.workgroups.shared - reductionScratch) / local)) : threads;
    let x = Math.min(threads / y, powerOfTwo(rows));
    while (x > room) x /= 2;
    return { x, y, across };
  }

  /** Rows side by side, each by several threads, the stages one after the other. */
  private rows(stages: readonly Stage[], rows: number): void {
    const { values } = this;
    const { x, y, across } = this.tile;
    values.line(`let x = ${across ? `lane % ${x}` : `lane / ${y}`};`);
    values.line(`let y = ${across ? `lane / ${x}` : `lane % ${y}`};`);
    values.line(`let row = group * ${x} + x;`);
    values.line(`let valid = row < ${values.int(rows)};`);
    values.line(`let q = select(0, row, valid);`);
    values.decompose("q", this.kernel.axes);
    for (const [i, stage] of stages.entries()) {
      if (i > 0) {
        values.line("storageBarrier();");
        values.line("workgroupBarrier();");
      }
      values.inBlock(() => this.stage(stage));
    }
  }

  private stage({ inner, stores, tops }: Stage): void {
    const { values } = this;
    for (const group of tops) this.reduceTogether(group);
    if (inner.length === 0) {
      values.open(this.tile.y === 1 ? "if (valid) {" : "if (valid && y == 0) {");
      this.store(stores);
      values.close();
      return;
    }
    values.open("if (valid) {");
    const range = count(inner);
    const step = this.perThread(stores);
    const position = inner.length === 1 ? values.variable(inner[0]) : values.name("i");
    const first = step === 1 ? position : values.name("i");
    const from = step === 1 ? "y" : "2 * y";
    values.open(`for (var ${first} = ${from}; ${first} < ${values.int(range)}; ${first} += ${step * this.tile.y}) {`);
    this.storeFrom(first, position, range, stores, () => {
      if (inner.length > 1) values.decompose(position, inner);
    });
    values.close();
    values.close();
  }

  /** A loop over all positions of `axes`, of which this thread takes every y-th. */
  private strided(axes: readonly LoopVar[], body: (position: string) => void): void {
    const { values } = this;
    const position = axes.length === 1 ? values.variable(axes[0]) : values.name("i");
    values.open(`for (var ${position} = y; ${position} < ${values.int(count(axes))}; ${position} += ${this.tile.y}) {`);
    if (axes.length > 1) values.decompose(position, axes);
    body(position);
    values.close();
  }

  /** Stores at the present position, but for those that `taken` takes. */
  private store(stores: readonly Store[], taken: (s: Store, value: string) => boolean = () => false): void {
    const { values } = this;
    values.inBlock(() => {
      // All values before any store: a store may overwrite what another value reads.
      const texts = stores.map((s) => values.value(s.value));
      for (const [i, s] of stores.entries()) if (!taken(s, texts[i])) values.store(s.buffer, s.index, texts[i]);
    });
  }

  /** Reductions over the same terms: each thread takes some, then the threads of a row combine theirs in a tree. */
  private reduceTogether(group: readonly Reduce[]): void {
    const { values } = this;
    if (this.tile.y === 1) {
      const results = values.reduceSerially(group);
      for (const [i, r] of group.entries()) values.define(r, results[i]);
      return;
    }
    const accs = values.accumulators(group);
    const inner = innermost(group);
    const axes = isArg(group[0]) ? group[0].axes : [...group[0].axes.filter((v) => v !== inner), inner];
    this.strided(axes, (position) => values.step(accs, position));
    for (const acc of accs)
      values.define(acc.r, this.subgroups ? this.combineSubgroups(acc, this.subgroups) : this.combine(acc));
  }

  /**
   * Exchanges in pairs give all members of a subgroup the same result in an order that is laid down here, not by the
   * device; then every thread takes the subgroups of its row one after the other.
   */
  private combineSubgroups(acc: Accumulating, { most }: SubgroupSizes): string {
    const { values } = this;
    const { y } = this.tile;
    const { value, at, r } = acc;
    const arg = isArg(r);
    const { type, combine } = accumulator(r);
    const take = (other: string, otherAt: string) => {
      if (!arg) return values.line(`${value} = ${combine(value, other)};`);
      values.line(`if (${beats(r, other, otherAt, value, at)}) { ${value} = ${other}; ${at} = ${otherAt}; }`);
    };
    for (let half = 1; half < Math.min(y, most); half *= 2) {
      const [other, otherAt] = [values.name("o"), values.name("o")];
      values.line(`let ${other} = subgroupShuffleXor(${value}, ${half}u);`);
      if (arg) values.line(`let ${otherAt} = subgroupShuffleXor(${at}, ${half}u);`);
      values.open(`if (${half} < width) {`);
      take(other, otherAt);
      values.close();
    }
    const own = `shared_${type}`;
    this.scratch.add(type);
    if (arg) this.scratch.add("at");
    const k = values.name("k");
    values.open(`if (width < ${y}) {`);
    values.line(`${own}[lane] = ${value};`);
    if (arg) values.line(`shared_at[lane] = ${at};`);
    values.line("workgroupBarrier();");
    values.line(`${value} = ${own}[x * ${y}];`);
    if (arg) values.line(`${at} = shared_at[x * ${y}];`);
    values.open(`for (var ${k} = width; ${k} < ${y}; ${k} += width) {`);
    take(`${own}[x * ${y} + ${k}]`, `shared_at[x * ${y} + ${k}]`);
    values.close();
    values.line("workgroupBarrier();");
    values.close();
    return values.result(acc, value, at);
  }

  private combine(acc: Accumulating): string {
    const { values } = this;
    const { x, y, across } = this.tile;
    const arg = isArg(acc.r);
    const { type, combine } = accumulator(acc.r);
    const own = `shared_${type}`;
    this.scratch.add(type);
    values.line(`${own}[lane] = ${acc.value};`);
    if (arg) {
      this.scratch.add("at");
      values.line(`shared_at[lane] = ${acc.at};`);
    }
    values.line("workgroupBarrier();");
    for (let half = y / 2; half >= 1; half /= 2) {
      const other = `lane + ${half * (across ? x : 1)}`;
      values.open(`if (y < ${half}) {`);
      if (arg) {
        values.open(
          `if (${beats(acc.r, `${own}[${other}]`, `shared_at[${other}]`, `${own}[lane]`, "shared_at[lane]")}) {`,
        );
        values.line(`${own}[lane] = ${own}[${other}];`);
        values.line(`shared_at[lane] = shared_at[${other}];`);
        values.close();
      } else values.line(`${own}[lane] = ${combine(`${own}[lane]`, `${own}[${other}]`)};`);
      values.close();
      values.line("workgroupBarrier();");
    }
    const first = across ? "x" : `x * ${y}`;
    const t = values.result(acc, `${own}[${first}]`, `shared_at[${first}]`);
    values.line("workgroupBarrier();");
    return t;
  }

  private sharedMemory(): string {
    const { x, y } = this.tile;
    const scratch = [...this.scratch].map(
      (type) => `var<workgroup> shared_${type}: array<${type === "at" ? "i32" : type}, ${x * y}>;`,
    );
    const rows = this.kernel.buffers.flatMap(({ dtype, row }, i) =>
      row === undefined ? [] : [`var<workgroup> row${i}: array<${wgslType(dtype)}, ${x * row}>;`],
    );
    return [...scratch, ...rows].join("\n");
  }
}
