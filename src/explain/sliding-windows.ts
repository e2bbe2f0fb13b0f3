import { ManabiError } from "../core/errors.ts";

/** A rectangle of pixels; bottom and right are behind the last one. */
export interface Window {
  readonly top: number;
  readonly bottom: number;
  readonly left: number;
  readonly right: number;
}

type Pair = number | readonly [down: number, across: number];

/** Windows that slide over an image, row by row; the last ones of rows and columns end with the image. */
export function slidingWindows(height: number, width: number, window?: Pair, stride?: Pair): Window[] {
  const size = both(window ?? [Math.ceil(height / 8), Math.ceil(width / 8)]);
  const step = both(stride ?? [Math.ceil(size[0] / 2), Math.ceil(size[1] / 2)]);
  const rows = along(height, size[0], step[0]);
  const columns = along(width, size[1], step[1]);
  return rows.flatMap(([top, bottom]) => columns.map(([left, right]) => ({ top, bottom, left, right })));
}

const both = (pair: Pair): readonly [number, number] => (typeof pair === "number" ? [pair, pair] : pair);

function along(length: number, size: number, step: number): [start: number, end: number][] {
  if (!Number.isInteger(size) || size < 1 || size > length)
    throw new ManabiError(`window: ${size} pixels do not fit an image of ${length}; it is an integer from 1 to that`);
  if (!Number.isInteger(step) || step < 1 || step > size)
    throw new ManabiError(
      `stride: ${step} with windows of ${size} pixels; it is an integer from 1 to the window's size, so that every pixel is covered`,
    );
  const count = Math.ceil((length - size) / step) + 1;
  return Array.from({ length: count }, (_, i) => [i * step, Math.min(length, i * step + size)]);
}

/** For each pixel the mean of the values of the windows that hold it, [height, width]. */
export function meanOverWindows(
  windows: readonly Window[],
  values: ArrayLike<number>,
  height: number,
  width: number,
): Float64Array<ArrayBuffer> {
  const sums = new Float64Array(height * width);
  const counts = new Float64Array(height * width);
  for (const [i, { top, bottom, left, right }] of windows.entries())
    for (let y = top; y < bottom; y++)
      for (let p = y * width + left; p < y * width + right; p++) {
        sums[p] += values[i];
        counts[p]++;
      }
  return sums.map((sum, p) => sum / counts[p]);
}
