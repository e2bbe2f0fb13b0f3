import { ManabiError } from "../../core/errors.ts";
import { gaussian } from "../blur.ts";
import type { Heatmap } from "../heatmap.ts";

/** Spearman's rank correlation, -1 to 1: Pearson's of the ranks, with the mean rank for equal values. 0 where one side is
 *  constant, since its order says nothing. */
export function rankCorrelation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length)
    throw new ManabiError(`rankCorrelation: ${a.length} values cannot be compared with ${b.length}`);
  const [x, y] = [ranks(a), ranks(b)];
  const mean = (a.length - 1) / 2;
  let [xy, xx, yy] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    const [dx, dy] = [x[i] - mean, y[i] - mean];
    xy += dx * dy;
    xx += dx * dx;
    yy += dy * dy;
  }
  return xx === 0 || yy === 0 ? 0 : xy / Math.sqrt(xx * yy);
}

/** Places in rising order, from 0; equal values share the mean of theirs. */
function ranks(values: ArrayLike<number>): Float64Array {
  const order = Uint32Array.from({ length: values.length }, (_, i) => i).sort((a, b) => values[a] - values[b]);
  const out = new Float64Array(values.length);
  for (let from = 0; from < order.length; ) {
    let to = from + 1;
    while (to < order.length && values[order[to]] === values[order[from]]) to++;
    for (let i = from; i < to; i++) out[order[i]] = (from + to - 1) / 2;
    from = to;
  }
  return out;
}

/**
 * Structural similarity of two maps (Wang et al. 2004), -1 to 1, after each has been stretched to 0 to 1: the mean over
 * all places of Gaussian windows of 11x11 pixels with deviation 1.5 that lie inside, with K1 = 0.01 and K2 = 0.03.
 */
export function structuralSimilarity(a: Heatmap, b: Heatmap): number {
  if (a.width !== b.width || a.height !== b.height)
    throw new ManabiError(
      `structuralSimilarity: maps of ${a.width}x${a.height} and ${b.width}x${b.height} have no common places`,
    );
  const radius = 5;
  if (Math.min(a.width, a.height) <= 2 * radius)
    throw new ManabiError(`structuralSimilarity: a map of ${a.width}x${a.height} is smaller than the window of 11x11`);
  const [x, y] = [stretched(a.data), stretched(b.data)];
  const window = (read: (i: number) => number) =>
    windowed(
      x.map((_, i) => read(i)),
      a.width,
      a.height,
      radius,
    );
  const [meanX, meanY] = [window((i) => x[i]), window((i) => y[i])];
  const [xx, yy, xy] = [window((i) => x[i] ** 2), window((i) => y[i] ** 2), window((i) => x[i] * y[i])];
  const [c1, c2] = [0.01 ** 2, 0.03 ** 2];
  const local = meanX.map((mx, i) => {
    const my = meanY[i];
    const [varX, varY, cov] = [xx[i] - mx * mx, yy[i] - my * my, xy[i] - mx * my];
    return ((2 * mx * my + c1) * (2 * cov + c2)) / ((mx * mx + my * my + c1) * (varX + varY + c2));
  });
  return local.reduce((sum, value) => sum + value, 0) / local.length;
}

/** Values from 0 to 1; zeros where all are equal. */
function stretched(values: Float32Array): Float64Array {
  const [low, high] = values.reduce(([l, h], v) => [Math.min(l, v), Math.max(h, v)], [Infinity, -Infinity]);
  return Float64Array.from(values, (value) => (high > low ? (value - low) / (high - low) : 0));
}

/** Gaussian means over windows inside: [height, width] -> [height - 2 radius, width - 2 radius]. */
function windowed(values: Float64Array, width: number, height: number, radius: number): Float64Array {
  const taps = gaussian(1.5, radius);
  const [w, h] = [width - 2 * radius, height - 2 * radius];
  const sum = (at: number, stride: number, from: Float64Array) =>
    taps.reduce((total, tap, k) => total + tap * from[at + k * stride], 0);
  const across = Float64Array.from({ length: height * w }, (_, i) =>
    sum(Math.floor(i / w) * width + (i % w), 1, values),
  );
  return Float64Array.from({ length: h * w }, (_, i) => sum(i, w, across));
}
