import { factsOf } from "../../compiler/cost.ts";
import { attachEpilogues, isInOrder } from "../../compiler/epilogue.ts";
import { hoist } from "../../compiler/hoist.ts";
import type { Buffer, Instruction } from "../../compiler/instruction.ts";
import { planMemory } from "../../compiler/plan.ts";
import { printSchedule } from "../../compiler/print.ts";
import { schedule } from "../../compiler/schedule.ts";
import { simplify } from "../../compiler/simplify.ts";
import { ManabiError } from "../../core/errors.ts";
import { isOnHost, type Value } from "../../core/value.ts";
import type { DataAttrs, Graph } from "../../graph/node.ts";
import { type Executable, type Timing, timesWritten } from "../backend.ts";
import { whenChanged } from "../refresh.ts";
import { GpuArray } from "./array.ts";
import { bindingCount, limitBindings } from "./bindings.ts";
import type { Device } from "./device.ts";
import { type Home, Launch } from "./launch.ts";
import { copyDispatch } from "./ops/copy.ts";
import { expandOperations, isProduct, operationDispatch } from "./ops/index.ts";
import { readHalves } from "./read-halves.ts";
import { splitReductions } from "./split-reductions.ts";
import { Timestamps } from "./timestamps.ts";
import { kernelDispatch, reductionScratch } from "./wgsl/kernel.ts";
import { elementBytes, memoryBytes, wordBytes } from "./wgsl/scalar.ts";
import type { Dispatch } from "./wgsl/shader.ts";

/** Compiles a graph to shaders for this device. */
export function compileProgram(graph: Graph, device: Device): Executable<GpuArray> {
  device.check();
  const { maxStorageBuffersPerShaderStage: most } = device.gpu.limits;
  const { workgroups } = device;
  const limits = {
    canBind: (buffers: readonly Buffer[]) => bindingCount(buffers) <= most,
    rowRoom: Math.floor((workgroups.shared - reductionScratch) / wordBytes),
  };
  const { instructions, outputs } = schedule(simplify(graph), limits);
  const { once, always: rest } = hoist(readHalves(instructions), new Set(graph.constants), () => 0);
  const always = attachEpilogues(rest, (op, { kernel, buffers }) => {
    return isProduct(op) && isInOrder(kernel) && limits.canBind([...op.buffers, ...buffers]) ? kernel : null;
  });

  const dispatchOf = (i: Instruction): Dispatch | null => {
    if (i.kind === "kernel")
      return kernelDispatch(i, workgroups, `a kernel over ${i.kernel.axes.map((v) => v.size).join(" x ") || 1}`);
    if (i.kind === "op") return operationDispatch(i, workgroups);
    return i.kind === "copy" ? copyDispatch(i) : null;
  };
  const origins = new Map<Instruction, Instruction>();
  /** What runs on the device in place of each instruction. */
  const expand = (list: readonly Instruction[]): Instruction[] =>
    list.flatMap((i): Instruction[] => {
      if (i.kind === "loop") return [{ ...i, body: expand(i.body) }];
      const parts = limitBindings(expandOperations(splitReductions([i]), workgroups), most);
      for (const part of parts) origins.set(part, i);
      return parts;
    });
  const launcher = (list: readonly Instruction[]) => {
    const expanded = expand(list);
    const plan = planMemory(expanded, elementBytes);
    return { launch: new Launch(device, expanded, plan, dispatchOf), bytes: plan.bytes };
  };
  const main = launcher(always);
  const first = once.length ? launcher(once) : null;

  const held = new Map<Buffer, GpuArray>();
  const heldArray = (buffer: Buffer): GpuArray => {
    let array = held.get(buffer);
    if (!array) {
      const { place } = buffer;
      array =
        place.kind === "data"
          ? onDevice((place.node.attrs as DataAttrs).data, buffer, device)
          : new GpuArray(device, buffer.dtype, buffer.size);
      held.set(buffer, array);
    }
    return array;
  };
  const execute = (
    { launch, bytes }: typeof main,
    inputs: readonly GPUBuffer[],
    results: readonly GpuArray[],
    timestamps: Timestamps | null = null,
  ) => {
    if (launch.length === 0) return;
    const arena = device.reserve(bytes);
    const bufferOf = (home: Home): GPUBuffer => {
      if (home.kind === "arena") return arena;
      if (home.kind === "held") return heldArray(home.buffer).buffer;
      return home.kind === "input" ? inputs[home.index] : results[home.index].buffer;
    };
    const record = (encoder: GPUCommandEncoder) =>
      timestamps ? launch.recordTimed(encoder, bufferOf, timestamps) : launch.record(encoder, bufferOf);
    device.submit(`a program of ${launch.length} shader runs`, record, feed.transientBytes);
  };

  const feed = new Inputs(graph, device);
  const refresh = first ? whenChanged<Value>(once, () => execute(first, feed.buffers, [])) : () => {};
  const run = (inputs: readonly Value[], timestamps: Timestamps | null = null): GpuArray[] => {
    device.check();
    device.backlog.check();
    try {
      feed.take(inputs);
      refresh(inputs);
      const results = outputs.map((b) =>
        b.place.kind === "input" ? feed.array(b.place.index) : new GpuArray(device, b.dtype, b.size),
      );
      execute(main, feed.buffers, results, timestamps);
      return results;
    } finally {
      feed.release();
    }
  };
  return {
    arenaBytes: main.bytes,
    run: (inputs) => run(inputs),
    profileOnDevice: device.gpu.features.has("timestamp-query")
      ? (inputs) => {
          const timestamps = new Timestamps(device.gpu, main.launch.length);
          const results = run(inputs, timestamps);
          const { instructions } = main.launch;
          const timings = device.secondsOf(timestamps).then((seconds) => {
            return timingsOf(
              always,
              instructions.map((i) => origins.get(i) as Instruction),
              seconds,
            );
          });
          return { results, timings };
        }
      : undefined,
    describe: () =>
      `${once.length ? `once:\n${printSchedule(once)}\nalways:\n` : ""}${printSchedule(always)}\n` +
      `(${main.launch.length} runs of shaders on ${device.name})`,
  };
}

