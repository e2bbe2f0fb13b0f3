import { byteSize, type DType } from "../core/dtype.ts";
import type { Buffer, Instruction } from "./instruction.ts";
import { canReplace } from "./kernel.ts";
import { reads, writes } from "./updates.ts";

/** Where temporaries lie in the arena. */
export interface MemoryPlan {
  readonly bytes: number;
  /** Byte offset of every temporary. */
  readonly offsets: ReadonlyMap<Buffer, number>;
}

const alignment = 64;

interface Block {
  readonly bytes: number;
  first: number;
  last: number;
  offset: number;
  /** The instruction whose result took the block over last: it takes one. */
  guest: number;
  /** Temporaries that share the block one after the other, and loops whose temporaries lie in it. */
  readonly buffers: Buffer[];
  readonly inner: MemoryPlan | null;
}

/**
 * Gives every temporary a place in one arena, such that those alive at the same time do not overlap. `bytesOf` tells how
 * many bytes an element takes there.
 */
export function planMemory(
  instructions: readonly Instruction[],
  bytesOf: (dtype: DType) => number = byteSize,
): MemoryPlan {
  return planLevel(instructions, new Set(), bytesOf);
}

function planLevel(
  instructions: readonly Instruction[],
  outer: ReadonlySet<Buffer>,
  bytesOf: (dtype: DType) => number,
): MemoryPlan {
  const isTemp = (b: Buffer) => b.place.kind === "temp" && !outer.has(b);
  const touched = instructions.map((i) => new Set([...reads(i), ...writes(i)].filter(isTemp)));
  const uses = new Map<Buffer, number[]>();
  touched.forEach((set, i) => {
    for (const b of set) uses.set(b, [...(uses.get(b) ?? []), i]);
  });
  const blocks: Block[] = [];
  const blockOf = new Map<Buffer, Block>();

  instructions.forEach((instruction, i) => {
    if (instruction.kind === "loop") {
      // What only the loop touches lives inside of it; the loop's own arena is alive during the loop.
      const shared = new Set([...outer, ...[...uses].filter(([, at]) => at.length > 1).map(([b]) => b)]);
      const inner = planLevel(instruction.body, shared, bytesOf);
      if (inner.bytes) blocks.push({ bytes: inner.bytes, first: i, last: i, offset: 0, guest: -1, buffers: [], inner });
    }
    for (const buffer of touched[i]) {
      const at = uses.get(buffer) as number[];
      if (at[0] !== i || (instruction.kind === "loop" && at.length === 1)) continue;
      const last = at[at.length - 1];
      const host = hostFor(instruction, i, buffer, blockOf);
      if (host) {
        host.guest = i;
        host.last = Math.max(host.last, last);
        host.buffers.push(buffer);
        blockOf.set(buffer, host);
        continue;
      }
      const block: Block = {
        bytes: Math.max(1, Math.ceil((buffer.size * bytesOf(buffer.dtype)) / alignment)) * alignment,
        first: i,
        last,
        offset: 0,
        guest: -1,
        buffers: [buffer],
        inner: null,
      };
      blocks.push(block);
      blockOf.set(buffer, block);
    }
  });

  const bytes = place(blocks);
  const offsets = new Map<Buffer, number>();
  for (const { buffers, offset, inner } of blocks) {
    for (const b of buffers) offsets.set(b, offset);
    for (const [b, o] of inner?.offsets ?? []) offsets.set(b, offset + o);
  }
  return { bytes, offsets };
}

/** The block of an input that dies here and is read only at the position being written, so that the result can replace it. */
function hostFor(
  instruction: Instruction,
  at: number,
  result: Buffer,
  blockOf: ReadonlyMap<Buffer, Block>,
): Block | null {
  if (instruction.kind !== "kernel" || !writes(instruction).includes(result)) return null;
  const { kernel } = instruction;
  const written = instruction.buffers.findIndex((b, i) => b === result && kernel.buffers[i].written);
  for (let i = 0; i < instruction.buffers.length; i++) {
    if (kernel.buffers[i].written) continue;
    const input = instruction.buffers[i];
    const block = blockOf.get(input);
    if (!block || block.last !== at || block.guest === at || input.size !== result.size) continue;
    if (canReplace(kernel, i, written)) return block;
  }
  return null;
}

/** First fit by falling size; returns the bytes in all. */
function place(blocks: Block[]): number {
  let total = 0;
  const placed: Block[] = [];
  for (const block of [...blocks].sort((a, b) => b.bytes - a.bytes || a.first - b.first)) {
    const rivals = placed
      .filter((p) => p.first <= block.last && block.first <= p.last)
      .sort((a, b) => a.offset - b.offset);
    let offset = 0;
    for (const r of rivals) {
      if (offset + block.bytes <= r.offset) break;
      offset = Math.max(offset, r.offset + r.bytes);
    }
    block.offset = offset;
    total = Math.max(total, offset + block.bytes);
    placed.push(block);
  }
  return total;
}
