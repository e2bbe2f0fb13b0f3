import type { HostArray } from "../core/dtype.ts";
import { ManabiError } from "../core/errors.ts";
import { type Pixels, smooth, unitPixels } from "./pixels.ts";
import { numbered, type Segmentation } from "./segmentation.ts";

export interface FelzenszwalbOptions {
  /** The paper's k for colours from 0 to 255: how much a difference between regions must exceed those inside of them,
   *  the more the smaller they are. A larger one makes larger regions. */
  readonly scale?: number;
  /** Deviation in pixels of the smoothing beforehand. */
  readonly sigma?: number;
  /** Pixels of the smallest region; smaller ones join the neighbour that is most alike. */
  readonly minSize?: number;
}

/**
 * Regions by merging along the edges of the graph of neighbouring pixels (eight each), the most alike first: two regions
 * become one unless they differ by more than the largest difference on the spanning tree of either, plus scale by its
 * size (Felzenszwalb and Huttenlocher 2004). From a grey or RGB image, u8 [height, width, 1 or 3]. The same as
 * scikit-image's `felzenszwalb`, whose `scale` is 1 where it is not given.
 */
export function felzenszwalb(image: HostArray, options: FelzenszwalbOptions = {}): Segmentation {
  const { scale = 100, sigma = 0.8, minSize = 20 } = options;
  if (!(scale >= 0)) throw new ManabiError(`felzenszwalb: scale is ${scale}; it must not be below 0`);
  const pixels = smooth(unitPixels("felzenszwalb", image), sigma);
  const { width, height } = pixels;
  const edges = neighbours(pixels);
  const order = ascending(edges.costs);
  const regions = new Regions(width * height);
  const threshold = scale / 255;
  for (const e of order) {
    const [a, b] = [regions.find(edges.from[e]), regions.find(edges.to[e])];
    if (a === b) continue;
    const { inner, sizes } = regions;
    const cost = edges.costs[e];
    if (cost < Math.min(inner[a] + threshold / sizes[a], inner[b] + threshold / sizes[b])) regions.join(a, b, cost);
  }
  for (const e of order) {
    const [a, b] = [regions.find(edges.from[e]), regions.find(edges.to[e])];
    if (a !== b && Math.min(regions.sizes[a], regions.sizes[b]) < minSize) regions.join(a, b, edges.costs[e]);
  }
  const marks = Int32Array.from({ length: width * height }, (_, p) => regions.find(p));
  return numbered(marks, width, height);
}

/** A forest of pixels (union-find); what is known of a region is kept at its root. */
class Regions {
  readonly #parents: Int32Array;
  readonly sizes: Int32Array;
  /** The largest difference on the spanning tree. */
  readonly inner: Float64Array;

  constructor(count: number) {
    this.#parents = Int32Array.from({ length: count }, (_, p) => p);
    this.sizes = new Int32Array(count).fill(1);
    this.inner = new Float64Array(count);
  }

  find(p: number): number {
    const parents = this.#parents;
    while (parents[p] !== p) p = parents[p] = parents[parents[p]];
    return p;
  }

  join(a: number, b: number, cost: number): void {
    const [root, other] = this.sizes[a] < this.sizes[b] ? [b, a] : [a, b];
    this.#parents[other] = root;
    this.sizes[root] += this.sizes[other];
    this.inner[root] = cost;
  }
}

interface Edges {
  readonly from: Int32Array;
  readonly to: Int32Array;
  /** Euclidean distances of colours. */
  readonly costs: Float64Array;
}

/** The edges between pixels that touch by a side or a corner. */
function neighbours({ width, height, channels, data }: Pixels): Edges {
  const count = (width - 1) * height + width * (height - 1) + 2 * (width - 1) * (height - 1);
  const edges = { from: new Int32Array(count), to: new Int32Array(count), costs: new Float64Array(count) };
  let e = 0;
  for (const [dx, dy] of [
    [1, 0],
    [0, 1],
    [1, 1],
    [-1, 1],
  ])
    for (let y = 0; y < height - dy; y++)
      for (let x = Math.max(0, -dx); x < Math.min(width, width - dx); x++, e++) {
        const p = y * width + x;
        const q = p + dy * width + dx;
        let sum = 0;
        for (let c = 0; c < channels; c++) {
          const difference = data[q * channels + c] - data[p * channels + c];
          sum += difference * difference;
        }
        edges.from[e] = p;
        edges.to[e] = q;
        edges.costs[e] = Math.sqrt(sum);
      }
  return edges;
}

/** The order of numbers by size, equal ones as they stand. The numbers alone are sorted, which is many times faster than
 *  with a comparison, and each then looks up its place. */
function ascending(values: Float64Array): Uint32Array {
  const sorted = values.slice().sort();
  const order = new Uint32Array(values.length);
  const taken = new Uint32Array(values.length); // of the places of equal numbers, kept at the first of them
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    let [low, high] = [0, sorted.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (sorted[middle] < value) low = middle + 1;
      else high = middle;
    }
    order[low + taken[low]++] = i;
  }
  return order;
}
