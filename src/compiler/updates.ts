import type { Buffer, CopyInstruction, Instruction } from "./instruction.ts";
import { canReplace } from "./kernel.ts";

/** Buffers that an instruction reads. */
export function reads(instruction: Instruction): Buffer[] {
  switch (instruction.kind) {
    case "kernel":
      return instruction.buffers.filter((_, i) => !isWritten(instruction, i)).map(root);
    case "op": {
      const own = instruction.buffers.slice(0, -1);
      const result = instruction.buffers[instruction.buffers.length - 1];
      const further = instruction.epilogue?.buffers.filter((b) => b !== result) ?? [];
      return [...own, ...further].map(root);
    }
    case "copy":
      return [root(instruction.from)];
    case "loop":
      return instruction.body.flatMap(reads);
  }
}

/** Buffers that an instruction writes. */
export function writes(instruction: Instruction): Buffer[] {
  switch (instruction.kind) {
    case "kernel":
    case "op":
      return instruction.buffers.filter((_, i) => isWritten(instruction, i)).map(root);
    case "copy":
      return [root(instruction.to)];
    case "loop":
      return instruction.body.flatMap(writes);
  }
}

/** The buffer that holds the memory of a slice. */
export const root = (buffer: Buffer): Buffer => (buffer.place.kind === "slice" ? root(buffer.place.of) : buffer);

const isWritten = (instruction: Exclude<Instruction, { kind: "copy" | "loop" }>, i: number): boolean =>
  instruction.kind === "kernel" ? instruction.kernel.buffers[i].written : i === instruction.buffers.length - 1;

/**
 * Appends the copies that end a program, leaving out updates that can be written over the old value at once: nothing
 * reads the old value afterwards, and the writer reads it at its own position only.
 */
export function writeInPlace(instructions: readonly Instruction[], copies: readonly CopyInstruction[]): Instruction[] {
  const writers = new Map<Buffer, number[]>();
  const lastRead = new Map<Buffer, number>();
  [...instructions, ...copies].forEach((instruction, i) => {
    for (const b of reads(instruction)) lastRead.set(b, i);
    for (const b of writes(instruction)) writers.set(b, [...(writers.get(b) ?? []), i]);
  });
  const replaced = new Map<Buffer, Buffer>();
  const kept = copies.filter(({ from, to }) => {
    const at = writers.get(from);
    if (to.place.kind !== "input" || from.place.kind !== "temp" || at?.length !== 1 || replaced.has(from)) return true;
    if (writers.get(to)?.length !== 1) return true;
    const [writer] = at;
    const instruction = instructions[writer];
    if (!instruction || (instruction.kind !== "kernel" && instruction.kind !== "op")) return true;
    const last = lastRead.get(to) ?? -1;
    if (last > writer) return true;
    if (last === writer) {
      const [read, written] = [to, from].map((b) => instruction.buffers.indexOf(b));
      if (instruction.kind !== "kernel" || !canReplace(instruction.kernel, read, written)) return true;
    }
    replaced.set(from, to);
    return false;
  });
  return replaceBuffers([...instructions, ...kept], replaced);
}

/** The instructions with some buffers in place of others. */
export function replaceBuffers(instructions: readonly Instruction[], map: ReadonlyMap<Buffer, Buffer>): Instruction[] {
  if (map.size === 0) return [...instructions];
  // A slice stays one object, by which instructions that touch the same memory know each other.
  const slices = new Map<Buffer, Buffer>();
  const at = (b: Buffer): Buffer => {
    if (b.place.kind !== "slice") return map.get(b) ?? b;
    const known = slices.get(b) ?? { ...b, place: { ...b.place, of: at(b.place.of) } };
    slices.set(b, known);
    return known;
  };
  const replace = (i: Instruction): Instruction => {
    if (i.kind === "copy") return { ...i, from: at(i.from), to: at(i.to) };
    if (i.kind === "loop") return { ...i, body: i.body.map(replace) };
    const buffers = i.buffers.map(at);
    if (i.kind === "op" && i.epilogue)
      return { ...i, buffers, epilogue: { ...i.epilogue, buffers: i.epilogue.buffers.map(at) } };
    return { ...i, buffers };
  };
  return instructions.map(replace);
}
