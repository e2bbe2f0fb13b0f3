import type { Buffer, Instruction, OpInstruction } from "./instruction.ts";
import { reads, replaceBuffers, writes } from "./updates.ts";

/** A program in two parts. */
export interface Hoisted {
  /** To be run before the first run and whenever a constant has changed; its results are kept. */
  readonly once: readonly Instruction[];
  readonly always: readonly Instruction[];
}

/** A built-in operation in two: the packing of its second operand into a place of its own, and the rest; or null. */
function packApart(
  instruction: OpInstruction,
  packedSize: (op: OpInstruction) => number,
  place: Buffer["place"],
): { readonly pack: OpInstruction; readonly use: OpInstruction } | null {
  const size = packedSize(instruction);
  if (size === 0) return null;
  const [[x, operand, y], [atX, atOperand, atY]] = [instruction.buffers, instruction.offsets];
  const packed: Buffer = { size, dtype: operand.dtype, place };
  const named = (what: string) => instruction.name.replace("_", `_${what}_`);
  return {
    pack: { ...instruction, name: named("pack"), buffers: [operand, packed], offsets: [atOperand, 0] },
    use: { ...instruction, name: named("packed"), buffers: [x, packed, y], offsets: [atX, 0, atY] },
  };
}

/** Packs before a loop what its products would pack at every turn: the weights of a recurrent layer. */
export function packBeforeLoops(
  instructions: readonly Instruction[],
  packedSize: (op: OpInstruction) => number,
): Instruction[] {
  return instructions.flatMap((instruction): Instruction[] => {
    if (instruction.kind !== "loop") return [instruction];
    const changing = new Set(writes(instruction));
    const before: Instruction[] = [];
    const body = packBeforeLoops(instruction.body, packedSize).map((inner) => {
      if (inner.kind !== "op") return inner;
      const [, operand] = inner.buffers;
      if (operand.place.kind === "slice" || changing.has(operand)) return inner;
      const apart = packApart(inner, packedSize, { kind: "temp" });
      if (!apart) return inner;
      before.push(apart.pack);
      return apart.use;
    });
    return [...before, { ...instruction, body }];
  });
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
    const split = instruction.kind === "op" && isConstant(instruction.buffers[1]);
    const apart = split ? packApart(instruction, packedSize, { kind: "kept" }) : null;
    if (apart) once.push(apart.pack);
    always.push(apart?.use ?? instruction);
  }
  return { once: replaceBuffers(once, kept), always: replaceBuffers(always, kept) };
}
