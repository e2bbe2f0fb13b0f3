import { byteSize, isFloat } from "../core/dtype.ts";
import { children, type Expr, indicesOf, walk } from "./expr.ts";
import type { Idx, LoopVar } from "./idx.ts";
import type { Buffer, Instruction, OpInstruction } from "./instruction.ts";
import type { Kernel } from "./kernel.ts";
import { printSchedule } from "./print.ts";

/** What one execution costs at least, derived from geometry and loops, not measured. */
export interface Cost {
  /** Floating-point operations, a multiply-add as two; null where the operation is not known here. */
  readonly flops: number | null;
  /** Bytes of the distinct elements that are read and written: what must cross the memory bus without caches. */
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

/** What is known of an instruction without running it. */
export interface InstructionFacts extends Cost {
  readonly kind: Instruction["kind"];
  /** "gemm_f32", "copy", "loop", or what a kernel does: "sum mul sub". */
  readonly name: string;
  /** Extents, for people: "512x768 * 768x3072". */
  readonly shape: string;
  /** The instruction as text, equal for equal work whatever the buffers. */
  readonly text: string;
  /** Loops around it. */
  readonly depth: number;
  /** Executions per run of the program. */
  readonly calls: number;
}

/** Facts of all instructions, each loop before its body: the order in which the run time keeps times. */
export function factsOf(instructions: readonly Instruction[], depth = 0, calls = 1): InstructionFacts[] {
  return instructions.flatMap((instruction): InstructionFacts[] => {
    const { kind } = instruction;
    const fact = {
      kind,
      name: nameOf(instruction),
      shape: shapeOf(instruction),
      text: printSchedule([anonymous(instruction)]),
      ...costOf(instruction),
      depth,
      calls,
    };
    return kind === "loop" ? [fact, ...factsOf(instruction.body, depth + 1, calls * instruction.count)] : [fact];
  });
}

/** What one execution of an instruction costs. */
export function costOf(instruction: Instruction): Cost {
  switch (instruction.kind) {
    case "kernel":
      return kernelCost(instruction.kernel, instruction.buffers);
    case "op": {
      const { epilogue } = instruction;
      return epilogue
        ? together(opCost(instruction), kernelCost(epilogue.kernel, epilogue.buffers))
        : opCost(instruction);
    }
    case "copy": {
      const bytes = bytesOf(instruction.to, instruction.to.size);
      return { flops: 0, bytesRead: bytes, bytesWritten: bytes };
    }
    case "loop": {
      const { count, body } = instruction;
      const costs = body.map(costOf);
      const total = (of: (cost: Cost) => number) => count * costs.reduce((sum, cost) => sum + of(cost), 0);
      return {
        flops: costs.some(({ flops }) => flops === null) ? null : total(({ flops }) => flops ?? 0),
        bytesRead: total(({ bytesRead }) => bytesRead),
        bytesWritten: total(({ bytesWritten }) => bytesWritten),
      };
    }
  }
}

/** An operation whose result a kernel changes before it leaves the cache. */
const together = (op: Cost, kernel: Cost): Cost => ({
  flops: op.flops === null || kernel.flops === null ? null : op.flops + kernel.flops,
  bytesRead: op.bytesRead + kernel.bytesRead - op.bytesWritten,
  bytesWritten: kernel.bytesWritten,
});

const bytesOf = ({ dtype }: Buffer, elements: number): number => elements * byteSize(dtype);
const product = (sizes: Iterable<number>): number => [...sizes].reduce((a, b) => a * b, 1);
const extent = (vars: Iterable<LoopVar>): number => product([...vars].map((v) => v.size));

// ---- kernels

/** Calls that compare, choose or convert: no arithmetic. */
const noArithmetic = new Set([..."cast where eq ne lt le gt ge and or xor not".split(" ")]);

/**
 * An expression counts once for every combination of the loop variables that it depends on, so one that a loop leaves
 * unchanged is taken as computed outside of it. Every arithmetic call on floats is one operation, whatever it takes
 * the machine (an exponential counts as an addition does); so is every term of a reduction.
 */
function kernelCost({ axes, stores }: Kernel, buffers: readonly Buffer[]): Cost {
  const variables = variableFinder();
  const expressions = new Set<Expr>();
  for (const { value, index } of stores) {
    walk(value, (e) => expressions.add(e));
    for (const e of refsOf(index)) walk(e, (x) => expressions.add(x));
  }
  // What a row keeps for itself is computed for every row.
  const rows = stores.some(({ inner }) => inner) ? axes : [];
  const times = (e: Expr) => extent(new Set([...rows, ...variables.ofExpr(e)]));
  let flops = 0;
  const loads = new Map<number, Map<string, Idx>>();
  for (const e of expressions) {
    if (e.op === "call" && isFloat(e.dtype) && !noArithmetic.has(e.name)) flops += times(e);
    else if (e.op === "reduce" && isFloat(e.body.dtype)) flops += times(e) * extent(e.axes);
    else if (e.op === "load" && e.buffer < buffers.length)
      loads.set(e.buffer, (loads.get(e.buffer) ?? new Map<string, Idx>()).set(e.index.key, e.index));
  }
  const elements = (buffer: Buffer, indices: readonly Idx[]): number => {
    const touched = indices.reduce((sum, index) => sum + extent(variables.ofIndex(index)), 0);
    const first = Math.max(0, Math.min(...indices.map(({ lo }) => lo)));
    const last = Math.min(buffer.size - 1, Math.max(...indices.map(({ hi }) => hi)));
    return Math.min(touched, Math.max(0, last - first + 1));
  };
  let [bytesRead, bytesWritten] = [0, 0];
  for (const [at, indices] of loads) bytesRead += bytesOf(buffers[at], elements(buffers[at], [...indices.values()]));
  // What lives for one row of a kernel has no buffer outside of it.
  for (const { buffer, index } of stores.filter((s) => s.buffer < buffers.length))
    bytesWritten += bytesOf(buffers[buffer], elements(buffers[buffer], [index]));
  return { flops, bytesRead, bytesWritten };
}

/** Values that stand in an index as computed positions. */
const refsOf = (x: Idx): Expr[] =>
  x.terms.flatMap(({ atom }) => (atom.kind === "ref" ? [atom.at] : atom.kind === "var" ? [] : refsOf(atom.of)));

/** The loop variables that expressions and indices depend on, remembered per expression. */
function variableFinder() {
  const known = new Map<Expr, ReadonlySet<LoopVar>>();
  const ofIndex = (x: Idx): Set<LoopVar> => {
    const found = new Set<LoopVar>();
    for (const { atom } of x.terms) {
      if (atom.kind === "var") found.add(atom.v);
      else for (const v of atom.kind === "ref" ? ofExpr(atom.at) : ofIndex(atom.of)) found.add(v);
    }
    return found;
  };
  const ofExpr = (e: Expr): ReadonlySet<LoopVar> => {
    const before = known.get(e);
    if (before) return before;
    const found = new Set<LoopVar>();
    for (const child of children(e)) for (const v of ofExpr(child)) found.add(v);
    for (const index of indicesOf(e)) for (const v of ofIndex(index)) found.add(v);
    if (e.op === "reduce") for (const v of e.axes) found.delete(v);
    known.set(e, found);
    return found;
  };
  return { ofIndex, ofExpr };
}

// ---- built-in operations

/** The name without what it computes in: "conv_weight_grad_f32_medium" is "conv_weight_grad". */
const baseName = (name: string): string => name.replace(/_(f32|f64|i32|u32|u8)(_high|_medium)?$/, "");

function opCost(instruction: OpInstruction): Cost {
  const { buffers, params } = instruction;
  const target = buffers[buffers.length - 1];
  const inputs = buffers.slice(0, -1);
  const cost = (flops: number | null, read: readonly number[], written = target.size): Cost => ({
    flops: flops === null || isFloat(target.dtype) ? flops : 0,
    bytesRead: read.reduce((sum, elements, i) => sum + bytesOf(inputs[i], Math.min(elements, inputs[i].size)), 0),
    bytesWritten: bytesOf(target, written),
  });
  const all = inputs.map(({ size }) => size);
  const distinct = (axes: readonly Axis[]) => product(axes.map(({ size, stride }) => (stride === 0 ? 1 : size)));
  switch (baseName(instruction.name)) {
    case "gemm":
    case "gemm_packed": {
      const { m, n, k, a, b, batch } = gemmGeometry(params);
      return cost(2 * m * n * k * product(batch), [distinct(a), distinct(b)], m * n * product(batch));
    }
    case "conv":
    case "conv_packed":
    case "conv_weight_grad":
      return cost(convFlops(params), [touchedInputs(params), all[1]]);
    case "conv_input_grad":
      return cost(convFlops(params), all);
    case "attention": {
      const { pairs, d, dv } = attentionGeometry(params);
      return cost(2 * pairs * (d + dv), all);
    }
    case "attention_grad": {
      // Scores and their cotangents, and the cotangents of the three operands.
      const { pairs, d, dv } = attentionGeometry(params);
      return cost(2 * pairs * (3 * d + 2 * dv), all);
    }
    case "cumsum":
      return cost(all[0], all);
    case "scatter_add": {
      const [outer, n, , inner, ...strides] = params;
      const axes = [outer, n, inner].map((size, i): Axis => ({ size, stride: strides[i] }));
      return cost(all[1], [distinct(axes), all[1]]);
    }
    case "argsort":
    case "conv_pack":
    case "gemm_pack":
      return cost(0, all);
    default:
      return cost(null, all);
  }
}

interface Axis {
  readonly size: number;
  readonly stride: number;
}

/** The parameters of gemm (see `operation.ts`): extents, and the axes of both factors with their strides. */
function gemmGeometry(params: readonly number[]) {
  const [m, n, k, am, ak, bk, bn, axes, ...rest] = params;
  const batches = Array.from({ length: axes }, (_, i) => rest.slice(3 * i, 3 * i + 3));
  const axis = (size: number, stride: number): Axis => ({ size, stride });
  return {
    ...{ m, n, k },
    batch: batches.map(([size]) => size),
    a: [axis(m, am), axis(k, ak), ...batches.map(([size, stride]) => axis(size, stride))],
    b: [axis(k, bk), axis(n, bn), ...batches.map(([size, , stride]) => axis(size, stride))],
  };
}

/** The parameters of attention (see `operation.ts`): `pairs` of a query and a key it sees, over all heads. */
function attentionGeometry([rank, ...params]: readonly number[]) {
  const [tq, tk, d, dv, causal] = params.slice(rank);
  const least = Math.min(tq, tk);
  const seen = causal ? (least * (least + 1)) / 2 + (tq - least) * tk : tq * tk;
  return { pairs: product(params.slice(0, rank)) * seen, d, dv };
}

/** The parameters of a convolution and its gradients (see `geometry` in `operation.ts`); axes are always three. */
function convGeometry(params: readonly number[]) {
  const [n, c, o, groups] = params;
  const [x, w, y, stride, padding, dilation] = [0, 1, 2, 3, 4, 5].map((i) => params.slice(4 + 3 * i, 7 + 3 * i));
  return { n, c, o, groups, x, w, y, stride, padding, dilation };
}

/** Taps on the padding count, as is customary. */
function convFlops(params: readonly number[]): number {
  const { n, c, o, groups, w, y } = convGeometry(params);
  return 2 * n * o * product(y) * (c / groups) * product(w);
}

/** Elements of x that some tap falls on: a 1x1 kernel with stride 2 reads a quarter of them. */
function touchedInputs(params: readonly number[]): number {
  const { n, c, x, w, y, stride, padding, dilation } = convGeometry(params);
  const along = (axis: number): number => {
    const hit = new Set<number>();
    for (let i = 0; i < y[axis]; i++)
      for (let t = 0; t < w[axis]; t++) {
        const at = i * stride[axis] - padding[axis] + t * dilation[axis];
        if (at >= 0 && at < x[axis]) hit.add(at);
      }
    return hit.size;
  };
  return n * c * along(0) * along(1) * along(2);
}

// ---- names

function nameOf(instruction: Instruction): string {
  if (instruction.kind === "op") return instruction.name;
  if (instruction.kind !== "kernel") return instruction.kind;
  const names = new Set<string>();
  for (const { value } of [...instruction.kernel.stores].reverse())
    walk(value, (e) => {
      if (e.op === "call" && e.name !== "cast") names.add(e.name);
      if (e.op === "reduce") names.add(e.kind);
      if (e.op === "random") names.add("random");
    });
  // What comes last in the computation says most.
  const list = [...names].reverse();
  return list.length === 0 ? "move" : `${list.slice(0, 4).join(" ")}${list.length > 4 ? " .." : ""}`;
}

function shapeOf(instruction: Instruction): string {
  switch (instruction.kind) {
    case "kernel": {
      const { axes, stores } = instruction.kernel;
      const terms = new Set<string>();
      for (const { value } of stores)
        walk(value, (e) => {
          if (e.op === "reduce") terms.add(sizes(e.axes.map((v) => v.size)));
        });
      return `${sizes(axes.map((v) => v.size))}${terms.size ? ` of ${[...terms].join(", ")}` : ""}`;
    }
    case "copy":
      return String(instruction.to.size);
    case "loop":
      return `${instruction.count} turns`;
    case "op":
      return opShape(instruction);
  }
}

const sizes = (list: readonly number[]): string => list.join("x") || "1";

function opShape({ name, params, buffers }: OpInstruction): string {
  const base = baseName(name);
  if (base.startsWith("gemm")) {
    const { m, n, k, batch } = gemmGeometry(params);
    return `${batch.map((size) => `${size}x`).join("")}${m}x${k} * ${k}x${n}`;
  }
  if (base.startsWith("conv")) {
    const { n, c, o, groups, x, w, stride } = convGeometry(params);
    const step = Math.max(...stride);
    const plain = (list: readonly number[]) => sizes(list.slice(list.findIndex((_, i) => x[i] > 1 || w[i] > 1)));
    return `${n}x${c}x${plain(x)} ${c}-${o} ${plain(w)}${step > 1 ? `/${step}` : ""}${groups > 1 ? ` g${groups}` : ""}`;
  }
  return String(Math.max(...buffers.map(({ size }) => size)));
}

/** The same instruction on buffers without names of their own. */
function anonymous(instruction: Instruction): Instruction {
  const known = new Map<Buffer, Buffer>();
  const hide = (buffer: Buffer): Buffer => {
    let hidden = known.get(buffer);
    if (!hidden) {
      const { place } = buffer;
      hidden = { ...buffer, place: place.kind === "slice" ? { ...place, of: hide(place.of) } : { kind: "temp" } };
      known.set(buffer, hidden);
    }
    return hidden;
  };
  const go = (i: Instruction): Instruction => {
    if (i.kind === "copy") return { ...i, from: hide(i.from), to: hide(i.to) };
    if (i.kind === "loop") return { ...i, body: i.body.map(go) };
    const buffers = i.buffers.map(hide);
    if (i.kind === "op" && i.epilogue)
      return { ...i, buffers, epilogue: { ...i.epilogue, buffers: i.epilogue.buffers.map(hide) } };
    return { ...i, buffers };
  };
  return go(instruction);
}
