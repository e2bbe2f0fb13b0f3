import { ManabiError, ShapeError, showShape } from "../core/errors.ts";
import type { Shape } from "../core/shape.ts";

/** How much each pixel of an image matters, rows from the top. Positive speaks for what is explained, negative against. */
export interface Heatmap {
  readonly width: number;
  readonly height: number;
  /** [height, width] */
  readonly data: Float32Array<ArrayBuffer>;
}

/** Maps of one size that lie one after the other: [n, height, width]. */
export function splitHeatmaps(data: ArrayLike<number>, height: number, width: number): Heatmap[] {
  const values = Float32Array.from(data);
  const area = height * width;
  return Array.from({ length: values.length / area }, (_, i) => ({
    ...{ width, height },
    data: values.slice(i * area, (i + 1) * area),
  }));
}

/** A heat map of another size by bilinear interpolation between the centres of its pixels, as `align_corners=False`. */
export function resizeHeatmap(map: Heatmap, width: number, height: number): Heatmap {
  if (map.width === width && map.height === height) return map;
  const [across, down] = [samplePoints(map.width, width), samplePoints(map.height, height)];
  const data = new Float32Array(width * height);
  for (const [y, [top, bottom, dy]] of down.entries())
    for (const [x, [left, right, dx]] of across.entries()) {
      const row = (r: number) => (1 - dx) * map.data[r * map.width + left] + dx * map.data[r * map.width + right];
      data[y * width + x] = (1 - dy) * row(top) + dy * row(bottom);
    }
  return { width, height, data };
}

/** For each of `to` pixels the two of `from` pixels it lies between and how far it is on the way to the second. */
function samplePoints(from: number, to: number): [before: number, after: number, share: number][] {
  return Array.from({ length: to }, (_, i) => {
    const at = Math.min(from - 1, Math.max(0, ((i + 0.5) * from) / to - 0.5));
    const before = Math.floor(at);
    return [before, Math.min(from - 1, before + 1), at - before];
  });
}

/** How the numbers of a pixel's channels become one. */
export type ChannelReduction = "sum" | "largest";

/**
 * What methods say about every value of images [n, c, h, w] as a map for each image. "sum" keeps the sign, and the sum
 * over all pixels; "largest" is the largest magnitude among the channels, as in Simonyan et al. 2014.
 */
export function channelHeatmaps(
  { shape, values }: { readonly shape: Shape; readonly values: ArrayLike<number> },
  channels: ChannelReduction = "sum",
): Heatmap[] {
  if (shape.length !== 4)
    throw new ShapeError(
      `channelHeatmaps: the values must be those of images [n, c, h, w], they are ${showShape(shape)}`,
    );
  if (channels !== "sum" && channels !== "largest")
    throw new ManabiError(`channelHeatmaps: channels is "sum" or "largest", got ${JSON.stringify(channels)}`);
  const [n, depth, height, width] = shape;
  const area = height * width;
  const merge =
    channels === "sum" ? (a: number, b: number) => a + b : (a: number, b: number) => Math.max(a, Math.abs(b));
  const maps = new Float64Array(n * area);
  for (let i = 0; i < n; i++)
    for (let c = 0; c < depth; c++)
      for (let p = 0; p < area; p++) maps[i * area + p] = merge(maps[i * area + p], values[(i * depth + c) * area + p]);
  return splitHeatmaps(maps, height, width);
}
