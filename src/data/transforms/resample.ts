import type { Raster } from "./picture.ts";
import { raster } from "./picture.ts";

/** How pixels between pixels are computed. `bilinear` and `bicubic` widen when shrinking, so they do not alias. */
export type Interpolation = "nearest" | "bilinear" | "bicubic";

interface Kernel {
  /** Half of its width, in output pixels when shrinking and input pixels when enlarging. */
  readonly support: number;
  readonly weight: (x: number) => number;
}

const kernels: Record<Exclude<Interpolation, "nearest">, Kernel> = {
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, weight: (x) => cubic(Math.abs(x), -0.5) },
};

/** Keys' cubic convolution with free parameter `a` (1981). */
function cubic(x: number, a: number): number {
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

// Pillow rounds weights to 22 bits and every pass to a byte; doing the same makes results equal bit for bit.
const FRACTION_BITS = 22;
const HALF = 1 << (FRACTION_BITS - 1);

/** For every output pixel of one axis: its first input pixel, how many it reads, and their fixed-point weights. */
interface Taps {
  readonly first: Int32Array;
  readonly count: Int32Array;
  readonly weights: Int32Array; // [outputs, stride]
  readonly stride: number;
}

function taps(inputs: number, outputs: number, { support, weight }: Kernel): Taps {
  const scale = inputs / outputs;
  const widening = Math.max(1, scale);
  const reach = support * widening;
  const stride = Math.ceil(reach) * 2 + 1;
  const first = new Int32Array(outputs);
  const count = new Int32Array(outputs);
  const weights = new Int32Array(outputs * stride);
  const exact = new Float64Array(stride);
  for (let o = 0; o < outputs; o++) {
    const center = (o + 0.5) * scale;
    const from = Math.max(0, Math.trunc(center - reach + 0.5));
    const n = Math.min(inputs, Math.trunc(center + reach + 0.5)) - from;
    let sum = 0;
    for (let i = 0; i < n; i++) sum += exact[i] = weight((i + from - center + 0.5) / widening);
    for (let i = 0; i < n; i++) {
      const fixed = (sum === 0 ? exact[i] : exact[i] / sum) * (1 << FRACTION_BITS);
      weights[o * stride + i] = Math.trunc(fixed + (fixed < 0 ? -0.5 : 0.5));
    }
    first[o] = from;
    count[o] = n;
  }
  return { first, count, weights, stride };
}

function resampleRows(image: Raster, w: number, kernel: Kernel): Raster {
  const { height, width, channels } = image;
  const table = taps(width, w, kernel);
  const out = raster(height, w, channels);
  const bytes = new Uint8ClampedArray(out.data.buffer);
  for (let y = 0; y < height; y++) {
    const from = image.data.subarray(y * width * channels, (y + 1) * width * channels);
    const to = bytes.subarray(y * w * channels, (y + 1) * w * channels);
    if (channels === 3) resampleColours(from, to, table);
    else resampleLine(from, to, table, channels);
  }
  return out;
}

/** One line of any number of channels. */
function resampleLine(from: Uint8Array, to: Uint8ClampedArray, table: Taps, channels: number): void {
  const { first, count, weights, stride } = table;
  for (let x = 0; x < first.length; x++) {
    const end = x * stride + count[x];
    for (let c = 0; c < channels; c++) {
      let sum = HALF;
      for (let k = x * stride, at = first[x] * channels + c; k < end; k++, at += channels)
        sum = (sum + Math.imul(from[at], weights[k])) | 0;
      to[x * channels + c] = sum >> FRACTION_BITS;
    }
  }
}

/** `resampleLine` for three channels at once, which reads every weight only once. */
function resampleColours(from: Uint8Array, to: Uint8ClampedArray, { first, count, weights, stride }: Taps): void {
  for (let x = 0; x < first.length; x++) {
    const end = x * stride + count[x];
    let r = HALF;
    let g = HALF;
    let b = HALF;
    for (let k = x * stride, at = first[x] * 3; k < end; k++, at += 3) {
      const weight = weights[k];
      r = (r + Math.imul(from[at], weight)) | 0;
      g = (g + Math.imul(from[at + 1], weight)) | 0;
      b = (b + Math.imul(from[at + 2], weight)) | 0;
    }
    to[x * 3] = r >> FRACTION_BITS;
    to[x * 3 + 1] = g >> FRACTION_BITS;
    to[x * 3 + 2] = b >> FRACTION_BITS;
  }
}

function resampleColumns({ data, height, width, channels }: Raster, h: number, kernel: Kernel): Raster {
  const { first, count, weights, stride } = taps(height, h, kernel);
  const out = raster(h, width, channels);
  const bytes = new Uint8ClampedArray(out.data.buffer);
  const row = width * channels;
  for (let y = 0; y < h; y++) {
    const end = y * stride + count[y];
    for (let j = 0; j < row; j++) {
      let sum = HALF;
      for (let k = y * stride, at = first[y] * row + j; k < end; k++, at += row)
        sum = (sum + Math.imul(data[at], weights[k])) | 0;
      bytes[y * row + j] = sum >> FRACTION_BITS;
    }
  }
  return out;
}

function nearest({ data, height, width, channels }: Raster, h: number, w: number): Raster {
  const out = raster(h, w, channels);
  for (let y = 0; y < h; y++) {
    const sy = Math.floor(((y + 0.5) * height) / h);
    for (let x = 0; x < w; x++) {
      const from = (sy * width + Math.floor(((x + 0.5) * width) / w)) * channels;
      for (let c = 0; c < channels; c++) out.data[(y * w + x) * channels + c] = data[from + c];
    }
  }
  return out;
}

/** Resizes to h x w exactly; equal to Pillow's `Image.resize` bit for bit. */
export function resize(image: Raster, h: number, w: number, interpolation: Interpolation): Raster {
  if (interpolation === "nearest") return nearest(image, h, w);
  const kernel = kernels[interpolation];
  const narrowed = image.width === w ? image : resampleRows(image, w, kernel);
  return narrowed.height === h ? narrowed : resampleColumns(narrowed, h, kernel);
}

/** The size that has `side` as its shorter side and the shape of height x width (torchvision's rounding). */
export function shorterSide(height: number, width: number, side: number): [h: number, w: number] {
  return height <= width
    ? [side, Math.max(1, Math.trunc((side * width) / height))]
    : [Math.max(1, Math.trunc((side * height) / width)), side];
}
