import { ManabiError, ShapeError, showShape } from "../core/errors.ts";
import type { Shape } from "../core/shape.ts";
import { interpolate } from "../ops/resize.ts";
import { tensor } from "../ops/tensor.ts";

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

/** The same map in another size, bilinear between the centres of pixels, as PyTorch's `interpolate`. */
export async function resizeHeatmap(map: Heatmap, width: number, height: number): Promise<Heatmap> {
  const x = tensor(map.data, { shape: [1, 1, map.height, map.width] });
  const data = Float32Array.from(await interpolate(x, { size: [height, width], mode: "bilinear" }).data());
  return { width, height, data };
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
