import type { Buffer, Instruction } from "../../compiler/instruction.ts";
import type { MemoryPlan } from "../../compiler/plan.ts";
import type { Device } from "./device.ts";
import type { Timestamps } from "./timestamps.ts";
import { elementBytes, wordBytes } from "./wgsl/scalar.ts";
import { type Dispatch, type Layout, paramsAt, shaderText, uniformBytes } from "./wgsl/shader.ts";

/** A buffer of the device as a program knows it before it runs. */
export type Home =
  | { readonly kind: "arena" }
  | { readonly kind: "input" | "output"; readonly index: number }
  | { readonly kind: "held"; readonly buffer: Buffer };

/** What several runs of shaders bind: the uniform blocks, then these buffers. */
interface BindingSet {
  readonly layout: GPUBindGroupLayout;
  readonly homes: readonly Home[];
  readonly blockBytes: number;
  last: { readonly buffers: readonly GPUBuffer[]; readonly group: GPUBindGroup } | null;
}

interface Step {
  readonly instruction: Instruction;
  readonly pipeline: GPUComputePipeline;
  readonly bindings: BindingSet;
  /** Byte offset of its uniform block. */
  readonly block: number;
  readonly x: number;
  readonly y: number;
}

type Bound = ReadonlyMap<BindingSet, GPUBindGroup>;

function run(pass: GPUComputePassEncoder, { pipeline, bindings, block, x, y }: Step, groups: Bound): void {
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, groups.get(bindings) as GPUBindGroup, [block]);
  pass.dispatchWorkgroups(x, y);
}

/** Most workgroups along one axis. */
const mostGroups = 65535;

/** A list of instructions as runs of shaders, ready to be recorded. */
export class Launch {
  private readonly device: Device;
  private readonly plan: MemoryPlan;
  private readonly steps: Step[] = [];
  private readonly sets = new Map<string, BindingSet>();
  private readonly homes = new Map<string | Buffer, { readonly home: Home; readonly id: number }>();
  private readonly uniforms: GPUBuffer;
  /** Uniform blocks one after the other, in words. */
  private readonly blocks: number[] = [];

  constructor(
    device: Device,
    instructions: readonly Instruction[],
    plan: MemoryPlan,
    dispatchOf: (instruction: Instruction) => Dispatch | null,
  ) {
    this.device = device;
    this.plan = plan;
    const dispatches = new Map<Instruction, Dispatch | null>();
    const write = (list: readonly Instruction[], turns: readonly number[]) => {
      for (const i of list) {
        if (i.kind === "loop") {
          for (let t = 0; t < i.count; t++) write(i.body, [...turns, t]);
          continue;
        }
        if (!dispatches.has(i)) dispatches.set(i, dispatchOf(i));
        const dispatch = dispatches.get(i);
        if (dispatch) this.addStep(i, dispatch, turns);
      }
    };
    write(instructions, []);
    this.uniforms = device.uniforms(Int32Array.from(this.blocks));
  }

  /** Runs of shaders. */
  get length(): number {
    return this.steps.length;
  }

  /** The instruction of every run. */
  get instructions(): Instruction[] {
    return this.steps.map(({ instruction }) => instruction);
  }

  /** Records all runs; `bufferOf` gives the buffers that the program runs on this time. */
  record(encoder: GPUCommandEncoder, bufferOf: (home: Home) => GPUBuffer): void {
    const groups = this.bindAll(bufferOf);
    const pass = encoder.beginComputePass();
    for (const step of this.steps) run(pass, step, groups);
    pass.end();
  }

  /** Records all runs, each in a pass of its own, which is timed. */
  recordTimed(encoder: GPUCommandEncoder, bufferOf: (home: Home) => GPUBuffer, timestamps: Timestamps): void {
    const groups = this.bindAll(bufferOf);
    for (const [i, step] of this.steps.entries()) {
      const pass = encoder.beginComputePass({ timestampWrites: timestamps.of(i) });
      run(pass, step, groups);
      pass.end();
    }
    timestamps.resolve(encoder);
  }

