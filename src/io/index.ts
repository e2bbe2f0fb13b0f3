/** Files: safetensors, PyTorch, TensorFlow.js, checkpoints, atomic writes. */
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
export type { FileDType } from "./file-dtype.ts";
export { openPytorch, parsePytorch, readPytorch } from "./pytorch.ts";
export { openTensors, readTensors } from "./read-tensors.ts";
export {
  encodeSafetensors,
  type NamedTensors,
  openSafetensorsBytes,
  parseSafetensors,
  type SafetensorsFile,
} from "./safetensors.ts";
export { openSafetensors, readSafetensors, writeSafetensors } from "./safetensors-file.ts";
export type { TensorInfo } from "./safetensors-header.ts";
export type { Stateful, StateLayout, StateLeaf, StateTree } from "./state.ts";
export type { StateDictOptions } from "./state-dict.ts";
export { type ReadOptions, readAll, type TensorFile } from "./tensor-file.ts";
export { readTfjs } from "./tfjs.ts";
