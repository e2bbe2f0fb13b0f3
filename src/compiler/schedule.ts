import type { DType } from "../core/dtype.ts";
import { ManabiError } from "../core/errors.ts";
import { sizeOf } from "../core/shape.ts";
import { type Graph, type Node, reachable } from "../graph/node.ts";
import { type PickAttrs, type ScanAttrs, scanOutputs } from "../primitives/control.ts";
import type { PrimitiveName } from "../primitives/index.ts";
import type { AxisAttrs } from "../primitives/movement.ts";
import { denseBase } from "./access.ts";
import type { Expr } from "./expr.ts";
import { chooseBuffers, isLeaf, isOp } from "./fuse.ts";
import { flatten, type Idx, offsetIdx, ofVar } from "./idx.ts";
import type { Buffer, CopyInstruction, Instruction, KernelLimits, Schedule } from "./instruction.ts";
import { fitAxes, type Kernel, newVar } from "./kernel.ts";
import { lowerings } from "./lower.ts";
import { dropDeadStores, mergeKernels } from "./merge.ts";
import { operands, operation } from "./operation.ts";
import { fuseRows, localizeRows } from "./rows.ts";
import { simplify } from "./simplify.ts";
import { writeInPlace } from "./updates.ts";

const bufferFor = ({ shape, dtype }: { shape: readonly number[]; dtype: DType }, place: Buffer["place"]): Buffer => ({
  size: sizeOf(shape),
  dtype,
  place,
});

/** A processor with caches: row values must leave room in the first one, and on a stack. */
const cpu: KernelLimits = { canBind: () => true, rowRoom: 1 << 13 };

/** Turns a simplified graph into instructions in execution order. */
export function schedule(graph: Graph, limits: KernelLimits = cpu): Schedule {
  const scheduler = new Scheduler(0);
  const inputs = graph.inputs.map((node, index) => {
    const buffer = bufferFor(node, { kind: "input", index });
    scheduler.buffers.set(node, buffer);
    return buffer;
  });
  const updated = new Map(graph.updates.map(({ input, output }) => [output, inputs[input]]));
  const outputs = graph.outputs.map((node, index) => updated.get(index) ?? bufferFor(node, { kind: "output", index }));
  // The first output of a node is where it is computed; every other one, and every update, is a copy at the end.
  const homes = new Map<Node, Buffer>();
  graph.outputs.forEach((node, i) => {
    if (!isLeaf(node) && !updated.has(i) && !homes.has(node)) homes.set(node, outputs[i]);
  });
  scheduler.emit(graph.outputs, homes);
  const copies = graph.outputs.flatMap((node, i): CopyInstruction[] => {
    const from = scheduler.bufferOf(node);
    return from === outputs[i] || from.size === 0 ? [] : [{ kind: "copy", from, to: outputs[i] }];
  });
  const inPlace = writeInPlace(scheduler.instructions, orderCopies(copies));
  const merged = dropDeadStores(mergeKernels(inPlace, limits.canBind));
  return { instructions: localizeRows(fuseRows(merged, limits), limits), outputs };
}

/** Outputs first, since they may be copies of inputs that an update overwrites; updates that swap go through a temp. */
function orderCopies(copies: readonly CopyInstruction[]): CopyInstruction[] {
  const fresh = copies.filter((c) => c.to.place.kind === "output");
  const updates = copies.filter((c) => c.to.place.kind !== "output");
  const tangled = updates.filter((c) => updates.some((other) => other !== c && other.to === c.from));
  const staged = tangled.map((c) => ({ ...c, temp: { ...c.from, place: { kind: "temp" } } satisfies Buffer }));
  return [
    ...fresh,
    ...staged.map(({ from, temp }): CopyInstruction => ({ kind: "copy", from, to: temp })),
    ...updates.filter((c) => !tangled.includes(c)),
    ...staged.map(({ to, temp }): CopyInstruction => ({ kind: "copy", from: temp, to })),
  ];
}

class Scheduler {
  readonly instructions: Instruction[] = [];
  readonly buffers = new Map<Node, Buffer>();
  private realized = new Set<Node>();
  private readonly picks = new Map<Node, Map<number, Node>>();
  /** Loops around what is emitted. */
  private readonly depth: number;

