import type { HostArray } from "../core/dtype.ts";
import { ManabiError } from "../core/errors.ts";
import { labPixels, type Pixels, smooth } from "./pixels.ts";
import { numbered, type Segmentation } from "./segmentation.ts";

export interface QuickshiftOptions {
  /** How much colour counts against nearness; 0 to 1. */
  readonly ratio?: number;
  /** Deviation in pixels of the kernel that measures density: a larger one makes fewer superpixels. */
  readonly kernelSize?: number;
  /** Links longer than this are cut: a larger one makes fewer superpixels. */
  readonly maxDistance?: number;
  /** Deviation in pixels of a smoothing beforehand. */
  readonly sigma?: number;
}

/**
 * Superpixels by mode seeking: each pixel is linked to the nearest one of higher density in colour (CIELAB) and position,
 * and what hangs together over links up to `maxDistance` is a superpixel (quick shift, Vedaldi and Soatto 2008). From a
 * grey or RGB image, u8 [height, width, 1 or 3]. The same as scikit-image's `quickshift`, but for pixels of equal
 * density, among which the one that is read first counts as the denser, where scikit-image draws at random.
 */
export function quickshift(image: HostArray, options: QuickshiftOptions = {}): Segmentation {
  const { ratio = 1, kernelSize = 5, maxDistance = 10, sigma = 0 } = options;
  if (!(kernelSize >= 1)) throw new ManabiError(`quickshift: kernelSize is ${kernelSize}; it must be at least 1`);
  if (!(ratio >= 0)) throw new ManabiError(`quickshift: ratio is ${ratio}; it must not be below 0`);
  const lab = smooth(labPixels("quickshift", image), sigma);
  for (let i = 0; i < lab.data.length; i++) lab.data[i] *= ratio;
  const reach = Math.ceil(3 * kernelSize);
  const parents = links(lab, densities(lab, kernelSize, reach), reach, maxDistance);
  return numbered(roots(parents), lab.width, lab.height);
}

/** Sums of a Gaussian of the distance to the pixels of a square window, the pixel itself included. */
function densities({ width, height, data }: Pixels, kernelSize: number, reach: number): Float64Array {
  const density = new Float64Array(width * height).fill(1);
  const scale = -0.5 / kernelSize ** 2;
  for (let dy = 0; dy <= Math.min(reach, height - 1); dy++)
    for (let dx = dy === 0 ? 1 : -reach; dx <= reach; dx++) {
      const [left, right] = [Math.max(0, -dx), Math.min(width, width - dx)];
      for (let y = 0; y < height - dy; y++)
        for (let x = left; x < right; x++) {
          const p = y * width + x;
          const q = p + dy * width + dx;
          const dl = data[3 * p] - data[3 * q];
          const da = data[3 * p + 1] - data[3 * q + 1];
          const db = data[3 * p + 2] - data[3 * q + 2];
          const exponent = (dl * dl + da * da + db * db + dy * dy + dx * dx) * scale;
          if (exponent < -40) continue; // below the last digit of a density, which is at least 1
          const near = Math.exp(exponent);
          density[p] += near;
          density[q] += near;
        }
    }
  return density;
}

/** The nearest denser pixel of each pixel within the window, or the pixel itself where that is farther than the limit. */
function links({ width, height, data }: Pixels, density: Float64Array, reach: number, limit: number): Int32Array {
  const { dys, dxs, squares } = byDistance(reach);
  const parents = new Int32Array(width * height);
  for (let y = 0, p = 0; y < height; y++)
    for (let x = 0; x < width; x++, p++) {
      let [parent, closest] = [p, Number.POSITIVE_INFINITY];
      for (let i = 0; i < squares.length; i++) {
        const apart = squares[i];
        if (apart > closest) break; // colour can only add to it
        const dy = dys[i];
        const dx = dxs[i];
        if (x + dx < 0 || x + dx >= width || y + dy < 0 || y + dy >= height) continue;
        const q = p + dy * width + dx;
        if (density[q] < density[p] || (density[q] === density[p] && q > p)) continue;
        const dl = data[3 * p] - data[3 * q];
        const da = data[3 * p + 1] - data[3 * q + 1];
        const db = data[3 * p + 2] - data[3 * q + 2];
        const distance = dl * dl + da * da + db * db + apart;
        if (distance < closest || (distance === closest && q < parent)) [parent, closest] = [q, distance];
      }
      parents[p] = Math.sqrt(closest) > limit ? p : parent;
    }
  return parents;
}

interface Offsets {
  readonly dys: Int32Array;
  readonly dxs: Int32Array;
  /** Squares of the distances. */
  readonly squares: Int32Array;
}

/** Places of a square window without its middle, the nearest first. */
function byDistance(reach: number): Offsets {
  const side = 2 * reach + 1;
  const places = Array.from({ length: side ** 2 }, (_, i) => [Math.floor(i / side) - reach, (i % side) - reach])
    .sort(([ay, ax], [by, bx]) => ay ** 2 + ax ** 2 - by ** 2 - bx ** 2)
    .slice(1);
  return {
    dys: Int32Array.from(places, ([dy]) => dy),
    dxs: Int32Array.from(places, ([, dx]) => dx),
    squares: Int32Array.from(places, ([dy, dx]) => dy ** 2 + dx ** 2),
  };
}

/** The end of the chain of links from each pixel. */
function roots(parents: Int32Array): Int32Array {
  const found = new Int32Array(parents.length);
  for (let p = 0; p < parents.length; p++) {
    let root = p;
    while (parents[root] !== root) root = parents[root];
    for (let q = p; parents[q] !== root; ) {
      const next = parents[q];
      parents[q] = root;
      q = next;
    }
    found[p] = root;
  }
  return found;
}
