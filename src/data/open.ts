import { stat } from "node:fs/promises";
import { ManabiError, nearest } from "../core/errors.ts";
import { type KnownDataset, knownDatasets } from "./catalogue.ts";
import type { Splits } from "./dataset.ts";
import { type ImageFolderOptions, imageFolder } from "./image-folder.ts";
import type { AcquireOptions } from "./sources.ts";

/** A data set by name or path: its parts, and what is known of it (null for a folder). */
export interface OpenedSplits extends Splits {
  readonly known: KnownDataset | null;
}

/** The known data set called `name`, fetched where it is not in the cache, or else the folder of images at that path. */
export async function openSplits(
  name: string,
  options: ImageFolderOptions & AcquireOptions = {},
): Promise<OpenedSplits> {
  const known = knownDatasets.find((dataset) => dataset.name === name) ?? null;
  return { ...(known ? await known.load(options) : await openFolder(name, options)), known };
}

async function openFolder(path: string, options: ImageFolderOptions): Promise<Splits> {
  const isFolder = (await stat(path).catch(() => null))?.isDirectory() ?? false;
  if (isFolder) return imageFolder(path, options);
  const names = knownDatasets.map((dataset) => dataset.name);
  const near = nearest(path, names);
  throw new ManabiError(
    `"${path}" is neither a folder nor a known data set; ${near.length ? `did you mean ${near.join(", ")}?` : `known: ${names.join(", ")}`}`,
  );
}
