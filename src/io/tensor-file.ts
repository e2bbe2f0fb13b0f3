import type { HostArray } from "../core/dtype.ts";
import type { FileDType } from "./file-dtype.ts";

export interface ReadOptions {
  /** Gives F16 and BF16 tensors as f32. Default false: they stay f16 and bf16, as 16-bit patterns. */
  readonly widen?: boolean;
}

/** An open file of named tensors: what is in it is known and checked, values are read when asked for. */
export interface TensorFile {
  /** In the order of the file. */
  readonly names: readonly string[];
  /** Dtype as safetensors spells it, and shape. Throws on an unknown name. */
  info(name: string): { readonly dtype: FileDType; readonly shape: readonly number[] };
  /** Reads one tensor. I64, U64 and U16, I16, I8 become i32 (U32 u32); a value that does not fit is an error. */
  read(name: string, options?: ReadOptions): Promise<HostArray>;
  close(): Promise<void>;
}

/** All tensors of a file by name, in its order; closes it. */
export async function readAll(file: TensorFile, options?: ReadOptions): Promise<Map<string, HostArray>> {
  try {
    const tensors = new Map<string, HostArray>();
    for (const name of file.names) tensors.set(name, await file.read(name, options));
    return tensors;
  } finally {
    await file.close();
  }
}