  private bindAll(bufferOf: (home: Home) => GPUBuffer): Bound {
    return new Map([...this.sets.values()].map((set) => [set, this.bind(set, bufferOf)]));
  }

  private bind(set: BindingSet, bufferOf: (home: Home) => GPUBuffer): GPUBindGroup {
    const buffers = set.homes.map(bufferOf);
    if (set.last?.buffers.every((b, i) => b === buffers[i])) return set.last.group;
    const group = this.device.gpu.createBindGroup({
      layout: set.layout,
      entries: [
        { binding: 0, resource: { buffer: this.uniforms, size: set.blockBytes } },
        ...buffers.map((buffer, i) => ({ binding: i + 1, resource: { buffer } })),
      ],
    });
    set.last = { buffers, group };
    return group;
  }

  private addStep(
    instruction: Instruction,
    { code, label, operands, params, groups }: Dispatch,
    turns: readonly number[],
  ): void {
    if (groups === 0) return;
    const places = operands.map(({ buffer, offset }) => {
      const { home, start } = this.locate(buffer, turns);
      return { ...this.homeFor(home), start: start + offset };
    });
    const ids = [...new Set(places.map(({ id }) => id))];
    const binding = (at: number) => ids.indexOf(places[at].id);
    const bindings = ids.map((_, b) => operands.some((o, i) => o.written && binding(i) === b));
    const layout: Layout = {
      operands: operands.map(({ buffer, written, inPairs }, i) => ({
        dtype: buffer.dtype,
        ...{ written, inPairs, binding: binding(i) },
      })),
      bindings,
    };
    const pipeline = this.device.pipeline(shaderText(code, layout, params.length), bindings, label);
    const blockBytes = uniformBytes(operands.length, params.length);
    const key = `${bindings.map(Number).join("")}:${ids}:${blockBytes}`;
    let set = this.sets.get(key);
    if (!set) {
      const homes = ids.map((id) => (places.find((p) => p.id === id) as { home: Home }).home);
      set = { layout: this.device.layout(bindings), homes, blockBytes, last: null };
      this.sets.set(key, set);
    }
    const block = this.addBlock(
      groups,
      places.map((p) => p.start),
      params,
      blockBytes,
    );
    const x = Math.min(groups, mostGroups);
    this.steps.push({ instruction, pipeline, bindings: set, block, x, y: Math.ceil(groups / x) });
  }

  private addBlock(groups: number, offsets: readonly number[], params: readonly number[], bytes: number): number {
    const { blocks } = this;
    const align = this.device.gpu.limits.minUniformBufferOffsetAlignment / wordBytes;
    while (blocks.length % align) blocks.push(0);
    const start = blocks.length;
    blocks.push(groups, ...offsets);
    while (blocks.length < start + paramsAt(offsets.length)) blocks.push(0);
    blocks.push(...params);
    while (blocks.length < start + bytes / wordBytes) blocks.push(0);
    return start * wordBytes;
  }

  private homeFor(home: Home): { readonly home: Home; readonly id: number } {
    const key = home.kind === "held" ? home.buffer : home.kind === "arena" ? "arena" : `${home.kind} ${home.index}`;
    let known = this.homes.get(key);
    if (!known) {
      known = { home, id: this.homes.size };
      this.homes.set(key, known);
    }
    return known;
  }

  /** Where a buffer lies in the given turns of the loops around; `start` in elements. */
  private locate(buffer: Buffer, turns: readonly number[]): { readonly home: Home; readonly start: number } {
    const { place } = buffer;
    switch (place.kind) {
      case "temp":
        return {
          home: { kind: "arena" },
          start: (this.plan.offsets.get(buffer) as number) / elementBytes(buffer.dtype),
        };
      case "input":
      case "output":
        return { home: { kind: place.kind, index: place.index }, start: 0 };
      case "data":
      case "kept":
        return { home: { kind: "held", buffer }, start: 0 };
      case "slice": {
        const { home, start } = this.locate(place.of, turns);
        const turn = place.reverse ? place.length - 1 - turns[place.depth] : turns[place.depth];
        return { home, start: start + turn * buffer.size };
      }
    }
  }
}
