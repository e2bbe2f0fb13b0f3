import { ManabiError } from "../../core/errors.ts";
import type { Rng } from "../../core/rng.ts";
import type { Raster } from "./picture.ts";
import { raster } from "./picture.ts";

/** What lies outside an image when it is padded. */
export type PadMode = "constant" | "edge" | "reflect";

/** The index inside [0, n) that `i` stands for, or -1 for the constant fill. */
export function padIndex(i: number, n: number, mode: PadMode): number {
  if (i >= 0 && i < n) return i;
  if (mode === "constant") return -1;
  if (mode === "edge") return i < 0 ? 0 : n - 1;
  const period = 2 * (n - 1);
  const m = n === 1 ? 0 : ((i % period) + period) % period;
  return m < n ? m : period - m;
}

/** The window [top, top + h) x [left, left + w), which may reach over the border. */
export function crop(
  image: Raster,
  top: number,
  left: number,
  h: number,
  w: number,
  mode: PadMode = "constant",
  fill = 0,
): Raster {
  const { height, width, channels } = image;
  const out = raster(h, w, channels);
  const x0 = Math.min(w, Math.max(0, -left)); // columns [x0, x1) lie inside the image
  const x1 = Math.max(x0, Math.min(w, width - left));
  for (let y = 0; y < h; y++) {
    const sy = padIndex(top + y, height, mode);
    const to = y * w * channels;
    if (sy < 0) {
      out.data.fill(fill, to, to + w * channels);
      continue;
    }
    const row = sy * width;
    const padded = (x: number): void => {
      const sx = padIndex(left + x, width, mode);
      for (let c = 0; c < channels; c++)
        out.data[to + x * channels + c] = sx < 0 ? fill : image.data[(row + sx) * channels + c];
    };
    for (let x = 0; x < x0; x++) padded(x);
    out.data.set(image.data.subarray((row + left + x0) * channels, (row + left + x1) * channels), to + x0 * channels);
    for (let x = x1; x < w; x++) padded(x);
  }
  return out;
}

/** The middle h x w of the image, with zeros where the image is smaller (torchvision's rounding). */
export function centerCrop(image: Raster, h: number, w: number): Raster {
  const padTop = Math.max(0, Math.floor((h - image.height) / 2));
  const padLeft = Math.max(0, Math.floor((w - image.width) / 2));
  const top = image.height > h ? roundHalfEven((image.height - h) / 2) : -padTop;
  const left = image.width > w ? roundHalfEven((image.width - w) / 2) : -padLeft;
  return crop(image, top, left, h, w);
}

/** Python's `round` of a non-negative number: halves go to the even neighbour. */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  return x - floor === 0.5 ? floor + (floor & 1) : Math.round(x);
}

/** Top-left corner of a random h x w window of an image padded by `padding` on every side, in image coordinates. */
export function randomWindow(
  height: number,
  width: number,
  h: number,
  w: number,
  padding: number,
  rng: Rng,
): [top: number, left: number] {
  const rows = height + 2 * padding - h;
  const columns = width + 2 * padding - w;
  if (rows < 0 || columns < 0)
    throw new ManabiError(
      `randomCrop: a ${h}x${w} window does not fit in a ${height}x${width} image with padding ${padding}; resize first or pad more`,
    );
  return [rng.int(rows + 1) - padding, rng.int(columns + 1) - padding];
}

/** Mirrors left and right. */
export function flipHorizontal(image: Raster): Raster {
  const { height, width, channels, data } = image;
  const out = raster(height, width, channels);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < channels; c++)
        out.data[(y * width + x) * channels + c] = data[(y * width + width - 1 - x) * channels + c];
  return out;
}

/** Mirrors top and bottom. */
export function flipVertical(image: Raster): Raster {
  const { height, width, channels, data } = image;
  const out = raster(height, width, channels);
  const row = width * channels;
  for (let y = 0; y < height; y++) out.data.set(data.subarray((height - 1 - y) * row, (height - y) * row), y * row);
  return out;
}

/** The window that `randomResizedCrop` cuts out: random area and aspect ratio (torchvision's procedure). */
export function resizedWindow(
  { height, width }: Raster,
  scale: readonly [number, number],
  ratio: readonly [number, number],
  rng: Rng,
): [top: number, left: number, h: number, w: number] {
  for (let attempt = 0; attempt < 10; attempt++) {
    const area = height * width * rng.uniform(scale[0], scale[1]);
    const aspect = Math.exp(rng.uniform(Math.log(ratio[0]), Math.log(ratio[1])));
    const w = roundHalfEven(Math.sqrt(area * aspect));
    const h = roundHalfEven(Math.sqrt(area / aspect));
    if (w > 0 && w <= width && h > 0 && h <= height) return [rng.int(height - h + 1), rng.int(width - w + 1), h, w];
  }
  const aspect = width / height; // the largest centred window of an allowed ratio
  const w = aspect > ratio[1] ? roundHalfEven(height * ratio[1]) : width;
  const h = aspect < ratio[0] ? roundHalfEven(width / ratio[0]) : height;
  return [Math.floor((height - h) / 2), Math.floor((width - w) / 2), h, w];
}
