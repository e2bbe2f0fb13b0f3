import type { Buffer } from "../../compiler/instruction.ts";
import type { FunctionBuilder, Local, ModuleBuilder } from "./assembler.ts";

/**
 * A WebAssembly function `(ctx, begin, end, thread)` of four i32 that does the items [begin, end) of its work. `ctx` is the address of
 * i32 words: one address per buffer, the address of the scratch memory that all threads of the operation share, the
 * address of the calling thread's own scratch memory, then the parameters.
 */
export interface WorkFunction {
  /** Names the function: equal keys, equal code. */
  readonly key: string;
  build(f: FunctionBuilder, module: ModuleBuilder, ctx: Local, begin: Local, end: Local, thread: Local): void;
}

/** One pass over the items of a function, which the threads share; passes run one after the other. */
export interface Call {
  readonly work: WorkFunction;
  readonly buffers: readonly { readonly buffer: Buffer /** In elements. */; readonly offset: number }[];
  /** Whole numbers that fit i32; floats are passed as their bits. */
  readonly params: readonly number[];
  /** Items of work. */
  readonly range: number;
  /** Fewest items worth handing to a thread. */
  readonly grain: number;
  /** Bytes of scratch memory that the calls of one instruction share and keep between them. */
  readonly sharedBytes?: number;
  /** Bytes of scratch memory of each thread. */
  readonly threadBytes?: number;
}
