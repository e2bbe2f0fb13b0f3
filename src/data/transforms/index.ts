import type { HostArray } from "../../core/dtype.ts";
import { ManabiError, unknownName } from "../../core/errors.ts";
import type { Key } from "../../core/rng.ts";
import { fold, Rng } from "../../core/rng.ts";
import { centerCrop, crop, flipHorizontal, flipVertical, randomWindow } from "./crop.ts";
import { cutout, erase, normalize, toFloat } from "./float.ts";
import type { Transform } from "./literals.ts";
import type { Picture, Raster } from "./picture.ts";
import { fromPicture, toPicture } from "./picture.ts";

type Rule<T> = (picture: Picture, transform: T, rng: Rng) => Picture;

/** A rule for images that are still pixels. */
const onRaster =
  <T extends Transform>(rule: (image: Raster, transform: T, rng: Rng) => Raster): Rule<T> =>
  (picture, transform, rng) => {
    if (picture.kind === "raster") return rule(picture, transform, rng);
    throw new ManabiError(`${transform.op}: works on u8 pixels; put it before toFloat and normalize`);
  };

const rules: { readonly [Op in Transform["op"]]: Rule<Extract<Transform, { op: Op }>> } = {
  centerCrop: onRaster((image, { size }) => centerCrop(image, size[0], size[1])),
  randomCrop: onRaster((image, { size, padding, mode, fill }, rng) => {
    const [top, left] = randomWindow(image.height, image.width, size[0], size[1], padding, rng);
    return crop(image, top, left, size[0], size[1], mode, fill);
  }),
  horizontalFlip: onRaster((image, { p }, rng) => (rng.chance(p) ? flipHorizontal(image) : image)),
  verticalFlip: onRaster((image, { p }, rng) => (rng.chance(p) ? flipVertical(image) : image)),
  cutout: (picture, { size, value }, rng) => cutout(picture, size, value, rng),
  randomErasing: (picture, transform, rng) => (rng.chance(transform.p) ? erase(picture, transform, rng) : picture),
  toFloat: (picture) => toFloat(picture),
  normalize: (picture, { mean, std }) => normalize(picture, mean, std),
};

/** Throws when `transforms` names an operation that does not exist (they may come from a file or a command line). */
export function checkTransforms(transforms: readonly Transform[]): void {
  for (const { op } of transforms)
    if (!Object.hasOwn(rules, op)) throw unknownName("transform", op, Object.keys(rules));
}

/** Applies `transforms` in order; the i-th draws its random numbers from `fold(key, i)`. */
export function applyTransforms(transforms: readonly Transform[], image: HostArray, key: Key): HostArray {
  let picture = toPicture(image);
  for (const [i, transform] of transforms.entries()) {
    const rule = rules[transform.op] as Rule<Transform>; // the table pairs each op with the rule of its own literal
    picture = rule(picture, transform, new Rng(fold(key, i)));
  }
  return fromPicture(picture);
}
