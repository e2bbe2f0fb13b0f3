import { factsOf, type InstructionFacts } from "../../compiler/cost.ts";
import type { Buffer } from "../../compiler/instruction.ts";
import { planMemory } from "../../compiler/plan.ts";
import { printSchedule } from "../../compiler/print.ts";
import { schedule } from "../../compiler/schedule.ts";
import { simplify } from "../../compiler/simplify.ts";
import { arrayType, byteSize, type DType, type TypedArray } from "../../core/dtype.ts";
import { ManabiError } from "../../core/errors.ts";
import { type DataAttrs, type Graph, reachable } from "../../graph/node.ts";
import type { Backend, Executable } from "../backend.ts";
import { addressOf, loadRuntime, type Runtime } from "./library.ts";
import { type RenderedKernel, renderKernel } from "./render.ts";
import { type SlotSource, type Tape, writeTape } from "./tape.ts";
import { buildKernels, findToolchain, type Toolchain } from "./toolchain.ts";

/** What the native backend computes in. */
export const nativeDTypes: ReadonlySet<DType> = new Set(["f32", "f64", "i32", "u32", "u8", "bool"]);

/** Compiles programs to machine code with the machine's C compiler; null where there is none. */
export function nativeBackend(): (Backend & { readonly runtime: Runtime; readonly toolchain: Toolchain }) | null {
  const toolchain = findToolchain();
  if (!toolchain || process.platform === "win32") return null;
  const runtime = loadRuntime(toolchain);
  const arena = new Arena(runtime);
  return {
    name: "native",
    dtypes: nativeDTypes,
    runtime,
    toolchain,
    compile: (graph) => compile(graph, toolchain, runtime, arena),
  };
}

/** Temporaries of whatever program is running: programs run one after the other and leave nothing in it. */
class Arena {
  private readonly runtime: Runtime;
  private bytes = 0;
  private address = 0;

  constructor(runtime: Runtime) {
    this.runtime = runtime;
  }

  /** An address with at least `bytes` behind it. */
  reserve(bytes: number): number {
    if (bytes > this.bytes) {
      if (this.address) this.runtime.free(this.address, this.bytes);
      this.bytes = 0;
      this.address = 0;
      this.address = this.runtime.alloc(bytes);
      this.bytes = bytes;
    }
    return this.address;
  }
}

function compile(graph: Graph, toolchain: Toolchain, runtime: Runtime, arena: Arena): Executable {
  for (const node of reachable(graph.outputs))
    if (!nativeDTypes.has(node.dtype))
      throw new ManabiError(
        `native: ${node.dtype} is not supported yet (${node.prim.name} gives it); compute in f32 or f64 and cast when saving`,
      );
  const { instructions, outputs } = schedule(simplify(graph));
  const plan = planMemory(instructions);

  const rendered = new Map<object, RenderedKernel>();
  const bodies = new Map<string, number>();
  const collect = (list: typeof instructions) => {
    for (const i of list) {
      if (i.kind === "loop") collect(i.body);
      if (i.kind !== "kernel") continue;
      const kernel = renderKernel(i.kernel);
      rendered.set(i, kernel);
      if (!bodies.has(kernel.body)) bodies.set(kernel.body, bodies.size);
    }
  };
  collect(instructions);
  const addresses = bodies.size ? runtime.load(buildKernels(toolchain, [...bodies.keys()]), bodies.size) : [];
  const tape = writeTape(instructions, plan, {
    kernel(instruction) {
      const kernel = rendered.get(instruction) as RenderedKernel;
      return { rendered: kernel, address: addresses[bodies.get(kernel.body) as number] };
    },
    op: runtime.symbol,
  });

  const launch = makeLaunch(tape, outputs, plan.bytes, arena);
  let facts: readonly InstructionFacts[] | null = null;
  return {
    arenaBytes: plan.bytes,
    run: (inputs) => launch(inputs, runtime.run),
    describe: () => printSchedule(instructions),
    profile(inputs) {
      facts ??= factsOf(instructions);
      const seconds = new Float64Array(facts.length);
      const results = launch(inputs, (words, count, slots) => runtime.runTimed(words, count, slots, seconds));
      return { results, timings: facts.map((fact, at) => ({ ...fact, seconds: seconds[at] })) };
    },
  };
}

/** One call into the run time per run; addresses are written again only where an array has changed. */
function makeLaunch(
  { words, slots: sources }: Tape,
  outputs: readonly Buffer[],
  arenaBytes: number,
  arena: Arena,
): (inputs: readonly TypedArray[], start: Runtime["run"]) => TypedArray[] {
  const slots = new BigUint64Array(new ArrayBuffer(sources.length * 8));
  const tapeAddress = Number(addressOf(words));
  const slotsAddress = Number(addressOf(slots));
  const ofKind = <K extends SlotSource["kind"]>(kind: K) =>
    sources.flatMap((source, slot) =>
      source.kind === kind ? [{ slot, source: source as Extract<SlotSource, { kind: K }> }] : [],
    );
  const [inArena, inInputs, inOutputs] = [ofKind("arena"), ofKind("input"), ofKind("output")];
  const held = ofKind("data").map(({ slot, source: { buffer, offset } }) => {
    const { data } = (buffer.place as Extract<Buffer["place"], { kind: "data" }>).node.attrs as DataAttrs;
    slots[slot] = addressOf(data) + BigInt(offset);
    return data;
  });
  let base = -1;
  const last: (TypedArray | null)[] = inInputs.map(() => null);
  return (inputs, start) => {
    const address = arena.reserve(arenaBytes);
    if (address !== base) {
      base = address;
      for (const { slot, source } of inArena) slots[slot] = BigInt(base + source.offset);
    }
    inInputs.forEach(({ slot, source }, i) => {
      const array = inputs[source.index];
      if (last[i] === array) return;
      last[i] = array;
      slots[slot] = addressOf(array) + BigInt(source.offset);
    });
    const results = outputs.map((b) =>
      b.place.kind === "input"
        ? inputs[b.place.index]
        : new (arrayType(b.dtype))(new ArrayBuffer(b.size * byteSize(b.dtype))),
    );
    for (const { slot, source } of inOutputs) slots[slot] = addressOf(results[source.index]) + BigInt(source.offset);
    start(tapeAddress, words.length, slotsAddress, held);
    return results;
  };
}
