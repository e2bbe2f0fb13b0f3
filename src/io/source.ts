import { open } from "node:fs/promises";
import { FormatError, ManabiError } from "../core/errors.ts";

/** Bytes that are read span by span, so that a large file is never in memory as a whole. */
export interface Source {
  /** Names it in errors: the path of a file. */
  readonly label: string;
  readonly size: number;
  /** A copy of `length` bytes from `position`, which must lie within the size. Throws `FormatError` if the file has
   *  become shorter. */
  read(position: number, length: number): Promise<ArrayBuffer>;
  close(): Promise<void>;
}

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

/** Bytes that are in memory already. */
export const bufferSource = (buffer: ArrayBuffer, label: string): Source => ({
  label,
  size: buffer.byteLength,
  read: async (position, length) => buffer.slice(position, position + length),
  close: async () => {},
});

/** What `use` makes of a source, which is closed if it fails. */
export async function withSource<T>(source: Source, use: (source: Source) => Promise<T>): Promise<T> {
  try {
    return await use(source);
  } catch (error) {
    await source.close();
    throw error;
  }
}
