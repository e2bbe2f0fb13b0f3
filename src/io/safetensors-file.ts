import type { HostArray } from "../core/dtype.ts";
import { writeAtomic } from "./atomic.ts";
import { encodeParts, type NamedTensors, openHeader, type SafetensorsFile } from "./safetensors.ts";
import { withSource } from "./source.ts";
import { fileSource } from "./source-file.ts";
import { type ReadOptions, readAll } from "./tensor-file.ts";

/** Opens a file and checks its header; throws `FormatError` when it is truncated, corrupt or hostile. */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  return withSource(await fileSource(path), openHeader);
}

/** All tensors of a file by name, in the order of their bytes. */
export async function readSafetensors(path: string, options?: ReadOptions): Promise<Map<string, HostArray>> {
  return readAll(await openSafetensors(path), options);
}

/** Writes tensors and `__metadata__` atomically, one tensor at a time; equal input gives equal bytes. */
export async function writeSafetensors(
  path: string,
  tensors: NamedTensors,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  await writeAtomic(path, async (file) => {
    for (const part of encodeParts(tensors, metadata)) await file.write(part);
  });
}
