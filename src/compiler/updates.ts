import { walk } from "./expr.ts";
import type { Buffer, CopyInstruction, Instruction, KernelInstruction } from "./instruction.ts";

/** Buffers that an instruction reads. */
export function reads(instruction: Instruction): Buffer[] {
  switch (instruction.kind) {
    case "kernel":
    case "op":
      return instruction.buffers.filter((_, i) => !isWritten(instruction, i)).map(root);
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

/** Whether buffer number `read` of a kernel is only read at the position that is written at the same time. */
export function readsOwnPosition({ kernel }: KernelInstruction, read: number): boolean {
  return kernel.stores.every(({ index, value }) => {
    let own = true;
    walk(value, (e) => {
      if (e.op === "load" && e.buffer === read && e.index.key !== index.key) own = false;
      // Inside of a reduction a position may be read after it has been written.
      if (e.op === "reduce")
        walk(e.body, (x) => {
          if (x.op === "load" && x.buffer === read) own = false;
        });
    });
    return own;
  });
}

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
      const own = instruction.buffers.indexOf(to);
      if (instruction.kind !== "kernel" || !readsOwnPosition(instruction, own)) return true;
    }
    replaced.set(from, to);
    return false;
  });
  return replaceBuffers([...instructions, ...kept], replaced);
}

function replaceBuffers(instructions: readonly Instruction[], map: ReadonlyMap<Buffer, Buffer>): Instruction[] {
  if (map.size === 0) return [...instructions];
  const at = (b: Buffer): Buffer => {
    if (b.place.kind === "slice") return { ...b, place: { ...b.place, of: at(b.place.of) } };
    return map.get(b) ?? b;
  };
  return instructions.map((i): Instruction => {
    if (i.kind === "copy") return { ...i, from: at(i.from), to: at(i.to) };
    if (i.kind === "loop") return { ...i, body: replaceBuffers(i.body, map) };
    return { ...i, buffers: i.buffers.map(at) };
  });
}
