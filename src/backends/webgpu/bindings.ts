import type { Buffer, CopyInstruction, Instruction } from "../../compiler/instruction.ts";
import { root } from "../../compiler/updates.ts";

/** What stands for the arena: temporaries lie in one buffer of the device, so a kernel binds it once. */
const arena = Symbol("arena");

const homeOf = (buffer: Buffer): Buffer | typeof arena => {
  const whole = root(buffer);
  return whole.place.kind === "temp" ? arena : whole;
};

/** How many buffers of the device these lie in. */
export const bindingCount = (buffers: readonly Buffer[]): number => new Set(buffers.map(homeOf)).size;

/**
 * Has instructions that touch more buffers of the device than one shader can bind take some of them from temporaries,
 * with copies before and after.
 */
export function limitBindings(instructions: readonly Instruction[], most: number): Instruction[] {
  return instructions.flatMap((i): Instruction[] => {
    if (i.kind === "loop") return [{ ...i, body: limitBindings(i.body, most) }];
    if (i.kind === "copy" || bindingCount(i.buffers) <= most) return [i];
    const outside = [...new Set(i.buffers.map(homeOf))].filter((home) => home !== arena);
    const moved = new Set<Buffer | typeof arena>(outside.slice(most - 1));
    const stand = new Map<Buffer, Buffer>();
    for (const b of i.buffers) if (moved.has(homeOf(b))) stand.set(b, { ...b, place: { kind: "temp" } });
    const before = [...stand].map(([from, to]): CopyInstruction => ({ kind: "copy", from, to }));
    const isWritten = (b: Buffer) =>
      i.buffers.some(
        (x, at) => x === b && (i.kind === "kernel" ? i.kernel.buffers[at].written : at === i.buffers.length - 1),
      );
    const after = [...stand].flatMap(([to, from]): CopyInstruction[] =>
      isWritten(to) ? [{ kind: "copy", from, to }] : [],
    );
    return [...before, { ...i, buffers: i.buffers.map((b) => stand.get(b) ?? b) }, ...after];
  });
}
