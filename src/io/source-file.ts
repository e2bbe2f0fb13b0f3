import { open, stat } from "node:fs/promises";
import { FormatError, ManabiError } from "../core/errors.ts";
import type { Source } from "./source.ts";

/** The bytes of a file. */
export async function fileSource(path: string): Promise<Source> {
  const file = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    throw error.code === "ENOENT" ? new ManabiError(`${path}: no such file`, { cause: error }) : error;
  });
  const { size } = await file.stat();
  const read = async (position: number, length: number): Promise<ArrayBuffer> => {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const { bytesRead } = await file.read(bytes, at, Math.min(length - at, 1 << 30), position + at);
      if (bytesRead === 0) throw new FormatError(`${path}: the file ended at byte ${position + at} while being read`);
      at += bytesRead;
    }
    return bytes.buffer;
  };
  return { label: path, size, read, close: () => file.close() };
}

/** Whether there is a file of this name. */
export const isFile = async (path: string): Promise<boolean> => (await stat(path).catch(() => null))?.isFile() ?? false;
