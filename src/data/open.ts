import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { ManabiError, nearest } from "../core/errors.ts";
import type { AcquireOptions } from "../fetch/sources.ts";
import { type KnownDataset, knownDatasets } from "./catalogue.ts";
import type { Splits } from "./dataset.ts";
import { readIdx } from "./idx-file.ts";
import { type ImageFolderOptions, imageFolder } from "./image-folder.ts";
import { ImageMemory } from "./memory.ts";
import { idxFolder } from "./mnist.ts";

/** A data set by name or path. */
export interface OpenedSplits extends Splits {
  /** By which it can be opened again: the name of a known data set, or the absolute path of a folder. */
  readonly name: string;
  /** Of every image, or null for image files, each of which has its own size. */
  readonly imageShape: KnownDataset["imageShape"] | null;
  /** What is known of it; null for a folder. */
  readonly known: KnownDataset | null;
}

/** The known data set called `name`, fetched where it is not in the cache, or else what the folder at that path holds:
 *  images sorted by class, or the four IDX files of a set like MNIST. */
export async function openSplits(
  name: string,
  options: ImageFolderOptions & AcquireOptions = {},
): Promise<OpenedSplits> {
  const known = knownDatasets.find((dataset) => dataset.name === name) ?? null;
  if (known) return { ...(await known.load(options)), name, known, imageShape: known.imageShape };
  const splits = await openFolder(name, options);
  const block = splits.train instanceof ImageMemory ? splits.train.block : null;
  const imageShape = block && ([block.height, block.width, block.channels] as const);
  return { ...splits, name: resolve(name), known, imageShape };
}

async function openFolder(path: string, options: ImageFolderOptions): Promise<Splits> {
  if (!(await stat(path).catch(() => null))?.isDirectory()) {
    const names = knownDatasets.map((dataset) => dataset.name);
    const near = nearest(path, names);
    const hint = near.length ? `did you mean ${near.join(", ")}?` : `known: ${names.join(", ")}`;
    throw new ManabiError(`"${path}" is neither a folder nor a known data set; ${hint}`);
  }
  const labels = (await readdir(path)).find((file) => /^train-labels-idx1-ubyte(\.gz)?$/.test(file));
  if (labels === undefined) return imageFolder(path, options);
  const { data } = await readIdx(join(path, labels));
  let last = 0;
  for (const label of data) last = Math.max(last, label);
  return idxFolder(path, [...Array(last + 1).keys()].map(String));
}
