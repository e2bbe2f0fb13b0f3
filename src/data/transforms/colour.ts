import type { Raster } from "./picture.ts";
import { raster } from "./picture.ts";

const { fround } = Math;

/** ITU-R 601 luma of an RGB pixel, in Pillow's fixed point. */
const luma = (r: number, g: number, b: number): number => (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;

const clip = (v: number): number => (v <= 0 ? 0 : v >= 255 ? 255 : Math.trunc(v));

/** `from + factor * (to - from)` in f32, as Pillow blends. */
const blend = (from: number, to: number, factor: number): number =>
  clip(fround(from + fround(factor * fround(to - from))));

/** Every byte through a table, one for all channels or one per channel. */
function lookUp(image: Raster, tables: readonly Uint8Array[]): Raster {
  const { data, height, width, channels } = image;
  const out = raster(height, width, channels);
  for (let c = 0; c < channels; c++) {
    const table = tables[c % tables.length];
    for (let i = c; i < data.length; i += channels) out.data[i] = table[data[i]];
  }
  return out;
}

const table = (of: (v: number) => number): Uint8Array => Uint8Array.from({ length: 256 }, (_, v) => of(v));

/** The luma of every pixel, [height * width]. */
function lumas({ data, height, width, channels }: Raster): Uint8Array {
  if (channels !== 3) return Uint8Array.from({ length: height * width }, (_, i) => data[i * channels]);
  return Uint8Array.from({ length: height * width }, (_, i) => luma(data[3 * i], data[3 * i + 1], data[3 * i + 2]));
}

/** Grey with the given number of channels. */
export function grayscale(image: Raster, channels = image.channels): Raster {
  const grey = lumas(image);
  const out = raster(image.height, image.width, channels);
  for (let i = 0; i < out.data.length; i++) out.data[i] = grey[Math.floor(i / channels)];
  return out;
}

/** 0 is black, 1 the image itself. */
export const adjustBrightness = (image: Raster, factor: number): Raster =>
  lookUp(image, [table((v) => blend(0, v, fround(factor)))]);

/** 0 is the mean grey, 1 the image itself. */
export function adjustContrast(image: Raster, factor: number): Raster {
  const grey = lumas(image);
  const mean = Math.trunc(grey.reduce((a, b) => a + b, 0) / grey.length + 0.5);
  return lookUp(image, [table((v) => blend(mean, v, fround(factor)))]);
}

/** 0 is grey, 1 the image itself. Grey images stay as they are. */
export function adjustSaturation(image: Raster, factor: number): Raster {
  if (image.channels !== 3) return image;
  const grey = lumas(image);
  const out = raster(image.height, image.width, 3);
  const f = fround(factor);
  for (let i = 0; i < out.data.length; i++) out.data[i] = blend(grey[Math.floor(i / 3)], image.data[i], f);
  return out;
}

/** 0 is a slightly blurred image, 1 the image itself, 2 sharpened; the border stays as it is. */
export function adjustSharpness(image: Raster, factor: number): Raster {
  const { data, height, width, channels } = image;
  const out = raster(height, width, channels, data.slice());
  const f = fround(factor);
  const row = width * channels;
  for (let y = 1; y < height - 1; y++) {
    for (let i = y * row + channels; i < (y + 1) * row - channels; i++) {
      let sum = 4 * data[i];
      for (let dy = -row; dy <= row; dy += row) sum += data[i + dy - channels] + data[i + dy] + data[i + dy + channels];
      out.data[i] = blend(Math.floor(sum / 13 + 0.5), data[i], f);
    }
  }
  return out;
}

/** Turns the hue by `turns` of the colour circle, -0.5 to 0.5, in 8-bit HSV as Pillow has it. */
export function adjustHue(image: Raster, turns: number): Raster {
  if (image.channels !== 3) return image;
  const shift = Math.trunc(turns * 255);
  const { data } = image;
  const out = raster(image.height, image.width, 3);
  for (let i = 0; i < data.length; i += 3) {
    const [h, s, v] = toHsv(data[i], data[i + 1], data[i + 2]);
    const [r, g, b] = toRgb((h + shift) & 255, s, v);
    out.data[i] = r;
    out.data[i + 1] = g;
    out.data[i + 2] = b;
  }
  return out;
}

function toHsv(r: number, g: number, b: number): [h: number, s: number, v: number] {
  const max = Math.max(r, g, b);
  const range = max - Math.min(r, g, b);
  if (range === 0) return [0, 0, max];
  const rc = fround((max - r) / range);
  const gc = fround((max - g) / range);
  const bc = fround((max - b) / range);
  const sextant = r === max ? fround(bc - gc) : g === max ? fround(2 + rc - bc) : fround(4 + gc - rc);
  const h = fround((sextant / 6 + 1) % 1);
  return [clip(h * 255), clip(fround(range / max) * 255), max];
}

function toRgb(h: number, s: number, v: number): [r: number, g: number, b: number] {
  if (s === 0) return [v, v, v];
  const saturation = fround(s / 255);
  const position = fround((h * 6) / 255);
  const sextant = Math.floor(position);
  const f = fround(position - sextant);
  const p = clip(Math.round(v * (1 - saturation)));
  const q = clip(Math.round(v * (1 - saturation * f)));
  const t = clip(Math.round(v * (1 - saturation * (1 - f))));
  const cycle: [number, number, number][] = [
    [v, t, p],
    [q, v, p],
    [p, v, t],
    [p, q, v],
    [t, p, v],
    [v, p, q],
  ];
  return cycle[sextant % 6];
}

/** Keeps the `bits` highest bits of every byte. */
export const posterize = (image: Raster, bits: number): Raster =>
  lookUp(image, [table((v) => v & (255 << (8 - bits)))]);

/** Inverts bytes at or above `threshold`. */
export const solarize = (image: Raster, threshold: number): Raster =>
  lookUp(image, [table((v) => (v < threshold ? v : 255 - v))]);

function histograms({ data, channels }: Raster): number[][] {
  const counts = Array.from({ length: channels }, () => new Array<number>(256).fill(0));
  for (let i = 0; i < data.length; i++) counts[i % channels][data[i]]++;
  return counts;
}

/** Stretches every channel to the full range. */
export function autoContrast(image: Raster): Raster {
  const tables = histograms(image).map((histogram) => {
    const low = histogram.findIndex((n) => n > 0);
    const high = histogram.findLastIndex((n) => n > 0);
    const scale = 255 / (high - low);
    return table((v) => (high <= low ? v : clip(v * scale - low * scale)));
  });
  return lookUp(image, tables);
}

/** Makes every channel's histogram flat. */
export function equalize(image: Raster): Raster {
  const tables = histograms(image).map((histogram) => {
    const used = histogram.filter((n) => n > 0);
    const step = Math.floor((used.reduce((a, b) => a + b, 0) - used[used.length - 1]) / 255);
    if (used.length <= 1 || step === 0) return table((v) => v);
    let sum = step >> 1;
    return table((v) => {
      const level = Math.min(255, Math.floor(sum / step));
      sum += histogram[v];
      return level;
    });
  });
  return lookUp(image, tables);
}
