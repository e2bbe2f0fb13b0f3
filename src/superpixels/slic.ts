import type { HostArray } from "../core/dtype.ts";
import { ManabiError } from "../core/errors.ts";
import { labPixels, type Pixels, smooth } from "./pixels.ts";
import { numbered, type Segmentation } from "./segmentation.ts";

export interface SlicOptions {
  /** About how many superpixels there should be. */
  readonly segments?: number;
  /** How much nearness counts against colour: at 40 superpixels are nearly squares, at 1 they follow every edge. */
  readonly compactness?: number;
  /** Rounds of k-means at most. */
  readonly iterations?: number;
  /** Deviation in pixels of a smoothing beforehand. */
  readonly sigma?: number;
  /** Pieces of less than this share of a mean superpixel join a neighbour. */
  readonly minSize?: number;
  /** Pieces of more than this many mean superpixels are cut. */
  readonly maxSize?: number;
}

/**
 * Superpixels of nearly equal size by k-means in colour (CIELAB of the image stretched to full contrast) and position,
 * each centre being compared with the pixels around it only; then every piece that hangs together becomes a superpixel
 * of its own, and the small ones join a neighbour (SLIC, Achanta et al. 2012). From a grey or RGB image, u8 [height,
 * width, 1 or 3]. The same as scikit-image's `slic`.
 */
export function slic(image: HostArray, options: SlicOptions = {}): Segmentation {
  const { segments = 100, compactness = 10, iterations = 10, sigma = 0, minSize = 0.5, maxSize = 3 } = options;
  if (!(segments >= 1)) throw new ManabiError(`slic: segments is ${segments}; ask for at least one`);
  if (!(compactness > 0)) throw new ManabiError(`slic: compactness is ${compactness}; it must be above 0`);
  const lab = smooth(labPixels("slic", image, true), sigma);
  const { width, height } = lab;
  for (let i = 0; i < lab.data.length; i++) lab.data[i] *= 1 / compactness;
  const grid = regularGrid(height, width, segments);
  const centres = firstCentres(height, width, grid);
  const clusters = cluster(lab, centres, Math.max(grid.y.step, grid.x.step), iterations);
  const size = (width * height) / centres.length;
  const limits = [Math.floor(minSize * size), Math.max(1, Math.floor(maxSize * size))] as const;
  return numbered(connected(clusters, width, height, limits), width, height);
}

interface Spacing {
  readonly start: number;
  readonly step: number;
}

/** Where to put about `count` points evenly on an image; a side shorter than their distance gets one in its middle. */
function regularGrid(height: number, width: number, count: number): { readonly y: Spacing; readonly x: Spacing } {
  if (height * width <= count) return { y: { start: 0, step: 1 }, x: { start: 0, step: 1 } };
  const step = Math.sqrt((height * width) / count);
  const [short, long] = [Math.min(height, width), Math.max(height, width)];
  const [alongShort, alongLong] = short < step ? [short, long / count] : [step, step];
  const spacing = (distance: number): Spacing => ({ start: Math.floor(distance / 2), step: roundEven(distance) });
  return height <= width
    ? { y: spacing(alongShort), x: spacing(alongLong) }
    : { y: spacing(alongLong), x: spacing(alongShort) };
}

function roundEven(value: number): number {
  const down = Math.floor(value);
  return value - down === 0.5 ? down + (down % 2) : Math.round(value);
}

/** A point of colour and position. */
type Centre = Float64Array; // [y, x, lightness, a, b]

function firstCentres(height: number, width: number, { y, x }: ReturnType<typeof regularGrid>): Centre[] {
  const centres: Centre[] = [];
  for (let row = y.start; row < height; row += y.step)
    for (let column = x.start; column < width; column += x.step) centres.push(Float64Array.of(row, column, 0, 0, 0));
  return centres;
}