  constructor(depth: number) {
    this.depth = depth;
  }

  /** Emits what computes `outputs`; `homes` says where some of them are to be written. */
  emit(outputs: readonly Node[], homes: ReadonlyMap<Node, Buffer>): void {
    const nodes = reachable(outputs, (n) => !this.buffers.has(n));
    const forced = new Set(outputs.filter((n) => !isLeaf(n) && !this.buffers.has(n)));
    for (const node of nodes) {
      if (node.prim.name === "pick") {
        const [from] = node.inputs;
        const list = this.picks.get(from) ?? new Map<number, Node>();
        this.picks.set(from, list.set((node.attrs as PickAttrs).index, node));
      } else if (isOp(node) && node.prim.name !== "concat")
        for (const x of operands(node)) if (!isLeaf(x) && !this.buffers.has(x)) forced.add(x);
    }
    this.realized = chooseBuffers(nodes, forced);
    for (const node of nodes) {
      if (isLeaf(node) || !this.realized.has(node) || node.prim.name === "pick") continue;
      if (node.prim.name === "scan") this.scan(node);
      else this.compute(node, homes.get(node) ?? bufferFor(node, { kind: "temp" }));
    }
  }

  /** The buffer that holds a node's values, densely. */
  bufferOf(node: Node): Buffer {
    const known = this.buffers.get(node) ?? this.buffers.get(denseBase(node));
    if (known) return known;
    const base = denseBase(node);
    if (base.prim.name === "input")
      throw new ManabiError(
        "jit: a tensor that belongs to another traced call is used here; return it from that call and pass it in",
      );
    if (base.prim.name !== "data") throw new ManabiError(`compiler: ${base.prim.name} was given no buffer`);
    const buffer = bufferFor(base, { kind: "data", node: base });
    this.buffers.set(base, buffer);
    return buffer;
  }

  private hasBuffer = (node: Node): boolean => isLeaf(node) || this.realized.has(node) || this.buffers.has(node);

  private compute(node: Node, target: Buffer): void {
    this.buffers.set(node, target);
    if (target.size === 0) return;
    if (node.prim.name === "concat") this.concat(node, target);
    else if (isOp(node)) this.instructions.push(operation(node, target, (n) => this.bufferOf(n)));
    else {
      const axes = node.shape.map(newVar);
      const index = axes.map(ofVar);
      this.kernel(axes, target, flatten(index, node.shape), (k) => k.lower(node, index));
    }
  }

  private kernel(axes: Kernel["axes"], target: Buffer, index: Idx, value: (builder: KernelBuilder) => Expr): void {
    const builder = new KernelBuilder(this.hasBuffer, (n) => this.bufferOf(n));
    const root = value(builder);
    const buffers = [target, ...builder.buffers];
    const kernel = fitAxes({
      axes,
      buffers: buffers.map((b, i) => ({ dtype: b.dtype, written: i === 0 })),
      stores: [{ buffer: 0, index, value: root }],
    });
    this.instructions.push({ kind: "kernel", kernel, buffers });
  }

  /** One kernel per part, each into its range of the result. */
  private concat(node: Node, target: Buffer): void {
    const { axis } = node.attrs as AxisAttrs;
    let start = 0;
    for (const x of node.inputs) {
      const from = start;
      start += x.shape[axis];
      if (sizeOf(x.shape) === 0) continue;
      const axes = x.shape.map(newVar);
      const index = axes.map(ofVar);
      const shifted = index.map((i, a) => (a === axis ? offsetIdx(i, from) : i));
      this.kernel(axes, target, flatten(shifted, node.shape), (k) => k.at(x, index));
    }
  }

