import type { Rng } from "../../core/rng.ts";
import type { WarpInterpolation } from "./affine.ts";
import { inverseAffine, rotate, warp } from "./affine.ts";
import {
  adjustBrightness,
  adjustContrast,
  adjustSaturation,
  adjustSharpness,
  autoContrast,
  equalize,
  posterize,
  solarize,
} from "./colour.ts";
import { roundHalfEven } from "./crop.ts";
import type { Raster } from "./picture.ts";

interface Look {
  readonly interpolation: WarpInterpolation;
  readonly fill: number;
}

/** One operation: `strength` runs over [0, 1], and signed ones go either way. */
interface Operation {
  readonly signed: boolean;
  readonly apply: (image: Raster, strength: number, look: Look) => Raster;
}

const degrees = (slope: number): number => (Math.atan(slope) * 180) / Math.PI;

function shear(image: Raster, x: number, y: number, { interpolation, fill }: Look): Raster {
  return warp(image, inverseAffine([0, 0], 0, [0, 0], 1, [degrees(x), degrees(y)]), interpolation, fill);
}

function translate(image: Raster, x: number, y: number, { interpolation, fill }: Look): Raster {
  const offset = [Math.trunc(x), Math.trunc(y)] as const;
  return warp(image, inverseAffine([0, 0], 0, offset, 1, [0, 0]), interpolation, fill);
}

/** torchvision's operations and their greatest strengths, in its order. */
export const operations = {
  identity: { signed: false, apply: (image) => image },
  shearX: { signed: true, apply: (image, s, look) => shear(image, 0.3 * s, 0, look) },
  shearY: { signed: true, apply: (image, s, look) => shear(image, 0, 0.3 * s, look) },
  translateX: { signed: true, apply: (image, s, look) => translate(image, (150 / 331) * image.width * s, 0, look) },
  translateY: { signed: true, apply: (image, s, look) => translate(image, 0, (150 / 331) * image.height * s, look) },
  rotate: { signed: true, apply: (image, s, look) => rotate(image, 30 * s, look.interpolation, look.fill) },
  brightness: { signed: true, apply: (image, s) => adjustBrightness(image, 1 + 0.9 * s) },
  color: { signed: true, apply: (image, s) => adjustSaturation(image, 1 + 0.9 * s) },
  contrast: { signed: true, apply: (image, s) => adjustContrast(image, 1 + 0.9 * s) },
  sharpness: { signed: true, apply: (image, s) => adjustSharpness(image, 1 + 0.9 * s) },
  posterize: { signed: false, apply: (image, s) => posterize(image, 8 - roundHalfEven(4 * s)) },
  solarize: { signed: false, apply: (image, s) => solarize(image, 255 * (1 - s)) },
  autoContrast: { signed: false, apply: (image) => autoContrast(image) },
  equalize: { signed: false, apply: (image) => equalize(image) },
} satisfies Record<string, Operation>;

const table: readonly Operation[] = Object.values(operations);

/** `count` operations drawn with replacement, all at `magnitude` of `bins` (Cubuk et al. 2019). */
export function randAugment(
  image: Raster,
  count: number,
  magnitude: number,
  bins: number,
  look: Look,
  rng: Rng,
): Raster {
  const strength = magnitude / (bins - 1);
  for (let i = 0; i < count; i++) {
    const operation = table[rng.int(table.length)];
    const sign = operation.signed && rng.chance(0.5) ? -1 : 1;
    image = operation.apply(image, sign * strength, look);
  }
  return image;
}
