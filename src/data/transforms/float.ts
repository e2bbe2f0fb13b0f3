import { ManabiError } from "../../core/errors.ts";
import type { Rng } from "../../core/rng.ts";
import type { Picture, Planes, Raster } from "./picture.ts";
import { planes } from "./picture.ts";

/** Mean and standard deviation per channel, on the scale where white is 1. */
export interface Scaling {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

const tables = new WeakMap<Scaling, Float32Array>();
const identities = new Map<number, Scaling>();

/** The scaling that changes nothing. */
function identity(channels: number): Scaling {
  const known = identities.get(channels);
  if (known) return known;
  const made = { mean: new Array<number>(channels).fill(0), std: new Array<number>(channels).fill(1) };
  identities.set(channels, made);
  return made;
}

function checkChannels(channels: number, { mean, std }: Scaling): void {
  if (mean.length !== channels || std.length !== channels)
    throw new ManabiError(
      `normalize: mean has ${mean.length} and std ${std.length} values, the image has ${channels} channels`,
    );
}

/** The f32 value of every byte in every channel, `(v / 255 - mean) / std`, as [channels * 256]; null scales to [0, 1]. */
export function byteTable(channels: number, scaling: Scaling | null): Float32Array {
  const used = scaling ?? identity(channels);
  checkChannels(channels, used);
  const known = tables.get(used);
  if (known) return known;
  const { mean, std } = used;
  const table = Float32Array.from({ length: channels * 256 }, (_, i) => ((i & 255) / 255 - mean[i >> 8]) / std[i >> 8]);
  tables.set(used, table);
  return table;
}

/** u8 [h, w, c] to f32 [c, h, w] in [0, 1]; planes stay as they are. */
export const toFloat = (picture: Picture): Planes => (picture.kind === "planes" ? picture : scaleBytes(picture, null));

/** `(x - mean) / std` per channel, where the bytes of a raster first become x in [0, 1]. */
export function normalize(picture: Picture, scaling: Scaling): Planes {
  if (picture.kind === "raster") return scaleBytes(picture, scaling);
  const { height, width, channels, data } = picture;
  checkChannels(channels, scaling);
  const out = planes(height, width, channels);
  const area = height * width;
  for (let c = 0; c < channels; c++)
    for (let p = c * area; p < (c + 1) * area; p++) out.data[p] = (data[p] - scaling.mean[c]) / scaling.std[c];
  return out;
}

function scaleBytes({ height, width, channels, data }: Raster, scaling: Scaling | null): Planes {
  const table = byteTable(channels, scaling);
  const out = planes(height, width, channels);
  const area = height * width;
  for (let c = 0; c < channels; c++)
    for (let p = 0, from = c, to = c * area; p < area; p++, from += channels)
      out.data[to + p] = table[c * 256 + data[from]];
  return out;
}

/** What `randomErasing` paints over. */
export interface ErasingRange {
  readonly scale: readonly [number, number];
  readonly ratio: readonly [number, number];
  readonly value: number | "random";
}

/** Paints a random rectangle (Zhong et al. 2017); `random` fills planes with normal noise and rasters with bytes. */
export function erase(picture: Picture, { scale, ratio, value }: ErasingRange, rng: Rng): Picture {
  const { height, width } = picture;
  for (let attempt = 0; attempt < 10; attempt++) {
    const area = height * width * rng.uniform(scale[0], scale[1]);
    const aspect = Math.exp(rng.uniform(Math.log(ratio[0]), Math.log(ratio[1])));
    const h = Math.round(Math.sqrt(area * aspect));
    const w = Math.round(Math.sqrt(area / aspect));
    if (h >= height || w >= width) continue;
    return fill(picture, rng.int(height - h + 1), rng.int(width - w + 1), h, w, value, rng);
  }
  return picture;
}

/** Paints a square of `size`, centred anywhere in the picture and clipped by its border (DeVries and Taylor 2017). */
export function cutout(picture: Picture, size: number, value: number, rng: Rng): Picture {
  const top = rng.int(picture.height) - (size >> 1);
  const left = rng.int(picture.width) - (size >> 1);
  const y0 = Math.max(0, top);
  const x0 = Math.max(0, left);
  const y1 = Math.min(picture.height, top + size);
  const x1 = Math.min(picture.width, left + size);
  return fill(picture, y0, x0, y1 - y0, x1 - x0, value, rng);
}

function fill(
  picture: Picture,
  top: number,
  left: number,
  h: number,
  w: number,
  value: number | "random",
  rng: Rng,
): Picture {
  const { height, width, channels } = picture;
  const isRaster = picture.kind === "raster";
  const noise = isRaster ? () => rng.int(256) : () => rng.normal();
  const data = picture.data.slice();
  for (let c = 0; c < channels; c++)
    for (let y = top; y < top + h; y++)
      for (let x = left; x < left + w; x++) {
        const at = isRaster ? (y * width + x) * channels + c : (c * height + y) * width + x;
        data[at] = value === "random" ? noise() : value;
      }
  return data instanceof Uint8Array ? { ...picture, kind: "raster", data } : { ...picture, kind: "planes", data };
}