  private scan(node: Node): void {
    const attrs = node.attrs as ScanAttrs;
    const { length, carries, sequences, reverse } = attrs;
    const body = simplify({ inputs: attrs.body.inputs, outputs: attrs.body.outputs, updates: [] });
    const picks = this.picks.get(node) ?? new Map<number, Node>();
    const specs = scanOutputs(attrs);
    const whole = (i: number): Buffer => {
      const buffer = bufferFor(specs[i], { kind: "temp" });
      const pick = picks.get(i);
      if (pick) this.buffers.set(pick, buffer);
      return buffer;
    };
    const slice = (of: Buffer): Buffer => ({
      size: length ? of.size / length : 0,
      dtype: of.dtype,
      place: { kind: "slice", of, reverse, length, depth: this.depth },
    });
    const copy = (to: CopyInstruction[], from: Buffer, target: Buffer) => {
      if (from !== target && from.size) to.push({ kind: "copy", from, to: target });
    };

    const before: CopyInstruction[] = [];
    const state = Array.from({ length: carries }, (_, i) => whole(i));
    state.forEach((buffer, i) => {
      copy(before, this.bufferOf(node.inputs[i]), buffer);
    });
    const inner = new Scheduler(this.depth + 1);
    for (const [i, x] of body.inputs.entries()) {
      const outside = i < carries ? state[i] : this.bufferOf(node.inputs[i]);
      if (i >= carries && i < carries + sequences) {
        // A slice of an outer loop's slice would move with two loops: it is copied to where it stands still.
        const still: Buffer = outside.place.kind === "slice" ? { ...outside, place: { kind: "temp" } } : outside;
        copy(before, outside, still);
        inner.buffers.set(x, slice(still));
      } else inner.buffers.set(x, outside);
    }

    const stacks = body.outputs.length - carries;
    const saves: CopyInstruction[] = [];
    state.forEach((buffer, i) => {
      const at = carries + stacks + i;
      if (picks.has(at)) copy(saves, buffer, slice(whole(at)));
    });
    const results = body.outputs.flatMap((out, i) =>
      i >= carries && picks.has(i) ? [{ out, to: slice(whole(i)) }] : [],
    );
    const homes = new Map<Node, Buffer>();
    for (const { out, to } of results) if (!isLeaf(out) && !homes.has(out)) homes.set(out, to);
    inner.emit([...body.outputs.slice(0, carries), ...results.map(({ out }) => out)], homes);
    const after: CopyInstruction[] = [];
    for (const { out, to } of results) copy(after, inner.bufferOf(out), to);
    const next: CopyInstruction[] = [];
    state.forEach((buffer, i) => {
      copy(next, inner.bufferOf(body.outputs[i]), buffer);
    });
    if (length > 0)
      this.instructions.push(...before, {
        kind: "loop",
        count: length,
        body: [...saves, ...inner.instructions, ...after, ...orderCopies(next)],
      });
    else this.instructions.push(...before);
  }
}

/** Lowers nodes into one kernel: inlines what has no buffer, numbers the buffers it loads from. */
class KernelBuilder {
  readonly buffers: Buffer[] = [];
  readonly variable = newVar;
  private readonly hasBuffer: (node: Node) => boolean;
  private readonly bufferOf: (node: Node) => Buffer;
  private readonly memo = new Map<string, Expr>();

  constructor(hasBuffer: (node: Node) => boolean, bufferOf: (node: Node) => Buffer) {
    this.hasBuffer = hasBuffer;
    this.bufferOf = bufferOf;
  }

  at(node: Node, index: readonly Idx[]): Expr {
    const key = `${node.id}|${index.map((i) => i.key).join("|")}`;
    let value = this.memo.get(key);
    if (!value) {
      value = this.hasBuffer(node) ? this.load(node, index) : this.lower(node, index);
      this.memo.set(key, value);
    }
    return value;
  }

  lower(node: Node, index: readonly Idx[]): Expr {
    const lowering = lowerings[node.prim.name as PrimitiveName];
    if (lowering.kind !== "at") throw new ManabiError(`compiler: ${node.prim.name} is no part of a kernel`);
    return lowering.at(this, node, index);
  }

  private load(node: Node, index: readonly Idx[]): Expr {
    const buffer = this.bufferOf(node);
    let at = this.buffers.indexOf(buffer);
    if (at < 0) at = this.buffers.push(buffer) - 1;
    return { op: "load", buffer: at + 1, index: flatten(index, node.shape), dtype: node.dtype };
  }
}
