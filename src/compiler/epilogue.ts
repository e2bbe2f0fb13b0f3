import { walk } from "./expr.ts";
import { flatten, ofVar } from "./idx.ts";
import type { Buffer, Instruction, KernelInstruction, OpInstruction } from "./instruction.ts";
import { canReplace, type Kernel, withLastAxis } from "./kernel.ts";
import { reads, root, writes } from "./updates.ts";

/** Operations that can run a kernel over each part of their result while it is in the cache. */
const hosts = /^(conv|gemm)(_packed)?_f/;
/** Columns of a result that are worth a loop of their own. */
const fewestColumns = 16;

/**
 * Joins a product or convolution with the elementwise kernel that is the only reader of its result: bias, normalization
 * with fixed statistics, residual, activation. The operation moves down to where the kernel stands.
 */
export function attachEpilogues(instructions: readonly Instruction[]): Instruction[] {
  const readers = new Map<Buffer, number>();
  const count = (list: readonly Instruction[]): void => {
    for (const i of list)
      if (i.kind === "loop") count(i.body);
      else for (const b of new Set(reads(i))) readers.set(b, (readers.get(b) ?? 0) + 1);
  };
  count(instructions);
  return attach(instructions, (b) => readers.get(b) === 1);
}

function attach(instructions: readonly Instruction[], hasOneReader: (b: Buffer) => boolean): Instruction[] {
  const list = instructions.map((i) => (i.kind === "loop" ? { ...i, body: attach(i.body, hasOneReader) } : i));
  for (let i = 0; i < list.length; i++) {
    const op = list[i];
    if (op.kind !== "op" || !hosts.test(op.name)) continue;
    const result = op.buffers[op.buffers.length - 1];
    if (result.place.kind !== "temp" || !hasOneReader(result)) continue;
    const j = list.findIndex((x, at) => at > i && reads(x).includes(result));
    const kernel = list[j];
    if (kernel?.kind !== "kernel") continue;
    const needs = reads(op);
    if (list.slice(i + 1, j).some((x) => writes(x).some((b) => needs.includes(b)))) continue;
    const joined = join(op, kernel);
    if (!joined) continue;
    list[j] = joined;
    list.splice(i, 1);
    i--;
  }
  return list;
}

/**
 * The result of an operation as a matrix: the positions of an image and channel, or what a product writes in a row, are
 * its columns.
 */
function matrixOf({ name, params }: OpInstruction): { rows: number; columns: number } {
  if (name.startsWith("conv")) {
    const [n, , channels] = params;
    return { rows: n * channels, columns: params[10] * params[11] * params[12] };
  }
  const [m, n, , , , , , rank] = params;
  const batch = Array.from({ length: rank }, (_, d) => params[8 + 3 * d]);
  return { rows: batch.reduce((a, b) => a * b, m), columns: n };
}

/** The kernel with rows and columns of the result as its axes, if it can run over any part of it by itself; else null. */
function overMatrix(op: OpInstruction, instruction: KernelInstruction): Kernel | null {
  const { kernel, buffers } = instruction;
  const { rows, columns } = matrixOf(op);
  const result = op.buffers[op.buffers.length - 1];
  const [{ buffer: written, value, inner }] = kernel.stores;
  if (kernel.stores.length !== 1 || inner || columns < fewestColumns) return null;
  const target = buffers[written];
  if (target.size !== rows * columns || target.dtype !== result.dtype) return null;
  // The operation overwrites what the target holds, an updated variable for instance.
  if ([...reads(op), ...reads(instruction)].includes(root(target))) return null;
  if (!canReplace(kernel, buffers.indexOf(result), written)) return null;
  let simple = true;
  walk(value, (e) => {
    if (e.op === "reduce") simple = false;
  });
  const split = simple ? withLastAxis(kernel, columns) : null;
  if (!split) return null;
  const shape = split.axes.map((v) => v.size);
  const [{ index }] = split.stores;
  return index.key === flatten(split.axes.map(ofVar), shape).key ? split : null;
}

/** The kernel reads and writes the result where the operation has put it. */
function join(op: OpInstruction, instruction: KernelInstruction): OpInstruction | null {
  const kernel = overMatrix(op, instruction);
  if (!kernel) return null;
  const { buffers } = instruction;
  const result = op.buffers[op.buffers.length - 1];
  const target = buffers[kernel.stores[0].buffer];
  return {
    ...op,
    buffers: [...op.buffers.slice(0, -1), target],
    epilogue: { kernel, buffers: buffers.map((b) => (b === result ? target : b)) },
  };
}