/** k-means: moves the centres and returns the one of each pixel. */
function cluster(lab: Pixels, centres: readonly Centre[], step: number, iterations: number): Int32Array {
  const { width, height } = lab;
  const { y, x } = regularGrid(height, width, centres.length);
  const labels = new Int32Array(width * height);
  const distances = new Float64Array(width * height);
  for (let i = 0; i < iterations; i++) {
    distances.fill(Number.POSITIVE_INFINITY);
    let changed = false;
    for (const [k, centre] of centres.entries())
      if (assign(lab, centre, k, [2 * y.step, 2 * x.step], 1 / step ** 2, labels, distances)) changed = true;
    if (!changed) break;
    move(lab, centres, labels);
  }
  return labels;
}

/** Gives pixels around a centre to it where it is nearer than those before it, and tells whether there were any. */
function assign(
  { width, height, data }: Pixels,
  [cy, cx, lightness, a, b]: Centre,
  k: number,
  [reachY, reachX]: readonly [number, number],
  spatial: number,
  labels: Int32Array,
  distances: Float64Array,
): boolean {
  const [top, bottom] = [Math.trunc(Math.max(cy - reachY, 0)), Math.trunc(Math.min(cy + reachY + 1, height))];
  const [left, right] = [Math.trunc(Math.max(cx - reachX, 0)), Math.trunc(Math.min(cx + reachX + 1, width))];
  let changed = false;
  for (let y = top; y < bottom; y++)
    for (let x = left; x < right; x++) {
      const p = y * width + x;
      const dl = data[3 * p] - lightness;
      const da = data[3 * p + 1] - a;
      const db = data[3 * p + 2] - b;
      const distance = ((cy - y) * (cy - y) + (cx - x) * (cx - x)) * spatial + (dl * dl + da * da + db * db);
      if (distance < distances[p]) {
        distances[p] = distance;
        labels[p] = k;
        changed = true;
      }
    }
  return changed;
}

/** Moves each centre to the mean of its pixels. One without pixels becomes NaN, which is near to nothing: it is gone. */
function move({ width, height, data }: Pixels, centres: readonly Centre[], labels: Int32Array): void {
  const sizes = new Int32Array(centres.length);
  for (const centre of centres) centre.fill(0);
  for (let y = 0, p = 0; y < height; y++)
    for (let x = 0; x < width; x++, p++) {
      const centre = centres[labels[p]];
      sizes[labels[p]]++;
      centre[0] += y;
      centre[1] += x;
      for (let c = 0; c < 3; c++) centre[2 + c] += data[3 * p + c];
    }
  for (const [k, centre] of centres.entries()) for (let i = 0; i < centre.length; i++) centre[i] /= sizes[k];
}

/**
 * Cuts clusters into pieces that hang together over the edges of pixels. They are found in reading order, each by a
 * breadth-first search that ends at the largest size; one below the smallest size goes to the piece found before it that
 * the search touched last. Returns the number of each pixel's piece.
 */
function connected(
  clusters: Int32Array,
  width: number,
  height: number,
  [least, most]: readonly [least: number, most: number],
): Int32Array {
  const pieces = new Int32Array(clusters.length).fill(-1);
  const queue = new Int32Array(most);
  let piece = 0;
  for (let start = 0; start < clusters.length; start++) {
    if (pieces[start] >= 0) continue;
    let neighbour = piece;
    let size = 1;
    queue[0] = start;
    pieces[start] = piece;
    for (let i = 0; i < size && size < most; i++) {
      const p = queue[i];
      const x = p % width;
      for (let side = 0; side < 4 && size < most; side++) {
        const q = side === 0 ? p + 1 : side === 1 ? p - 1 : side === 2 ? p + width : p - width;
        const outside = side === 0 ? x === width - 1 : side === 1 ? x === 0 : q < 0 || q >= width * height;
        if (outside) continue;
        if (pieces[q] < 0 && clusters[q] === clusters[start]) {
          pieces[q] = piece;
          queue[size++] = q;
        } else if (pieces[q] >= 0 && pieces[q] !== piece) neighbour = pieces[q];
      }
    }
    if (size >= least) piece++;
    else for (let i = 0; i < size; i++) pieces[queue[i]] = neighbour;
  }
  return pieces;
}
