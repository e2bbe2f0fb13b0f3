import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { HostArray } from "../core/dtype.ts";
import { FormatError } from "../core/errors.ts";
import { parseIdx } from "./idx.ts";

const inflate = promisify(gunzip);

/** Reads an IDX file, gzipped or not. */
export async function readIdx(path: string): Promise<HostArray> {
  const bytes = await readFile(path);
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return parseIdx(bytes, path);
  const raw = await inflate(bytes).catch((cause: Error) => {
    throw new FormatError(`${path}: gzip data is truncated or corrupt (${cause.message})`, { cause });
  });
  return parseIdx(raw, path);
}
