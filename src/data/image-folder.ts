import type { Dirent } from "node:fs";
import { readdir, realpath, stat } from "node:fs/promises";
import { basename, extname, join, resolve } from "node:path";
import { ManabiError } from "../core/errors.ts";
import type { Splits } from "./dataset.ts";
import { split } from "./dataset.ts";
import type { OnError } from "./dataset-spec.ts";
import { ImageFileDataset } from "./image-files.ts";

export interface ImageFolderOptions {
  /** The share of every class that goes to the test set when the folder has no test part of its own. */
  readonly testFraction?: number;
  /** Seed of the split. */
  readonly seed?: number;
  /** What to do with an image that does not decode. */
  readonly onError?: OnError;
}

export const imageExtensions: ReadonlySet<string> = new Set([
  ".jpg",
  ".jpeg",
  ".png",
  ".webp",
  ".gif",
  ".avif",
  ".tif",
  ".tiff",
]);

/** Folder names that hold the test part. */
const testNames = ["test", "val", "valid", "validation"];

/**
 * Pictures sorted into folders by class: `root/<class>/<name>.jpg` (sub-folders of a class count as the class), or
 * `root/train/<class>/...` with `root/test/...` or `root/val/...`. Classes are sorted by name. Without a test part,
 * one is drawn from every class by `seed`.
 */
export async function imageFolder(root: string, options: ImageFolderOptions = {}): Promise<Splits> {
  const { testFraction = 0.2, seed = 0, onError = "throw" } = options;
  const folder = resolve(root);
  const names = (await subfolders(folder)).map(({ name }) => name);
  const testName = testNames.find((name) => names.includes(name));
  const trainFolder = names.includes("train") ? join(folder, "train") : null;
  const hasParts = trainFolder !== null && (await subfolders(trainFolder)).length > 0; // else a class called "train"
  if (!hasParts || !testName) {
    const all = await readClasses(hasParts ? trainFolder : folder, null, onError);
    const [test, train] = split(all, [testFraction, 1 - testFraction], { seed });
    return { train, test, classes: all.classes };
  }
  const train = await readClasses(trainFolder, null, onError);
  const test = await readClasses(join(folder, testName), train.classes, onError);
  return { train, test, classes: train.classes };
}

/** The pictures under the class folders of `folder`; with `classes` given, a part of a set that has those classes. */
async function readClasses(
  folder: string,
  classes: readonly string[] | null,
  onError: OnError,
): Promise<ImageFileDataset> {
  const found = (await subfolders(folder)).map(({ name }) => name).sort();
  if (!found.length) throw await nothingFound(folder);
  const names = classes ?? found;
  const paths: string[] = [];
  const labels: number[] = [];
  for (const name of found) {
    const label = names.indexOf(name);
    if (label < 0) throw new ManabiError(`${join(folder, name)}: the training part has no class "${name}"`);
    const files = await imagesBelow(join(folder, name));
    if (!files.length)
      throw new ManabiError(
        `${join(folder, name)}: the class folder holds no images (${[...imageExtensions].join(" ")}); add some or remove it`,
      );
    for (const file of files) {
      paths.push(file);
      labels.push(label);
    }
  }
  return new ImageFileDataset({ paths, labels: Int32Array.from(labels), classes: names, onError });
}

async function nothingFound(folder: string): Promise<ManabiError> {
  const loose = await imagesBelow(folder);
  const seen = loose.length ? `${loose.length} images lie directly in it (${basename(loose[0])}, ...)` : "it is empty";
  return new ManabiError(
    `${folder}: no class folders; ${seen}. Sort the images as ${join(folder, "<class>", "<name>.jpg")}`,
  );
}

async function list(folder: string): Promise<Dirent[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: NodeJS.ErrnoException) => {
    const reason = cause.code === "ENOENT" ? "there is no such folder" : cause.message;
    throw new ManabiError(`${folder}: ${reason}`, { cause });
  });
  return entries.filter(({ name }) => !name.startsWith(".") && !name.startsWith("__")); // .DS_Store, __MACOSX
}

async function subfolders(folder: string): Promise<Dirent[]> {
  const entries = await list(folder);
  const folders = await Promise.all(entries.map(async (entry) => (await kind(folder, entry)) === "folder"));
  return entries.filter((_, i) => folders[i]);
}

/** Follows links, which `Dirent` does not; a dangling one is neither. */
async function kind(folder: string, entry: Dirent): Promise<"file" | "folder" | null> {
  const info = entry.isSymbolicLink() ? await stat(join(folder, entry.name)).catch(() => null) : entry;
  return info?.isFile() ? "file" : info?.isDirectory() ? "folder" : null;
}

/** All images below `folder`, sorted; `seen` stops links that lead in a circle. */
export async function imagesBelow(folder: string, seen = new Set<string>()): Promise<string[]> {
  const real = await realpath(folder);
  if (seen.has(real)) return [];
  seen.add(real);
  const found: string[] = [];
  const entries = await list(folder);
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    const what = await kind(folder, entry);
    if (what === "folder") found.push(...(await imagesBelow(path, seen)));
    else if (what === "file" && imageExtensions.has(extname(entry.name).toLowerCase())) found.push(path);
  }
  return found;
}
