import type { Raster } from "./picture.ts";
import { raster } from "./picture.ts";

/** How `warp` computes pixels between pixels. */
export type WarpInterpolation = "nearest" | "bilinear";

/** Where an output pixel (x, y) is read: `(a x + b y + c, d x + e y + f)`, in pixel coordinates. */
type Inverse = readonly [a: number, b: number, c: number, d: number, e: number, f: number];

const radians = (degrees: number): number => (degrees * Math.PI) / 180;

/** The inverse of: shear by degrees, rotate clockwise by degrees about `center`, scale, move by pixels. */
export function inverseAffine(
  center: readonly [x: number, y: number],
  angle: number,
  translate: readonly [x: number, y: number],
  scale: number,
  shear: readonly [x: number, y: number],
): Inverse {
  const rotation = radians(angle);
  const sx = radians(shear[0]);
  const sy = radians(shear[1]);
  const cos = Math.cos(rotation - sy) / Math.cos(sy);
  const sin = Math.sin(rotation - sy) / Math.cos(sy);
  const a = (-sin * Math.tan(sx) + Math.cos(rotation)) / scale;
  const b = (cos * Math.tan(sx) + Math.sin(rotation)) / scale;
  const d = -sin / scale;
  const e = cos / scale;
  const x = -center[0] - translate[0];
  const y = -center[1] - translate[1];
  return [a, b, a * x + b * y + center[0], d, e, d * x + e * y + center[1]];
}

/** The image read through `inverse`; what lies outside is `fill`. */
export function warp(image: Raster, inverse: Inverse, interpolation: WarpInterpolation, fill = 0): Raster {
  return interpolation === "nearest" ? warpNearest(image, inverse, fill) : warpBilinear(image, inverse, fill);
}

/** Pillow walks in 16.16 fixed point; doing the same picks the same pixels. */
function warpNearest({ data, height, width, channels }: Raster, inverse: Inverse, fill: number): Raster {
  const [a, b, c, d, e, f] = inverse;
  const fixed = (v: number): number => Math.floor(v * 65536 + 0.5);
  const [fa, fb, fd, fe] = [fixed(a), fixed(b), fixed(d), fixed(e)];
  let rowX = fixed(c + a * 0.5 + b * 0.5);
  let rowY = fixed(f + d * 0.5 + e * 0.5);
  const out = raster(height, width, channels);
  for (let y = 0; y < height; y++, rowX += fb, rowY += fe) {
    for (let x = 0, fx = rowX, fy = rowY; x < width; x++, fx += fa, fy += fd) {
      const sx = Math.floor(fx / 65536);
      const sy = Math.floor(fy / 65536);
      const inside = sx >= 0 && sx < width && sy >= 0 && sy < height;
      const to = (y * width + x) * channels;
      const from = (sy * width + sx) * channels;
      for (let k = 0; k < channels; k++) out.data[to + k] = inside ? data[from + k] : fill;
    }
  }
  return out;
}

function warpBilinear({ data, height, width, channels }: Raster, inverse: Inverse, fill: number): Raster {
  const [a, b, c, d, e, f] = inverse;
  const out = raster(height, width, channels);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const sx = a * (x + 0.5) + b * (y + 0.5) + c;
      const sy = d * (x + 0.5) + e * (y + 0.5) + f;
      const to = (y * width + x) * channels;
      if (sx < 0 || sx >= width || sy < 0 || sy >= height) {
        out.data.fill(fill, to, to + channels);
        continue;
      }
      const left = Math.floor(sx - 0.5);
      const top = Math.floor(sy - 0.5);
      const dx = sx - 0.5 - left;
      const dy = sy - 0.5 - top;
      const x0 = Math.max(0, left) * channels;
      const x1 = Math.min(width - 1, left + 1) * channels;
      const y0 = Math.max(0, top) * width * channels;
      const y1 = Math.min(height - 1, top + 1) * width * channels;
      for (let k = 0; k < channels; k++) {
        const upper = data[y0 + x0 + k] + (data[y0 + x1 + k] - data[y0 + x0 + k]) * dx;
        const lower = data[y1 + x0 + k] + (data[y1 + x1 + k] - data[y1 + x0 + k]) * dx;
        out.data[to + k] = upper + (lower - upper) * dy; // storing truncates, as Pillow does
      }
    }
  }
  return out;
}

/** Turns the image counter-clockwise by degrees about its centre, keeping its size (Pillow's `Image.rotate`). */
export function rotate(image: Raster, degrees: number, interpolation: WarpInterpolation, fill = 0): Raster {
  const { height, width } = image;
  const angle = -radians(((degrees % 360) + 360) % 360);
  const cos = roundTo15(Math.cos(angle));
  const sin = roundTo15(Math.sin(angle));
  const [x, y] = [width / 2, height / 2];
  return warp(image, [cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y], interpolation, fill);
}

/** So that right angles are exact. */
const roundTo15 = (v: number): number => Math.round(v * 1e15) / 1e15;
