import { type FileHandle, open } from "node:fs/promises";
import type { HostArray } from "../core/dtype.ts";
import { FormatError, ManabiError } from "../core/errors.ts";
import { writeAtomic } from "./atomic.ts";
import {
  encodeParts,
  type NamedTensors,
  openSource,
  type ReadOptions,
  readAll,
  type SafetensorsFile,
} from "./safetensors.ts";

/** Opens a file and checks its header; throws `FormatError` when it is truncated, corrupt or hostile. */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const file = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    throw error.code === "ENOENT" ? new ManabiError(`${path}: no such file`, { cause: error }) : error;
  });
  try {
    const { size } = await file.stat();
    const read = (position: number, length: number) => readSpan(file, path, position, length);
    const close = () => file.close();
    return await openSource(path, size, { read, close });
  } catch (error) {
    await file.close();
    throw error;
  }
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

async function readSpan(file: FileHandle, path: string, position: number, length: number): Promise<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const { bytesRead } = await file.read(bytes, at, Math.min(length - at, 1 << 30), position + at);
    if (bytesRead === 0) throw new FormatError(`${path}: the file ended at byte ${position + at} while being read`);
    at += bytesRead;
  }
  return bytes.buffer;
}
