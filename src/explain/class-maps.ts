import { interpolate } from "../ops/resize.ts";
import type { Tensor } from "../ops/tensor.ts";
import { readFinite } from "./gradients.ts";
import { type Heatmap, splitHeatmaps } from "./heatmap.ts";
import { type Explained, joinAnswers } from "./scalar.ts";

/** What weighted feature maps say about images: a map for each of them. */
export interface ClassMaps extends Explained {
  /** As large as the images. */
  readonly heatmaps: readonly Heatmap[];
  /** As large as the feature maps. */
  readonly maps: readonly Heatmap[];
  /** The key of the layer whose feature maps were weighted; null for those that are averaged before the head. */
  readonly layer: string | null;
}

/** Maps [n, 1, h, w], and as large as images x. */
export const scaledUp = (small: Tensor, x: Tensor): { readonly small: Tensor; readonly large: Tensor } => ({
  small,
  large: interpolate(small, { size: x.shape.slice(2), mode: "bilinear" }),
});

/** The maps of images of which the first has the number `first`. */
export async function readMaps(
  small: Tensor,
  large: Tensor,
  first: number,
): Promise<Pick<ClassMaps, "maps" | "heatmaps">> {
  const split = async (t: Tensor) => splitHeatmaps(await readFinite(t, first), t.shape[2], t.shape[3]);
  return { maps: await split(small), heatmaps: await split(large) };
}

/** The maps of the parts of a batch. */
export const joinMaps = (parts: readonly ClassMaps[]): ClassMaps => ({
  ...joinAnswers(parts),
  layer: parts[0].layer,
  maps: parts.flatMap(({ maps }) => maps),
  heatmaps: parts.flatMap(({ heatmaps }) => heatmaps),
});
