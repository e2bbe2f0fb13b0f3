/** Files: safetensors, checkpoints, atomic writes. */
export { type AtomicContent, type AtomicFile, copyAtomic, makeFolder, WriteError, writeAtomic } from "./atomic.ts";
export {
  type Checkpoint,
  type LoadOptions,
  loadCheckpoint,
  type Parts,
  readCheckpoint,
  type SaveOptions,
  saveCheckpoint,
} from "./checkpoint.ts";
export {
  type BestCheckpoint,
  CheckpointFolder,
  type CheckpointFolderOptions,
  latestCheckpoint,
} from "./checkpoint-folder.ts";
export {
  encodeSafetensors,
  type NamedTensors,
  openSafetensorsBytes,
  parseSafetensors,
  type ReadOptions,
  type SafetensorsFile,
} from "./safetensors.ts";
export type { FileDType } from "./safetensors-decode.ts";
export { openSafetensors, readSafetensors, writeSafetensors } from "./safetensors-file.ts";
export type { TensorInfo } from "./safetensors-header.ts";
export type { Stateful, StateLayout, StateLeaf, StateTree } from "./state.ts";
