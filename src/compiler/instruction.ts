import type { DType } from "../core/dtype.ts";
import type { Node } from "../graph/node.ts";
import type { Kernel } from "./kernel.ts";

/** Memory that instructions read and write. */
export interface Buffer {
  readonly size: number;
  readonly dtype: DType;
  readonly place:
    | { readonly kind: "input" | "output"; readonly index: number }
    | { readonly kind: "data"; readonly node: Node }
    | { readonly kind: "temp" }
    /** Written by the part of a program that runs once (hoist.ts), and kept for later runs. */
    | { readonly kind: "kept" }
    /** One slice per iteration of a buffer outside of the loop, which is the one with `depth` others around it. */
    | {
        readonly kind: "slice";
        readonly of: Buffer;
        readonly reverse: boolean;
        readonly length: number;
        readonly depth: number;
      };
}

export interface KernelInstruction {
  readonly kind: "kernel";
  readonly kernel: Kernel;
  readonly buffers: readonly Buffer[];
}
/** A built-in of the run time; the written buffer comes last. */
export interface OpInstruction {
  readonly kind: "op";
  readonly name: string;
  readonly buffers: readonly Buffer[];
  /** First element of each buffer that is used. */
  readonly offsets: readonly number[];
  readonly params: readonly number[];
  /** A kernel over the result, which it changes in place (epilogue.ts). */
  readonly epilogue?: { readonly kernel: Kernel; readonly buffers: readonly Buffer[] };
}
export interface CopyInstruction {
  readonly kind: "copy";
  readonly from: Buffer;
  readonly to: Buffer;
}
export interface LoopInstruction {
  readonly kind: "loop";
  readonly count: number;
  readonly body: readonly Instruction[];
}
export type Instruction = KernelInstruction | OpInstruction | CopyInstruction | LoopInstruction;

/** What a kernel may be on the machine it is made for. */
export interface KernelLimits {
  /** Whether one kernel can touch all these buffers. */
  readonly canBind: (buffers: readonly Buffer[]) => boolean;
  /** Elements of values that live for one row of a row kernel. */
  readonly rowRoom: number;
}

export interface Schedule {
  readonly instructions: readonly Instruction[];
  readonly outputs: readonly Buffer[];
}
