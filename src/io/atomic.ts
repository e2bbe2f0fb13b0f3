import { randomBytes } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { copyFile, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { ManabiError } from "../core/errors.ts";

/** A file or folder that cannot be written: names the path, the reason, the cure, and what became of the old file. */
export class WriteError extends ManabiError {
  override name = "WriteError";
  readonly path: string;
  readonly code: string;

  constructor(path: string, code: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.path = path;
    this.code = code;
  }
}

/** The sequential writer that `writeAtomic` hands to its callback. */
export interface AtomicFile {
  /** Appends all of `bytes`. */
  write(bytes: Uint8Array | string): Promise<void>;
}

/** What goes into the file: the content itself, or a callback that appends it piece by piece. */
export type AtomicContent = string | Uint8Array | ((file: AtomicFile) => Promise<void>);

const cures: Record<string, string> = {
  ENOSPC: "the disk is full; free some space or choose another folder",
  EDQUOT: "the disk quota is used up; free some space or choose another folder",
  EFBIG: "the file would be larger than this system allows",
  EACCES: "permission denied; make the folder writable or choose another one",
  EPERM: "the operation is not permitted; choose a folder that you own",
  EROFS: "the file system is read-only; choose another folder",
  ENOENT: "the folder does not exist",
  ENOTDIR: "a part of the path is a file, not a folder",
  EISDIR: "the path is a folder",
  ENAMETOOLONG: "the name is too long",
  EIO: "the disk reports an input/output error",
  EMFILE: "too many files are open in this process",
};

const errorCode = (error: unknown): string | undefined =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;

/** A file system error as a `WriteError` with the cure; any other error unchanged. */
export function writeError(path: string, error: unknown, consequence = ""): unknown {
  const code = errorCode(error);
  if (code === undefined || error instanceof WriteError || !(code in cures)) return error;
  return new WriteError(path, code, `cannot write ${path}: ${cures[code]} (${code})${consequence}`, error);
}

/** Creates a folder and its parents; an unwritable parent is a `WriteError`. */
export async function makeFolder(path: string): Promise<void> {
  // Not `mkdir({ recursive: true })`: where the system refuses a folder with ENOENT, as in /proc, Node retries for ever.
  const parent = dirname(resolve(path));
  if (!(await stat(parent).catch(() => null)) && parent !== resolve(path)) await makeFolder(parent);
  try {
    await mkdir(path);
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw writeError(path, error);
    if ((await stat(path)).isDirectory()) return;
    throw new WriteError(path, "EEXIST", `cannot create the folder ${path}: a file of this name is in the way`, error);
  }
}

/** Replaces `path` in one step: readers see the old file or the whole new one, also after a crash or power loss.
 *  On an error the old file is intact and the temporary file (same folder) is gone. Throws `WriteError`. */
export function writeAtomic(path: string, content: AtomicContent): Promise<void> {
  return replaceAtomically(path, async (temporary) => {
    const file = await open(temporary, "wx");
    try {
      if (typeof content === "function") {
        await content({ write: (bytes) => writeAll(file, bytes) });
      } else await writeAll(file, content);
    } finally {
      await file.close();
    }
  });
}

async function writeAll(file: FileHandle, content: string | Uint8Array): Promise<void> {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  for (let at = 0; at < bytes.byteLength; ) {
    const { bytesWritten } = await file.write(bytes, at, Math.min(bytes.byteLength - at, 1 << 26));
    at += bytesWritten;
  }
}

/** Copies a file over another one with the guarantees of `writeAtomic`. */
export function copyAtomic(from: string, to: string): Promise<void> {
  return replaceAtomically(to, (temporary) => copyFile(from, temporary));
}

const inProgress = new Set<string>();

async function replaceAtomically(path: string, fill: (temporary: string) => Promise<void>): Promise<void> {
  const target = resolve(path);
  const folder = dirname(target);
  // The name carries the process id, so that a later process can tell leftovers of a killed one from work in progress.
  const temporary = join(folder, `.${basename(target)}.${process.pid}-${randomBytes(4).toString("hex")}.tmp`);
  inProgress.add(temporary);
  try {
    await refuseSpecialFile(target);
    await fill(temporary);
    await syncFile(temporary);
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw writeError(path, error, "; the previous file, if any, is untouched");
  } finally {
    inProgress.delete(temporary);
  }
  await syncFolder(folder);
}

/** A rename over a device or a folder would destroy or fail obscurely. */
async function refuseSpecialFile(path: string): Promise<void> {
  const found = await stat(path).catch(() => null);
  if (found && !found.isFile()) {
    const kind = found.isDirectory() ? "a folder" : "not a regular file";
    throw new WriteError(path, "EISDIR", `cannot write ${path}: it is ${kind}; choose another name`);
  }
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes the rename itself durable; Windows neither needs nor allows it. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Removes temporary files that killed processes left in `folder`, if there is one; those of running processes stay. */
export async function removeLeftovers(folder: string): Promise<void> {
  const names = await readdir(folder).catch((error) => {
    if (errorCode(error) === "ENOENT") return [];
    throw error;
  });
  for (const name of names) {
    const pid = Number(/^\..+\.(\d+)-[0-9a-f]{8}\.tmp$/.exec(name)?.[1]);
    const path = resolve(folder, name);
    // In a container every process may get the same id, so our own id proves nothing: ask our own list.
    const busy = pid === process.pid ? inProgress.has(path) : isRunning(pid);
    if (pid && !busy) await rm(path, { force: true });
  }
}

/** Whether a process of this id exists on this machine. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === "EPERM";
  }
}
