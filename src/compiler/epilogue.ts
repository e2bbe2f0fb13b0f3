import { walk } from "./expr.ts";
import type { Instruction, KernelInstruction, OpInstruction } from "./instruction.ts";
import { canReplace, type Kernel } from "./kernel.ts";
import { reads, writes } from "./updates.ts";

/** Operations that can run a kernel over each part of their result while it is in the cache. */
const hosts = /^conv(_packed)?_f/;

/**
 * Joins a convolution with the elementwise kernel that is the only reader of its result: bias, normalization with fixed
 * statistics, residual, activation. The convolution moves down to where the kernel stands.
 */
export function attachEpilogues(instructions: readonly Instruction[]): Instruction[] {
  const list = [...instructions];
  for (let i = 0; i < list.length; i++) {
    const op = list[i];
    if (op.kind !== "op" || !hosts.test(op.name)) continue;
    const result = op.buffers[op.buffers.length - 1];
    if (result.place.kind !== "temp") continue;
    const readers = list.flatMap((x, at) => (reads(x).includes(result) ? [at] : []));
    const [j] = readers;
    if (readers.length !== 1 || j <= i) continue;
    const kernel = list[j];
    if (kernel.kind !== "kernel" || !fits(op, kernel)) continue;
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

/** Whether the kernel can run over any rows of the result by themselves, each position from that position. */
function fits(op: OpInstruction, { kernel, buffers }: KernelInstruction): boolean {
  const result = op.buffers[op.buffers.length - 1];
  const [{ buffer: written, value, inner }] = kernel.stores;
  if (kernel.stores.length !== 1 || inner) return false;
  const read = buffers.indexOf(result);
  const target = buffers[written];
  if (target.size !== result.size || target.dtype !== result.dtype || !canReplace(kernel, read, written)) return false;
  let simple = true;
  walk(value, (e) => {
    if (e.op === "reduce") simple = false;
  });
  return simple && unitOf(op, kernel) !== null;
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
