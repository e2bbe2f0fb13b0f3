import type { Buffer, Instruction } from "../../compiler/instruction.ts";
import type { MemoryPlan } from "../../compiler/plan.ts";
import { byteSize } from "../../core/dtype.ts";
import type { RenderedKernel } from "./render.ts";

/** Where the address of a slot comes from; `offset` is in bytes. */
export type SlotSource =
  | { readonly kind: "arena"; readonly offset: number }
  | { readonly kind: "input"; readonly index: number; readonly offset: number }
  | { readonly kind: "output"; readonly index: number; readonly offset: number }
  | { readonly kind: "held"; readonly buffer: Buffer; readonly offset: number };

export interface Tape {
  readonly words: BigInt64Array;
  readonly slots: readonly SlotSource[];
}

export interface Addresses {
  /** Of a kernel, or of what follows an operation. */
  kernel(instruction: Instruction): { readonly address: number; readonly rendered: RenderedKernel };
  op(name: string): number;
}

const [KERNEL, OP, LOOP, COPY, OP_THEN] = [1, 2, 3, 4, 5];

/** Writes instructions as the tape that the run time interprets (runtime/tape.c). */
export function writeTape(instructions: readonly Instruction[], plan: MemoryPlan, addresses: Addresses): Tape {
  const slots: SlotSource[] = [{ kind: "arena", offset: 0 }];
  const slotOf = new Map<Buffer, number>();
  /** Slots that move with each of the loops being written, outermost first, by what they are slices of. */
  const loops: Map<string, { readonly slot: number; readonly stride: number }>[] = [];

  const source = (buffer: Buffer): SlotSource => {
    const { place } = buffer;
    switch (place.kind) {
      case "temp":
        return { kind: "arena", offset: plan.offsets.get(buffer) as number };
      case "input":
      case "output":
        return { kind: place.kind, index: place.index, offset: 0 };
      case "data":
      case "kept":
        return { kind: "held", buffer, offset: 0 };
      case "slice": {
        const start = place.reverse ? (place.length - 1) * buffer.size * byteSize(buffer.dtype) : 0;
        const whole = source(place.of);
        return { ...whole, offset: whole.offset + start };
      }
    }
  };
  const newSlot = (from: SlotSource) => slots.push(from) - 1;

  /** Slot and byte offset of a buffer's first element. */
  const locate = (buffer: Buffer): [slot: number, offset: number] => {
    if (buffer.place.kind === "temp") return [0, plan.offsets.get(buffer) as number];
    if (buffer.place.kind !== "slice") {
      let slot = slotOf.get(buffer);
      if (slot === undefined) {
        slot = newSlot(source(buffer));
        slotOf.set(buffer, slot);
      }
      return [slot, 0];
    }
    const stride = buffer.size * byteSize(buffer.dtype) * (buffer.place.reverse ? -1 : 1);
    // An inner loop may be the first to use a slice that moves with an outer one.
    const moving = loops[buffer.place.depth];
    const key = `${idOf(buffer.place.of)}:${stride}`;
    let slice = moving.get(key);
    if (!slice) {
      slice = { slot: newSlot(source(buffer)), stride };
      moving.set(key, slice);
    }
    return [slice.slot, 0];
  };

  const kernel = (instruction: Instruction, buffers: readonly Buffer[]): number[] => {
    const { address, rendered } = addresses.kernel(instruction);
    const { range, grain, params } = rendered;
    return [address, range, grain, buffers.length, ...buffers.flatMap(locate), params.length, ...params];
  };

  const write = (list: readonly Instruction[]): number[] => {
    const out: number[] = [];
    for (const instruction of list) {
      switch (instruction.kind) {
        case "kernel":
          out.push(KERNEL, ...kernel(instruction, instruction.buffers));
          break;
        case "op": {
          const at = instruction.buffers.flatMap((b, i) => {
            const [slot, offset] = locate(b);
            return [slot, offset + instruction.offsets[i] * byteSize(b.dtype)];
          });
          const { epilogue } = instruction;
          if (epilogue) out.push(OP_THEN, ...kernel(instruction, epilogue.buffers));
          else out.push(OP);
          out.push(addresses.op(instruction.name), instruction.buffers.length, ...at);
          out.push(instruction.params.length, ...instruction.params);
          break;
        }
        case "copy": {
          const bytes = instruction.to.size * byteSize(instruction.to.dtype);
          out.push(COPY, ...locate(instruction.to), ...locate(instruction.from), bytes);
          break;
        }
        case "loop": {
          const moving = new Map<string, { slot: number; stride: number }>();
          loops.push(moving);
          const body = write(instruction.body);
          loops.pop();
          out.push(LOOP, instruction.count, body.length, moving.size);
          for (const { slot, stride } of moving.values()) out.push(slot, stride);
          out.push(...body);
          break;
        }
      }
    }
    return out;
  };
  const words = BigInt64Array.from(write(instructions), BigInt);
  return { words, slots };
}

const ids = new WeakMap<Buffer, number>();
let lastId = 0;
function idOf(buffer: Buffer): number {
  let id = ids.get(buffer);
  if (id === undefined) {
    id = ++lastId;
    ids.set(buffer, id);
  }
  return id;
}
