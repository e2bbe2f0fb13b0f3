import type { Buffer, Instruction } from "../../compiler/instruction.ts";
import type { MemoryPlan } from "../../compiler/plan.ts";
import { writes } from "../../compiler/updates.ts";
import { arrayType, byteSize, type TypedArray } from "../../core/dtype.ts";
import type { DataAttrs } from "../../graph/node.ts";
import type { Step } from "./calls.ts";
import type { Engine } from "./engine.ts";
import { type Layout, layOut, type Placed, type Reference } from "./layout.ts";

interface LaunchOptions {
  readonly instructions: readonly Instruction[];
  readonly steps: readonly Step[];
  readonly plan: MemoryPlan;
  readonly results: readonly Buffer[];
  /** Inputs that rarely change. */
  readonly constants: ReadonlySet<number>;
  /** Addresses of what outlives a run, which all parts of a program share. */
  readonly kept: Map<Buffer, number>;
  /** What outlives a run is freed with this. */
  readonly owner: object;
}

const bytesOf = ({ size, dtype }: Buffer): number => size * byteSize(dtype);

/** Runs the steps of a program. */
export class Launch {
  private readonly engine: Engine;
  private readonly options: LaunchOptions;
  private readonly updated: ReadonlySet<number>;
  /** Bytes of the inputs that have been outside of the memory. */
  private readonly staged = new Map<number, number>();
  private layout: Layout | null = null;
  private layoutThreads = 0;
  /** Addresses that are in the contexts. */
  private readonly inputAddresses: number[] = [];
  private readonly outputAddresses: number[] = [];
  private readonly lastInside: (TypedArray | null)[] = [];

  constructor(engine: Engine, options: LaunchOptions) {
    this.engine = engine;
    this.options = options;
    const places = options.instructions.flatMap(writes).map(({ place }) => place);
    this.updated = new Set(places.flatMap((p) => (p.kind === "input" ? [p.index] : [])));
  }

  /** Bytes planned for temporaries. */
  get temporaryBytes(): number {
    return this.options.plan.bytes;
  }

  /** Adds the seconds of each instruction, each loop before its body, to `seconds`. */
  run(inputs: readonly TypedArray[], seconds: Float64Array | null): TypedArray[] {
    const { memory, arena, residents } = this.engine;
    residents.startRun();
    const places = inputs.map((array, i) => this.placeOf(array, i));
    const layout = this.ready();
    places.forEach((place, i) => {
      const address = place ?? (layout.inputAt.get(i) as number);
      if (place === null && layout.inputs.has(i)) memory.write(address, inputs[i]);
      this.point(layout.inputs.get(i), this.inputAddresses, i, address);
    });
    const results = this.options.results.map((buffer, i) => this.resultFor(buffer, i, inputs, layout));
    // A run that fails leaves contexts as they are in the middle of a loop.
    arena.user = null;
    this.runSteps(layout.steps, seconds, 0);
    arena.user = this;
    for (const i of this.updated) if (places[i] === null) this.copyOut(inputs[i], layout.inputAt.get(i) as number);
    results.forEach((array, i) => {
      if (this.options.results[i].place.kind !== "input" && memory.addressOf(array) === null)
        this.copyOut(array, layout.outputAt[i]);
    });
    return results;
  }

  /** Where an input lies in the memory, or null if it lies outside. */
  private placeOf(array: TypedArray, i: number): number | null {
    if (this.lastInside[i] === array) return this.inputAddresses[i];
    const { memory, residents } = this.engine;
    const inside = memory.addressOf(array);
    this.lastInside[i] = inside === null ? null : array;
    const place = inside ?? (this.updated.has(i) ? null : residents.find(array, this.options.constants.has(i)));
    if (place === null && !this.staged.has(i)) {
      this.staged.set(i, array.byteLength);
      this.layout = null;
    }
    return place;
  }

  /** The layout, with its contexts in the arena. */
  private ready(): Layout {
    const { engine, options, staged } = this;
    const { threads, arena, memory } = engine;
    if (!this.layout || this.layoutThreads !== threads.count || arena.reserve(this.layout.bytes) !== this.layout.base) {
      this.layout = layOut({
        ...{ steps: options.steps, plan: options.plan, results: options.results, staged, threads: threads.count },
        numberOf: ({ work }) => engine.functions.numberOf(work),
        held: (buffer) => this.held(buffer),
        reserve: (bytes) => arena.reserve(bytes),
      });
      this.layoutThreads = threads.count;
      this.inputAddresses.length = 0;
      this.outputAddresses.length = 0;
      this.lastInside.length = 0;
      arena.user = null;
    }
    if (arena.user !== this) memory.words.set(this.layout.contexts, this.layout.base / 4);
    return this.layout;
  }

  /** Puts an address into the contexts if it is not there yet. */
  private point(references: readonly Reference[] | undefined, known: number[], i: number, address: number): void {
    if (!references || known[i] === address) return;
    known[i] = address;
    const { contexts, base } = this.layout as Layout;
    const { words } = this.engine.memory;
    for (const { word, offset } of references) {
      contexts[word] = address + offset;
      words[base / 4 + word] = address + offset;
    }
  }

  private resultFor(
    { place, dtype, size }: Buffer,
    i: number,
    inputs: readonly TypedArray[],
    layout: Layout,
  ): TypedArray {
    if (place.kind === "input") return inputs[place.index];
    const inside = this.engine.memory.array(arrayType(dtype), size, true);
    this.point(layout.outputs.get(i), this.outputAddresses, i, inside ? inside.byteOffset : layout.outputAt[i]);
    return inside ?? new (arrayType(dtype))(size);
  }

  private copyOut(array: TypedArray, address: number): void {
    const { buffer } = this.engine.memory.words;
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength).set(
      new Uint8Array(buffer, address, array.byteLength),
    );
  }

  /** Memory that outlives a run: constants of the program, and what it computes once. */
  private held(buffer: Buffer): number {
    const { kept, owner } = this.options;
    const { memory } = this.engine;
    let address = kept.get(buffer);
    if (address === undefined) {
      address = memory.alloc(bytesOf(buffer), "constants");
      memory.freeWith(owner, address, bytesOf(buffer));
      kept.set(buffer, address);
      if (buffer.place.kind === "data") memory.write(address, (buffer.place.node.attrs as DataAttrs).data);
    }
    return address;
  }

  /** Returns the place in `seconds` of what follows. */
  private runSteps(steps: readonly Placed[], seconds: Float64Array | null, first: number): number {
    const { threads } = this.engine;
    let at = first;
    for (const step of steps) {
      const own = at++;
      const start = seconds ? performance.now() : 0;
      if ("calls" in step)
        for (const { number, ctx, ctxStep, range, grain } of step.calls)
          threads.run(number, ctx, ctxStep, range, grain);
      else at = this.runLoop(step, seconds, at);
      if (seconds) seconds[own] += (performance.now() - start) / 1000;
    }
    return at;
  }

  private runLoop(loop: Extract<Placed, { count: number }>, seconds: Float64Array | null, first: number): number {
    const { words } = this.engine.memory;
    const { count, body, moving } = loop;
    let after = first;
    for (let turn = 0; turn < count; turn++) {
      after = this.runSteps(body, seconds, first);
      for (const { word, stride } of moving) words[word] += stride;
    }
    for (const { word, stride } of moving) words[word] -= count * stride;
    return after;
  }
}
