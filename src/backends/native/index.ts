import { factsOf, type InstructionFacts } from "../../compiler/cost.ts";
import { attachEpilogues } from "../../compiler/epilogue.ts";
import { hoist, packBeforeLoops } from "../../compiler/hoist.ts";
import type { Buffer, Instruction, OpInstruction } from "../../compiler/instruction.ts";
import { planMemory } from "../../compiler/plan.ts";
import { printSchedule } from "../../compiler/print.ts";
import { schedule } from "../../compiler/schedule.ts";
import { simplify } from "../../compiler/simplify.ts";
import { writes } from "../../compiler/updates.ts";
import { arrayType, byteSize, type DType, dtypes, type TypedArray } from "../../core/dtype.ts";
import { hostInputs } from "../../core/value.ts";
import type { DataAttrs, Graph, Node } from "../../graph/node.ts";
import type { Backend, Executable } from "../backend.ts";
import { whenChanged } from "../refresh.ts";
import { overMatrix } from "./epilogues.ts";
import { addressOf, loadRuntime, type Runtime } from "./library.ts";
import { type RenderedKernel, renderEpilogue, renderKernel } from "./render.ts";
import { type SlotSource, type Tape, writeTape } from "./tape.ts";
import { buildKernels, findToolchain, type Toolchain } from "./toolchain.ts";

/** What the native backend computes in. */
export const nativeDTypes: ReadonlySet<DType> = new Set(dtypes);

export interface NativeBackend extends Backend<TypedArray> {
  readonly runtime: Runtime;
  readonly toolchain: Toolchain;
  /** Whether the processor multiplies bf16, so that matrix precision `medium` differs from `highest`. */
  readonly hasBf16: boolean;
}

/** Compiles programs to machine code with the machine's C compiler; null where there is none. */
export function nativeBackend(): NativeBackend | null {
  const toolchain = findToolchain();
  if (!toolchain || process.platform === "win32") return null;
  const runtime = loadRuntime(toolchain);
  const arena = new Arena(runtime);
  return {
    name: "native",
    memory: "host",
    key: `native ${toolchain.flags.join(" ")}`,
    dtypes: nativeDTypes,
    runtime,
    toolchain,
    hasBf16: runtime.symbol("gemm_f32_medium") !== runtime.symbol("gemm_f32"),
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

function compile(graph: Graph, toolchain: Toolchain, runtime: Runtime, arena: Arena): Executable<TypedArray> {
  const { instructions, outputs } = schedule(simplify(graph));
  const packedSize = ({ name, params }: OpInstruction) => runtime.packedSize(name, params);
  const { once, always: rest } = hoist(instructions, new Set(graph.constants), packedSize);
  const always = attachEpilogues(packBeforeLoops(rest, packedSize), overMatrix);

  const rendered = new Map<object, RenderedKernel>();
  const bodies = new Map<string, number>();
  const collect = (list: readonly Instruction[]) => {
    for (const i of list) {
      if (i.kind === "loop") collect(i.body);
      if (i.kind !== "kernel" && !(i.kind === "op" && i.epilogue)) continue;
      const kernel = i.kind === "kernel" ? renderKernel(i.kernel) : renderEpilogue((i.epilogue as Epilogue).kernel);
      rendered.set(i, kernel);
      if (!bodies.has(kernel.body)) bodies.set(kernel.body, bodies.size);
    }
  };
  collect(once);
  collect(always);
  const addresses = bodies.size ? runtime.load(buildKernels(toolchain, [...bodies.keys()]), bodies.size) : [];
  const kept = keepMemory(once.flatMap(writes), runtime);
  const launcher = (list: readonly Instruction[], results: readonly Buffer[]) => {
    const plan = planMemory(list);
    const tape = writeTape(list, plan, {
      kernel(instruction) {
        const kernel = rendered.get(instruction) as RenderedKernel;
        return { rendered: kernel, address: addresses[bodies.get(kernel.body) as number] };
      },
      op: runtime.symbol,
    });
    return { bytes: plan.bytes, launch: makeLaunch(tape, results, plan.bytes, arena, kept) };
  };
  const { bytes, launch } = launcher(always, outputs);
  const keep = once.length ? launcher(once, []).launch : null;
  const refresh = keep ? whenChanged<TypedArray>(once, (inputs) => void keep(inputs, runtime.run)) : () => {};
  let facts: readonly InstructionFacts[] | null = null;
  return {
    arenaBytes: bytes,
    run(values) {
      const inputs = hostInputs("native", values);
      refresh(inputs);
      return launch(inputs, runtime.run);
    },
    describe: () => (once.length ? `once:\n${printSchedule(once)}\nalways:\n` : "") + printSchedule(always),
    profile(values) {
      const inputs = hostInputs("native", values);
      refresh(inputs);
      facts ??= factsOf(always);
      const seconds = new Float64Array(facts.length);
      const results = launch(inputs, (words, count, slots) => runtime.runTimed(words, count, slots, seconds));
      return { results, timings: facts.map((fact, at) => ({ ...fact, seconds: seconds[at] })) };
    },
  };
}

type Epilogue = NonNullable<OpInstruction["epilogue"]>;
type Launch = (inputs: readonly TypedArray[], start: Runtime["run"]) => TypedArray[];

/** One call into the run time per run; addresses are written again only where an array has changed. */
function makeLaunch(
  { words, slots: sources }: Tape,
  outputs: readonly Buffer[],
  arenaBytes: number,
  arena: Arena,
  kept: ReadonlyMap<Buffer, TypedArray>,
): Launch {
  const slots = new BigUint64Array(new ArrayBuffer(sources.length * 8));
  const tapeAddress = Number(addressOf(words));
  const slotsAddress = Number(addressOf(slots));
  const ofKind = <K extends SlotSource["kind"]>(kind: K) =>
    sources.flatMap((source, slot) =>
      source.kind === kind ? [{ slot, source: source as Extract<SlotSource, { kind: K }> }] : [],
    );
  const [inArena, inInputs, inOutputs] = [ofKind("arena"), ofKind("input"), ofKind("output")];
  const held = ofKind("held").map(({ slot, source: { buffer, offset } }) => {
    const data = buffer.place.kind === "data" ? heldArray(buffer.place.node) : (kept.get(buffer) as TypedArray);
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

/** The values of a leaf. */
const heldArray = (node: Node): TypedArray => hostInputs("native", [(node.attrs as DataAttrs).data])[0];

/** The kept ones of these buffers, in one block: packed weights are read at the speed of memory, which huge pages raise. */
function keepMemory(buffers: readonly Buffer[], runtime: Runtime): ReadonlyMap<Buffer, TypedArray> {
  const kept = [...new Set(buffers)].filter((b) => b.place.kind === "kept");
  const align = 64;
  const sizes = kept.map((b) => Math.ceil((b.size * byteSize(b.dtype)) / align) * align);
  const block = new Uint8Array(new ArrayBuffer(sizes.reduce((sum, size) => sum + size, align)));
  if (kept.length) runtime.preferHugePages(block);
  let at = kept.length ? align - Number(addressOf(block) % BigInt(align)) : 0;
  return new Map(
    kept.map((buffer, i) => {
      const array = new (arrayType(buffer.dtype))(block.buffer, at, buffer.size);
      at += sizes[i];
      return [buffer, array];
    }),
  );
}
