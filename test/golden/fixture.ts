/** Reads the fixtures written by scripts/oracle and compares tensors with what they expect. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { HostArray } from "../../src/core/dtype.ts";
import { readSafetensors } from "../../src/io/safetensors-file.ts";

const folder = findFolder();

/** A compiled test sits one level deeper than its source (dist/test/golden); fixtures stay in the source tree. */
function findFolder(): URL {
  const compiled = import.meta.url.endsWith(".js");
  return new URL(compiled ? "../../../test/fixtures/golden/" : "../fixtures/golden/", import.meta.url);
}

export const readJson = async <T>(name: string): Promise<T> =>
  JSON.parse(await readFile(new URL(name, folder), "utf8"));

export const readTensors = (name: string): Promise<Map<string, HostArray>> =>
  readSafetensors(fileURLToPath(new URL(name, folder)));

/** The largest error of a tensor relative to the largest expected magnitude; absolute where all that is expected is 0. */
export function relativeError(got: ArrayLike<number>, want: ArrayLike<number>): number {
  let scale = 0;
  let error = 0;
  for (let i = 0; i < want.length; i++) {
    scale = Math.max(scale, Math.abs(want[i]));
    const difference = got[i] === want[i] ? 0 : Math.abs(got[i] - want[i]);
    if (!(difference <= error)) error = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
  }
  return scale < 1e-12 ? error : error / scale;
}
