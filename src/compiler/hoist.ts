import type { Buffer, Instruction, OpInstruction } from "./instruction.ts";
import { reads, replaceBuffers, writes } from "./updates.ts";

/** A program in two parts. */
export interface Hoisted {
  /** To be run before the first run and whenever a constant has changed; its results are kept. */
  readonly once: readonly Instruction[];
  readonly always: readonly Instruction[];
}

/**
 * Takes out of a program what depends on constants alone: factors and terms of a normalization that is not trained,
 * weights in the form that a convolution reads them in. `constants` are inputs by number; `packedSize` tells how many
 * elements the packed second operand of an operation has, 0 if it packs none.
 */
export function hoist(
  instructions: readonly Instruction[],
  constants: ReadonlySet<number>,
  packedSize: (op: OpInstruction) => number,
): Hoisted {
  if (constants.size === 0) return { once: [], always: instructions };
  const writers = new Map<Buffer, number>();
  for (const i of instructions) for (const b of writes(i)) writers.set(b, (writers.get(b) ?? 0) + 1);
  const once: Instruction[] = [];
  const always: Instruction[] = [];
  const kept = new Map<Buffer, Buffer>();
  const isConstant = (b: Buffer): boolean =>
    b.place.kind === "data" || (b.place.kind === "input" && constants.has(b.place.index)) || kept.has(b);
  const ours = (b: Buffer): boolean => b.place.kind === "temp" && writers.get(b) === 1;

  for (const instruction of instructions) {
    if (instruction.kind === "kernel" || instruction.kind === "op") {
      const [from, to] = [reads(instruction), writes(instruction)];
      if (from.length && from.every(isConstant) && to.every(ours)) {
        for (const b of to) kept.set(b, { ...b, place: { kind: "kept" } });
        once.push(instruction);
        continue;
      }
    }
    if (instruction.kind === "op" && isConstant(instruction.buffers[1]) && instruction.offsets.every((o) => o === 0)) {
      const size = packedSize(instruction);
      if (size > 0) {
        const [x, weight, y] = instruction.buffers;
        const packed: Buffer = { size, dtype: weight.dtype, place: { kind: "kept" } };
        const named = (what: string) => instruction.name.replace("_", `_${what}_`);
        once.push({ ...instruction, name: named("pack"), buffers: [weight, packed], offsets: [0, 0] });
        always.push({ ...instruction, name: named("packed"), buffers: [x, packed, y] });
        continue;
      }
    }
    always.push(instruction);
  }
  return { once: replaceBuffers(once, kept), always: replaceBuffers(always, kept) };
}
