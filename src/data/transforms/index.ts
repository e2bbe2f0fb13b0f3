import type { HostArray } from "../../core/dtype.ts";
import { ManabiError, unknownName } from "../../core/errors.ts";
import type { Key } from "../../core/rng.ts";
import { fold, Rng } from "../../core/rng.ts";
import { inverseAffine, rotate, warp } from "./affine.ts";
import { adjustBrightness, adjustContrast, adjustHue, adjustSaturation, grayscale } from "./colour.ts";
import { centerCrop, crop, flipHorizontal, flipVertical, randomWindow, resizedWindow } from "./crop.ts";
import { cutout, erase, normalize, toFloat } from "./float.ts";
import type { Range, Transform } from "./literals.ts";
import type { Picture, Raster } from "./picture.ts";
import { fromPicture, toPicture } from "./picture.ts";
import { randAugment } from "./rand-augment.ts";
import { resize, shorterSide } from "./resample.ts";

type Op<Name extends Transform["op"]> = Extract<Transform, { op: Name }>;
type Rule<T> = (picture: Picture, transform: T, rng: Rng) => Picture;

/** A rule for images that are still pixels. */
const onRaster =
  <T extends Transform>(rule: (image: Raster, transform: T, rng: Rng) => Raster): Rule<T> =>
  (picture, transform, rng) => {
    if (picture.kind === "raster") return rule(picture, transform, rng);
    throw new ManabiError(`${transform.op}: works on u8 pixels; put it before toFloat and normalize`);
  };

/** A narrow picture, resized by its shorter side, is not larger than this; ordinary ones are far from it. */
const mostPixels = 2 ** 26;

const rules: { readonly [Name in Transform["op"]]: Rule<Op<Name>> } = {
  resize: onRaster((image, { size, interpolation }) => {
    const [h, w] = typeof size === "number" ? shorterSide(image.height, image.width, size) : size;
    if (h * w > mostPixels)
      throw new ManabiError(
        `resize: a picture of ${image.width} x ${image.height} pixels would become ${w} x ${h}; it is too narrow to be ` +
          "resized by its shorter side: cut it, or give both sides",
      );
    return resize(image, h, w, interpolation);
  }),
  centerCrop: onRaster((image, { size }) => centerCrop(image, size[0], size[1])),
  randomCrop: onRaster((image, { size, padding, mode, fill }, rng) => {
    const [top, left] = randomWindow(image.height, image.width, size[0], size[1], padding, rng);
    return crop(image, top, left, size[0], size[1], mode, fill);
  }),
  randomResizedCrop: onRaster((image, { size, scale, ratio, interpolation }, rng) => {
    const [top, left, h, w] = resizedWindow(image, scale, ratio, rng);
    return resize(crop(image, top, left, h, w), size[0], size[1], interpolation);
  }),
  horizontalFlip: onRaster((image, { p }, rng) => (rng.chance(p) ? flipHorizontal(image) : image)),
  verticalFlip: onRaster((image, { p }, rng) => (rng.chance(p) ? flipVertical(image) : image)),
  randomRotation: onRaster((image, { degrees, interpolation, fill }, rng) =>
    rotate(image, rng.uniform(...degrees), interpolation, fill),
  ),
  randomAffine: onRaster(randomAffine),
  colorJitter: onRaster(colorJitter),
  grayscale: onRaster((image, { channels }) => grayscale(image, channels ?? image.channels)),
  randAugment: onRaster((image, { count, magnitude, bins, ...look }, rng) =>
    randAugment(image, count, magnitude, bins, look, rng),
  ),
  randomApply: (picture, { p, transforms }, rng) =>
    rng.chance(p) ? applyAll(transforms, picture, fold(rng.key, 1)) : picture,
  cutout: (picture, { size, value }, rng) => cutout(picture, size, value, rng),
  randomErasing: (picture, transform, rng) => (rng.chance(transform.p) ? erase(picture, transform, rng) : picture),
  toFloat: (picture) => toFloat(picture),
  normalize: (picture, scaling) => normalize(picture, scaling),
};

function randomAffine(image: Raster, transform: Op<"randomAffine">, rng: Rng): Raster {
  const { degrees, translate, scale, shear, interpolation, fill } = transform;
  const { height, width } = image;
  const shift = (share: number, size: number): number => Math.round(rng.uniform(-share, share) * size);
  const angle = rng.uniform(...degrees);
  const offset = [shift(translate[0], width), shift(translate[1], height)] as const;
  const factor = rng.uniform(...scale);
  const slant = [rng.uniform(...shear), 0] as const;
  return warp(image, inverseAffine([width / 2, height / 2], angle, offset, factor, slant), interpolation, fill);
}

function colorJitter(image: Raster, transform: Op<"colorJitter">, rng: Rng): Raster {
  const { brightness, contrast, saturation, hue } = transform;
  const steps: readonly [Range, neutral: number, adjust: (image: Raster, amount: number) => Raster][] = [
    [brightness, 1, adjustBrightness],
    [contrast, 1, adjustContrast],
    [saturation, 1, adjustSaturation],
    [hue, 0, adjustHue],
  ];
  for (const i of rng.permutation(steps.length)) {
    const [range, neutral, adjust] = steps[i];
    const amount = rng.uniform(...range);
    if (amount !== neutral) image = adjust(image, amount);
  }
  return image;
}

const cheap: ReadonlySet<Transform["op"]> = new Set([
  "centerCrop",
  "randomCrop",
  "horizontalFlip",
  "verticalFlip",
  "cutout",
  "randomErasing",
  "toFloat",
  "normalize",
]);

/** True when the transforms only move bytes and scale numbers. */
export const areCheap = (transforms: readonly Transform[]): boolean => transforms.every(({ op }) => cheap.has(op));

/** Throws when `transforms` names an operation that does not exist (they may come from a file or a command line). */
export function checkTransforms(transforms: readonly Transform[]): void {
  for (const transform of transforms) {
    if (!Object.hasOwn(rules, transform.op)) throw unknownName("transform", transform.op, Object.keys(rules));
    if (transform.op === "randomApply") checkTransforms(transform.transforms);
  }
}

/** The key of a sample's view: the first one's is the sample's own. */
export const viewKey = (key: Key, view: number): Key => (view === 0 ? key : fold(key, 2 ** 31 + view));

/** Applies `transforms` in order; the i-th draws its random numbers from `fold(key, i)`. */
export function applyTransforms(transforms: readonly Transform[], image: HostArray, key: Key): HostArray {
  return fromPicture(applyAll(transforms, toPicture(image), key));
}

function applyAll(transforms: readonly Transform[], picture: Picture, key: Key): Picture {
  for (const [i, transform] of transforms.entries()) {
    const rule = rules[transform.op] as Rule<Transform>; // the table pairs each op with the rule of its own literal
    picture = rule(picture, transform, new Rng(fold(key, i)));
  }
  return picture;
}
