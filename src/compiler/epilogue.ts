import { walk } from "./expr.ts";
import type { Instruction, KernelInstruction, OpInstruction } from "./instruction.ts";
import { canReplace, type Kernel } from "./kernel.ts";
import { reads, root, writes } from "./updates.ts";

/** Whether an operation can run a kernel over its result. */
export type CanHost = (op: OpInstruction, kernel: KernelInstruction) => boolean;

/** Convolutions that run a kernel over each part of their result while it is in the cache. */
const inCache: CanHost = (op, { kernel }) => /^conv(_packed)?_f/.test(op.name) && unitOf(op, kernel) !== null;

/**
 * Joins an operation with the elementwise kernel that is the only reader of its result: bias, normalization with fixed
 * statistics, residual, activation. The operation moves down to where the kernel stands.
 */
export function attachEpilogues(instructions: readonly Instruction[], canHost = inCache): Instruction[] {
  const list = instructions.map(
    (i): Instruction => (i.kind === "loop" ? { ...i, body: attachEpilogues(i.body, canHost) } : i),
  );
  for (let i = 0; i < list.length; i++) {
    const op = list[i];
    if (op.kind !== "op" || op.epilogue) continue;
    const result = op.buffers[op.buffers.length - 1];
    if (result.place.kind !== "temp") continue;
    const readers = list.flatMap((x, at) => (reads(x).includes(result) ? [at] : []));
    const [j] = readers;
    if (readers.length !== 1 || j <= i) continue;
    const kernel = list[j];
    if (kernel.kind !== "kernel" || !fits(op, kernel) || !canHost(op, kernel)) continue;
    const needs = reads(op);
    if (list.slice(i + 1, j).some((x) => writes(x).some((b) => needs.includes(b)))) continue;
    list[j] = join(op, kernel);
    list.splice(i, 1);
    i--;
  }
  return list;
}

/** Rows of a convolution's result, one per image and channel, and the positions of one. */
function rowsOf({ params }: OpInstruction): { rows: number; positions: number } {
  const [n, , channels] = params;
  return { rows: n * channels, positions: params[10] * params[11] * params[12] };
}

/** Whether the kernel computes each position from that position of the result, in whose place it can store. */
function fits(op: OpInstruction, { kernel, buffers }: KernelInstruction): boolean {
  const result = op.buffers[op.buffers.length - 1];
  const [{ buffer: written, value, inner }] = kernel.stores;
  if (kernel.stores.length !== 1 || inner) return false;
  const read = buffers.indexOf(result);
  const target = buffers[written];
  if (target.size !== result.size || target.dtype !== result.dtype || !canReplace(kernel, read, written)) return false;
  // What it overwrites it cannot read any more: the result lies there first.
  if (buffers.some((b, i) => i !== written && root(b) === root(target))) return false;
  let simple = true;
  walk(value, (e) => {
    if (e.op === "reduce") simple = false;
  });
  return simple;
}

/** Steps of the kernel's range per row of the convolution's result: all positions of a row, or one for the row. */
export function unitOf(op: OpInstruction, { axes }: Kernel): number | null {
  const { rows, positions } = rowsOf(op);
  if (axes.length === 1) return axes[0].size === rows * positions ? positions : null;
  const outer = axes.slice(0, -1).reduce((n, v) => n * v.size, 1);
  return outer === rows && axes[axes.length - 1].size === positions ? 1 : null;
}

/** The kernel reads and writes the result where the convolution has put it. */
function join(op: OpInstruction, { kernel, buffers }: KernelInstruction): OpInstruction {
  const result = op.buffers[op.buffers.length - 1];
  const target = buffers[kernel.stores[0].buffer];
  return {
    ...op,
    buffers: [...op.buffers.slice(0, -1), target],
    epilogue: { kernel, buffers: buffers.map((b) => (b === result ? target : b)) },
  };
}
