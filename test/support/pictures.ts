/** Small data sets for tests: stripes whose direction is the class. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { Rng, seedKey } from "../../src/core/rng.ts";

export const stripeClasses = ["across", "down", "slanted"] as const;

/** Grey pixels [side, side] of stripes of one class, shifted and noisy. */
function stripes(label: number, side: number, rng: Rng): Uint8Array {
  const [dy, dx] = [
    [1, 0],
    [0, 1],
    [1, 1],
  ][label];
  const shift = rng.uniform(0, 4);
  return Uint8Array.from({ length: side * side }, (_, p) => {
    const at = dy * Math.floor(p / side) + dx * (p % side) + shift;
    return Math.round(100 + 80 * Math.sin(at * 1.6) + rng.uniform(0, 60));
  });
}

/** Writes `<class>/<n>.png` under `folder`. */
export async function writeStripeFolder(folder: string, perClass: number, side = 16): Promise<void> {
  const rng = new Rng(seedKey(7));
  for (const [label, name] of stripeClasses.entries()) {
    await mkdir(join(folder, name), { recursive: true });
    for (let i = 0; i < perClass; i++) {
      const raw = { width: side, height: side, channels: 1 } as const;
      await sharp(stripes(label, side, rng), { raw })
        .png()
        .toFile(join(folder, name, `${i}.png`));
    }
  }
}

/** Writes the four files of a set like MNIST into `folder`. */
export async function writeStripeIdx(folder: string, train: number, test: number, side = 8): Promise<void> {
  await mkdir(folder, { recursive: true });
  const rng = new Rng(seedKey(7));
  for (const [part, count] of [
    ["train", train],
    ["t10k", test],
  ] as const) {
    const labels = Uint8Array.from({ length: count }, (_, i) => i % stripeClasses.length);
    const images = Array.from(labels, (label) => stripes(label, side, rng));
    for (const [name, bytes] of idxFiles(part, images, labels)) await writeFile(join(folder, name), bytes);
  }
}

/** The files of one part of a set like MNIST, by name; the images are square. */
export function idxFiles(
  part: "train" | "t10k",
  images: readonly Uint8Array[],
  labels: Uint8Array,
): [name: string, bytes: Buffer][] {
  const side = Math.sqrt(images[0].length);
  return [
    [`${part}-images-idx3-ubyte`, idx([images.length, side, side], Buffer.concat(images))],
    [`${part}-labels-idx1-ubyte`, idx([labels.length], labels)],
  ];
}

/** An IDX file of bytes. */
function idx(shape: readonly number[], bytes: Uint8Array): Buffer {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header[2] = 8;
  header[3] = shape.length;
  for (const [i, size] of shape.entries()) header.writeUInt32BE(size, 4 + 4 * i);
  return Buffer.concat([header, bytes]);
}
