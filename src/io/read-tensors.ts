import type { HostArray } from "../core/dtype.ts";
import { ManabiError } from "../core/errors.ts";
import { openPytorch } from "./pytorch.ts";
import { openSafetensors } from "./safetensors-file.ts";
import { fileSource } from "./source-file.ts";
import type { StateDictOptions } from "./state-dict.ts";
import { type ReadOptions, readAll, type TensorFile } from "./tensor-file.ts";

/** Opens a `.safetensors`, `.pt` or `.pth` file; its first bytes tell which it is, not its name. */
export async function openTensors(path: string, options: StateDictOptions = {}): Promise<TensorFile> {
  const source = await fileSource(path);
  const start = new Uint8Array(await source.read(0, Math.min(source.size, 9)).finally(() => source.close()));
  // The header of safetensors begins behind its 8-byte length; archives begin "PK", bare pickles with 0x80.
  const isTorch = start[8] !== "{".charCodeAt(0) && (start[0] === 0x50 || start[0] === 0x80);
  if (isTorch) return openPytorch(path, options);
  if (options.at !== undefined || options.prefix !== undefined)
    throw new ManabiError(`${path}: { at } and { prefix } are for files of torch.save, and this is none`);
  return openSafetensors(path);
}

/** All tensors of a `.safetensors`, `.pt` or `.pth` file by name. */
export async function readTensors(
  path: string,
  options?: ReadOptions & StateDictOptions,
): Promise<Map<string, HostArray>> {
  return readAll(await openTensors(path, options), options);
}
