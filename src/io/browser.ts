/** The part of `manabi/io` that needs no files: safetensors in memory. */
export {
  encodeSafetensors,
  type NamedTensors,
  openSafetensorsBytes,
  parseSafetensors,
  type SafetensorsFile,
} from "./safetensors.ts";
export type { TensorInfo } from "./safetensors-header.ts";
export type { Stateful, StateLayout, StateLeaf, StateTree } from "./state.ts";
export type { ReadOptions } from "./tensor-file.ts";
