/** The part of `manabi/io` that needs no files: safetensors in memory. */
export {
  encodeSafetensors,
  type NamedTensors,
  openSafetensorsBytes,
  parseSafetensors,
  type ReadOptions,
  type SafetensorsFile,
} from "./safetensors.ts";
export type { TensorInfo } from "./safetensors-header.ts";
export type { Stateful, StateLayout, StateLeaf, StateTree } from "./state.ts";
