import { walk } from "./expr.ts";
import { flatten, ofVar } from "./idx.ts";
import type { Buffer, Instruction, KernelInstruction, OpInstruction } from "./instruction.ts";
import { canReplace, type Kernel } from "./kernel.ts";
import { reads, root, writes } from "./updates.ts";

/** The kernel as an operation can run it over its result, or null: an elementwise kernel that reads what is there. */
export type Host = (op: OpInstruction, instruction: KernelInstruction) => Kernel | null;

/**
 * Joins an operation with the elementwise kernel that is the only reader of its result: bias, normalization with fixed
 * statistics, residual, activation. The operation moves down to where the kernel stands.
 */
export function attachEpilogues(instructions: readonly Instruction[], host: Host): Instruction[] {
  const readers = new Map<Buffer, number>();
  const count = (list: readonly Instruction[]): void => {
    for (const i of list)
      if (i.kind === "loop") count(i.body);
      else for (const b of new Set(reads(i))) readers.set(b, (readers.get(b) ?? 0) + 1);
  };
  count(instructions);
  return attach(instructions, host, (b) => readers.get(b) === 1);
}

function attach(instructions: readonly Instruction[], host: Host, hasOneReader: (b: Buffer) => boolean): Instruction[] {
  const list = instructions.map((i) => (i.kind === "loop" ? { ...i, body: attach(i.body, host, hasOneReader) } : i));
  for (let i = 0; i < list.length; i++) {
    const op = list[i];
    if (op.kind !== "op" || op.epilogue) continue;
    const result = op.buffers[op.buffers.length - 1];
    if (result.place.kind !== "temp" || !hasOneReader(result)) continue;
    const j = list.findIndex((x, at) => at > i && reads(x).includes(result));
    const kernel = list[j];
    if (kernel?.kind !== "kernel") continue;
    const needs = reads(op);
    if (list.slice(i + 1, j).some((x) => writes(x).some((b) => needs.includes(b)))) continue;
    const hosted = fits(op, kernel) ? host(op, kernel) : null;
    if (!hosted) continue;
    list[j] = join(op, kernel, hosted);
    list.splice(i, 1);
    i--;
  }
  return list;
}

/** Whether the kernel computes each element from that element of the result, in whose place it can store. */
function fits(op: OpInstruction, instruction: KernelInstruction): boolean {
  const { kernel, buffers } = instruction;
  const result = op.buffers[op.buffers.length - 1];
  const [{ buffer: written, value, inner }] = kernel.stores;
  if (kernel.stores.length !== 1 || inner) return false;
  const target = buffers[written];
  if (target.size !== result.size || target.dtype !== result.dtype) return false;
  // The operation overwrites what the target holds, an updated variable for instance.
  if ([...reads(op), ...reads(instruction)].includes(root(target))) return false;
  if (!canReplace(kernel, buffers.indexOf(result), written)) return false;
  let simple = true;
  walk(value, (e) => {
    if (e.op === "reduce") simple = false;
  });
  return simple;
}

/** Whether a kernel stores element i of its range, taken row-major, at i. */
export const isInOrder = ({ axes, stores }: Kernel): boolean =>
  stores[0].index.key ===
  flatten(
    axes.map(ofVar),
    axes.map((v) => v.size),
  ).key;

/** The kernel reads and writes the result where the operation has put it. */
function join(op: OpInstruction, { kernel, buffers }: KernelInstruction, hosted: Kernel): OpInstruction {
  const result = op.buffers[op.buffers.length - 1];
  const target = buffers[kernel.stores[0].buffer];
  return {
    ...op,
    buffers: [...op.buffers.slice(0, -1), target],
    epilogue: { kernel: hosted, buffers: buffers.map((b) => (b === result ? target : b)) },
  };
}
