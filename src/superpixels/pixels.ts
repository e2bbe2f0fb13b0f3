import type { HostArray } from "../core/dtype.ts";
import { ManabiError, showShape } from "../core/errors.ts";

/** An image as numbers, channels interleaved. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  /** [height, width, channels] */
  readonly data: Float64Array<ArrayBuffer>;
}

/** Throws where an image is not u8 [height, width, channels] of one channel or three. */
function checkImage(name: string, { dtype, shape }: HostArray): void {
  const [height, width, channels] = shape;
  if (dtype === "u8" && shape.length === 3 && height * width > 0 && (channels === 1 || channels === 3)) return;
  throw new ManabiError(
    `${name}: expected a grey or RGB image, u8 [height, width, 1 or 3], as decodeImage returns it; this one is ${dtype} ${showShape(shape)}`,
  );
}

/** Bytes as numbers from 0 to 1. */
export function unitPixels(name: string, image: HostArray): Pixels {
  checkImage(name, image);
  const [height, width, channels] = image.shape;
  return { height, width, channels, data: Float64Array.from(image.data, (value) => value / 255) };
}

/** Rows of linear RGB to XYZ with the white point D65 (CIE 1931, two degrees), divided by that white. */
const toXyz = [
  [0.412453 / 0.95047, 0.35758 / 0.95047, 0.180423 / 0.95047],
  [0.212671, 0.71516, 0.072169],
  [0.019334 / 1.08883, 0.119193 / 1.08883, 0.950227 / 1.08883],
] as const;

/** The cube root of CIELAB, which is a line near black. */
const root = (t: number): number => (t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116);

/**
 * sRGB to CIELAB: lightness from 0 to 100 and two opponent colours, in which distances are roughly what the eye sees.
 * Grey images are taken as RGB ones. `stretched` first brings the darkest byte to 0 and the brightest one to 1.
 */
export function labPixels(name: string, image: HostArray, stretched = false): Pixels {
  checkImage(name, image);
  const [height, width, channels] = image.shape;
  const bytes = image.data;
  const linear = linearLight(...(stretched ? rangeOf(bytes) : ([0, 255] as const)));
  const data = new Float64Array(height * width * 3);
  const [g, b] = channels === 1 ? [0, 0] : [1, 2];
  for (let from = 0, to = 0; to < data.length; from += channels, to += 3) {
    const [red, green, blue] = [linear[bytes[from]], linear[bytes[from + g]], linear[bytes[from + b]]];
    const x = root(toXyz[0][0] * red + toXyz[0][1] * green + toXyz[0][2] * blue);
    const y = root(toXyz[1][0] * red + toXyz[1][1] * green + toXyz[1][2] * blue);
    const z = root(toXyz[2][0] * red + toXyz[2][1] * green + toXyz[2][2] * blue);
    data[to] = 116 * y - 16;
    data[to + 1] = 500 * (x - y);
    data[to + 2] = 200 * (y - z);
  }
  return { height, width, channels: 3, data };
}

function rangeOf(bytes: ArrayLike<number>): readonly [low: number, high: number] {
  let [low, high] = [255, 0];
  for (let i = 0; i < bytes.length; i++) {
    low = Math.min(low, bytes[i]);
    high = Math.max(high, bytes[i]);
  }
  return [low, high];
}

/** The linear light of each byte from `low` to `high` (IEC 61966-2-1), as if these were 0 and 255. */
function linearLight(low: number, high: number): Float64Array {
  const range = high > low ? (high - low) / 255 : 1;
  return Float64Array.from({ length: 256 }, (_, byte) => {
    const v = Math.min(1, Math.max(0, (byte / 255 - low / 255) / range));
    return v > 0.04045 ? ((v + 0.055) / 1.055) ** 2.4 : v / 12.92;
  });
}

/** Gaussian smoothing along both axes with a window of four deviations, edges mirrored; `sigma` in pixels, 0 for none. */
export function smooth(pixels: Pixels, sigma: number): Pixels {
  if (!(sigma >= 0)) throw new ManabiError(`sigma is ${sigma}; it is a deviation in pixels, 0 for no smoothing`);
  if (sigma === 0) return pixels;
  const { height, width, channels, data } = pixels;
  const weights = gaussian(sigma);
  const columns = new Float64Array(data.length);
  for (let x = 0; x < width * channels; x++) smoothLine(data, columns, x, width * channels, height, weights);
  const both = new Float64Array(data.length);
  for (let y = 0; y < height; y++)
    for (let c = 0; c < channels; c++) smoothLine(columns, both, y * width * channels + c, channels, width, weights);
  return { height, width, channels, data: both };
}

/** Half of a normalized window: the middle and what follows it. */
function gaussian(sigma: number): Float64Array {
  const radius = Math.floor(4 * sigma + 0.5);
  const values = Float64Array.from({ length: radius + 1 }, (_, i) => Math.exp((-0.5 * i * i) / sigma ** 2));
  const sum = 2 * values.reduce((a, b) => a + b, 0) - 1;
  return values.map((value) => value / sum);
}

/** Smooths `length` numbers of `from`, the first at `start` and `stride` apart, into the same places of `to`. */
function smoothLine(
  from: Float64Array,
  to: Float64Array,
  start: number,
  stride: number,
  length: number,
  weights: Float64Array,
): void {
  const radius = weights.length - 1;
  const padded = new Float64Array(length + 2 * radius);
  for (let i = 0; i < padded.length; i++) padded[i] = from[start + mirrored(i - radius, length) * stride];
  for (let i = 0; i < length; i++) {
    let sum = padded[i + radius] * weights[0];
    for (let d = radius; d > 0; d--) sum += (padded[i + radius - d] + padded[i + radius + d]) * weights[d];
    to[start + i * stride] = sum;
  }
}

/** The index within 0 .. length - 1 whose mirror image, with the edge repeated, `i` is. */
function mirrored(i: number, length: number): number {
  const at = ((i % (2 * length)) + 2 * length) % (2 * length);
  return at < length ? at : 2 * length - 1 - at;
}
