/** Pixel for pixel against Pillow and torchvision (scripts/oracle/transforms.py). */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { seedKey } from "../../src/core/rng.ts";
import { inverseAffine, rotate, type WarpInterpolation, warp } from "../../src/data/transforms/affine.ts";
import * as colour from "../../src/data/transforms/colour.ts";
import { crop, flipHorizontal, flipVertical, type PadMode } from "../../src/data/transforms/crop.ts";
import { applyTransforms } from "../../src/data/transforms/index.ts";
import { centerCrop, normalize, resize, toFloat } from "../../src/data/transforms/literals.ts";
import { fromPicture, type Picture, type Raster, raster } from "../../src/data/transforms/picture.ts";
import { operations } from "../../src/data/transforms/rand-augment.ts";
import type { Interpolation } from "../../src/data/transforms/resample.ts";

interface Stored {
  offset: number;
  shape: number[];
  dtype: "u8" | "f32";
}

/** Arguments as the oracle names them; each case carries those its operation takes. */
interface Args {
  size: [number, number];
  interpolation: Interpolation & WarpInterpolation;
  degrees: number;
  fill: number;
  angle: number;
  translate: [number, number];
  scale: number;
  shear: [number, number];
  amount: number;
  channels: number;
  top: number;
  left: number;
  mode: PadMode;
  mean: number[];
  std: number[];
  operation: keyof typeof operations;
  strength: number;
}

interface Case {
  name: string;
  image: "color" | "grey";
  args: Args;
  expected: Stored;
}

// A compiled test sits one level deeper than its source; fixtures stay in the source tree.
const folder = new URL(import.meta.url.endsWith(".js") ? "../../../test/fixtures/" : "../fixtures/", import.meta.url);
const { images, cases }: { images: Record<Case["image"], Stored>; cases: Case[] } = JSON.parse(
  readFileSync(new URL("transforms.json", folder), "utf8"),
);
const blob = new Uint8Array(readFileSync(new URL("transforms.bin", folder))).buffer;

const load = ({ offset, shape, dtype }: Stored): Uint8Array<ArrayBuffer> | Float32Array<ArrayBuffer> => {
  const count = shape.reduce((a, b) => a * b, 1);
  return dtype === "u8" ? new Uint8Array(blob, offset, count) : new Float32Array(blob, offset, count);
};

const source = (name: Case["image"]): Raster => {
  const [h, w, c] = images[name].shape;
  return raster(h, w, c, load({ ...images[name], dtype: "u8" }) as Uint8Array<ArrayBuffer>);
};

const key = seedKey(0);
const apply = (image: Raster, transform: Parameters<typeof applyTransforms>[0][number]) =>
  applyTransforms([transform], fromPicture(image), key);

const amount = (adjust: (image: Raster, amount: number) => Raster) => (image: Raster, args: Args) =>
  adjust(image, args.amount);

const run: Record<string, (image: Raster, args: Args) => Picture | ReturnType<typeof apply>> = {
  resize: (image, { size, interpolation }) => apply(image, resize(size, interpolation)),
  centerCrop: (image, { size }) => apply(image, centerCrop(size)),
  rotate: (image, { degrees, interpolation, fill }) => rotate(image, degrees, interpolation, fill),
  affine: (image, { angle, translate, scale, shear, interpolation }) =>
    warp(image, inverseAffine([image.width / 2, image.height / 2], angle, translate, scale, shear), interpolation),
  crop: (image, { top, left, size, mode }) => crop(image, top, left, size[0], size[1], mode),
  flipHorizontal,
  flipVertical,
  grayscale: (image, { channels }) => colour.grayscale(image, channels),
  adjustBrightness: amount(colour.adjustBrightness),
  adjustContrast: amount(colour.adjustContrast),
  adjustSaturation: amount(colour.adjustSaturation),
  adjustSharpness: amount(colour.adjustSharpness),
  adjustHue: amount(colour.adjustHue),
  autoContrast: colour.autoContrast,
  equalize: colour.equalize,
  posterize: amount(colour.posterize),
  solarize: amount(colour.solarize),
  randAugment: (image, { operation, strength }) =>
    operations[operation].apply(image, strength, { interpolation: "nearest", fill: 0 }),
  toFloat: (image) => apply(image, toFloat()),
  normalize: (image, { mean, std }) => apply(image, normalize(mean, std)),
};

for (const { name, image, args, expected } of cases)
  test(`${name} of the ${image} image ${JSON.stringify(args)}`, () => {
    const made = run[name](source(image), args);
    const { shape, data } = "kind" in made ? fromPicture(made) : made;
    const want = load(expected);
    assert.deepEqual(shape, expected.shape);
    let worst = 0;
    let differing = 0;
    for (let i = 0; i < want.length; i++) {
      const error = Math.abs(data[i] - want[i]);
      if (error > 0) differing++;
      worst = Math.max(worst, error);
    }
    if (expected.dtype === "u8")
      assert.equal(worst, 0, `${differing} of ${want.length} bytes differ, by up to ${worst}`);
    else assert.ok(worst < 5e-7, `differs by ${worst}`);
  });
