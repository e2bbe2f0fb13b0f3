import { createHash } from "node:crypto";
import {
  accessSync,
  appendFileSync,
  constants,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cacheRoot } from "../../core/cache.ts";
import { ManabiError } from "../../core/errors.ts";

/** The folder that holds compiled libraries, readable by this user only. */
export const libraryFolder = (): string => join(cacheRoot(), "native");

const digestBytes = 32;
const sha256 = (bytes: Uint8Array | string): Buffer => createHash("sha256").update(bytes).digest();

/**
 * The path of a library named by what it is made of; `build` makes it, in a scratch folder, where it is missing or
 * damaged. It is put in place by a rename, so two processes may do this at once.
 */
export function cachedLibrary(
  kind: string,
  ingredients: string,
  build: (output: string, scratch: string) => void,
): string {
  const name = `${kind}-${sha256(ingredients).toString("hex").slice(0, 32)}.so`;
  const known = join(temporary ?? libraryFolder(), name);
  if (isIntact(known)) return known;
  const folder = writableFolder();
  const path = join(folder, name);
  let scratch = "";
  try {
    scratch = mkdtempSync(join(folder, "build-"));
    const output = join(scratch, "out.so");
    build(output, scratch);
    // Loaders ignore what follows the last section; it tells a whole file from one cut short.
    appendFileSync(output, sha256(readFileSync(output)));
    renameSync(output, path);
  } catch (error) {
    if (error instanceof ManabiError) throw error;
    throw new ManabiError(
      `native: cannot write compiled code to ${folder} (${(error as Error).message}); ` +
        "free space there or point XDG_CACHE_HOME at a writable folder",
    );
  } finally {
    if (scratch) rmSync(scratch, { recursive: true, force: true });
  }
  return path;
}

/** Whether a library is there and ends with the digest of what precedes it: loading half a library kills the process. */
function isIntact(path: string): boolean {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch {
    return false;
  }
  const end = bytes.length - digestBytes;
  return end > 0 && bytes.subarray(end).equals(sha256(bytes.subarray(0, end)));
}

/** A folder for this process alone, where the cache cannot be written. */
let temporary: string | undefined;
let swept = false;

function writableFolder(): string {
  if (temporary) return temporary;
  const folder = libraryFolder();
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    accessSync(folder, constants.W_OK);
    if (!swept) sweep(folder);
    swept = true;
    return folder;
  } catch (error) {
    const own = mkdtempSync(join(tmpdir(), "manabi-"));
    temporary = own;
    process.on("exit", () => rmSync(own, { recursive: true, force: true }));
    process.stderr.write(
      `manabi: cannot keep compiled code in ${folder} (${(error as Error).message}), so every process compiles it ` +
        "again. To cure it, free space there or point XDG_CACHE_HOME at a writable folder.\n",
    );
    return own;
  }
}

/** Removes what killed processes have left behind. */
function sweep(folder: string): void {
  const hour = 3_600_000;
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (name.startsWith("build-") && Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) > hour)
      rmSync(path, { recursive: true, force: true });
  }
}
