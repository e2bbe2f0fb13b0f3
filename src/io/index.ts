/** Files: safetensors, checkpoints, atomic writes. */
export { type AtomicContent, type AtomicFile, copyAtomic, makeFolder, WriteError, writeAtomic } from "./atomic.ts";
export {
  type NamedTensors,
  openSafetensors,
  parseSafetensors,
  type ReadOptions,
  readSafetensors,
  type SafetensorsFile,
  writeSafetensors,
} from "./safetensors.ts";
export type { FileDType } from "./safetensors-decode.ts";
export type { TensorInfo } from "./safetensors-header.ts";
