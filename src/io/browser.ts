/** The part of `manabi/io` that needs no files: safetensors in memory. */
export { encodeSafetensors, type NamedTensors, parseSafetensors, type ReadOptions } from "./safetensors.ts";
export type { Stateful, StateLayout, StateLeaf, StateTree } from "./state.ts";