/** Facts of all instructions with the sums of what their runs on the device took; a loop takes as long as its body. */
function timingsOf(
  instructions: readonly Instruction[],
  runs: readonly Instruction[],
  seconds: readonly number[],
): Timing[] {
  const times = new Map<Instruction, number>();
  for (const [i, run] of runs.entries()) times.set(run, (times.get(run) ?? 0) + seconds[i]);
  const inOrder = (list: readonly Instruction[]): Instruction[] =>
    list.flatMap((i) => (i.kind === "loop" ? [i, ...inOrder(i.body)] : [i]));
  const timeOf = (i: Instruction): number =>
    i.kind === "loop" ? i.body.reduce((sum, inner) => sum + timeOf(inner), 0) : (times.get(i) ?? 0);
  const list = inOrder(instructions);
  return factsOf(instructions).map((fact, at) => ({ ...fact, seconds: timeOf(list[at]) }));
}

/** Values as an array of this device: their own, or a copy of what lies in host memory. */
function onDevice(value: Value, { dtype }: { readonly dtype: Buffer["dtype"] }, device: Device): GpuArray {
  if (isOnHost(value)) return device.upload(value, dtype);
  if (value instanceof GpuArray && value.device === device) return value;
  if (value instanceof GpuArray) value.device.check();
  throw new ManabiError(
    `webgpu: a value lies in the memory of another device of ${value.backend}; fromHost(await tensor.host()) moves it`,
  );
}

/** What a program runs on, brought to the device. */
class Inputs {
  private readonly graph: Graph;
  private readonly device: Device;
  private readonly updated: ReadonlySet<number>;
  private readonly constants: ReadonlySet<number>;
  /** Copies of constants in host memory, and how often those had been written. */
  private readonly copies = new WeakMap<Value, { readonly array: GpuArray; readonly writes: number }>();
  private arrays: (GpuArray | null)[] = [];
  private transient: GPUBuffer[] = [];
  /** One for each input, until `release`. */
  buffers: readonly GPUBuffer[] = [];

  constructor(graph: Graph, device: Device) {
    this.graph = graph;
    this.device = device;
    this.updated = new Set(graph.updates.map(({ input }) => input));
    this.constants = new Set(graph.constants);
  }

  take(inputs: readonly Value[]): void {
    this.arrays = inputs.map((value, i) => this.lasting(value, i));
    this.buffers = inputs.map((value, i) => {
      const array = this.arrays[i];
      if (array || !isOnHost(value)) return (array as GpuArray).buffer;
      // What comes anew for every run, such as a batch: the memory serves the next run, which the queue puts after this.
      const buffer = this.device.pool.take(memoryBytes(value.length, this.graph.inputs[i].dtype));
      this.device.write(buffer, value);
      this.transient.push(buffer);
      return buffer;
    });
  }

  /** The array of an input that is updated. */
  array(index: number): GpuArray {
    return this.arrays[index] as GpuArray;
  }

  /** Bytes of what came for this run alone. */
  get transientBytes(): number {
    return this.transient.reduce((n, { size }) => n + size, 0);
  }

  /** Gives back the memory of what came for this run alone. */
  release(): void {
    for (const buffer of this.transient) this.device.pool.give(buffer);
    this.transient = [];
    this.buffers = [];
    this.arrays = [];
  }

  /** The array of a value that lies on the device or stays there. */
  private lasting(value: Value, index: number): GpuArray | null {
    const spec = this.graph.inputs[index];
    if (!isOnHost(value) || this.updated.has(index)) return onDevice(value, spec, this.device);
    if (!this.constants.has(index)) return null;
    const known = this.copies.get(value);
    const writes = timesWritten(value);
    if (known?.writes === writes) return known.array;
    const array = onDevice(value, spec, this.device);
    this.copies.set(value, { array, writes });
    return array;
  }
}
