import { ManabiError } from "../core/errors.ts";
import type { Layer } from "../nn/container.ts";
import { Module } from "../nn/module.ts";
import { arange } from "../ops/creation.ts";
import { jit } from "../ops/jit.ts";
import { Tensor, tensor, where } from "../ops/tensor.ts";
import { predictLogits } from "../train/evaluate.ts";
import { batchSizeOf, checkImages, concatenated, countOf, rows, spans } from "./batches.ts";
import { type Heatmap, splitHeatmaps } from "./heatmap.ts";
import type { Explained } from "./scalar.ts";
import {
  type BlackBox,
  checkFinite,
  readScores,
  readTarget,
  type SamplingOptions,
  scoreOf,
  type Target,
} from "./scores.ts";
import { meanOverWindows, slidingWindows, type Window } from "./sliding-windows.ts";

export interface OcclusionOptions extends SamplingOptions {
  /** What is explained: a class, a class for each image, or a function of an image's scores; default: for each image its
   *  class of the highest score. */
  readonly target?: Target | readonly number[];
  /** Height and width of what is covered, in pixels; a number for both. Default: an eighth of the image's. */
  readonly window?: number | readonly [height: number, width: number];
  /** Pixels from one window to the next; a number for both. Default: half of the window. */
  readonly stride?: number | readonly [down: number, across: number];
  /** What covers: a number (default 0, the mean colour of normalized images), or values [c, 1, 1] or [c, h, w]. */
  readonly baseline?: number | Tensor;
}

/** A map for every image. */
export interface Occlusions extends Explained {
  readonly heatmaps: readonly Heatmap[];
}

/**
 * How much the score of each image [n, c, h, w] falls when a window that slides over it is covered (Zeiler and Fergus
 * 2014, arXiv:1311.2901): for each pixel the mean over the windows that hold it. It needs scores alone, of a network or
 * of any function, which is asked about large batches: (windows + 1) times the number of images.
 */
export async function occlusion(
  model: Layer | BlackBox,
  images: Tensor,
  options: OcclusionOptions = {},
): Promise<Occlusions> {
  checkImages(images);
  const count = countOf(images);
  const [, , height, width] = images.shape;
  const score: BlackBox = model instanceof Module ? (batch) => predictLogits(model, batch) : model;
  const windows = slidingWindows(height, width, options.window, options.stride);
  const { baseline = 0 } = options;
  const cover = baseline instanceof Tensor ? baseline.cast(images.dtype) : tensor(baseline, { dtype: images.dtype });
  const batchSize = batchSizeOf(options, images, "scores");
  const tell = reporter(options, count * (windows.length + 1));

  const { targets, scores } = await readTargets(score, images, batchSize, options.target, tell);
  const maps: Float64Array[] = [];
  for (const [i, target] of targets.entries()) {
    const image = rows(images, i, i + 1);
    const falls: number[] = [];
    for (const [from, to] of spans(windows.length, batchSize)) {
      const covered = await score(covering(image, edgesOf(windows.slice(from, to)), cover));
      for (const value of await readTarget(covered, to - from, target)) falls.push(scores[i] - value);
      tell(to - from);
    }
    maps.push(meanOverWindows(windows, falls, height, width));
  }
  const classes = targets.filter((target) => typeof target === "number");
  return {
    scores,
    classes: classes.length === count ? Int32Array.from(classes) : null,
    heatmaps: splitHeatmaps(concatenated(maps), height, width),
  };
}

/** Counts what is done, and ends the sampling where its signal says so. */
function reporter({ onProgress, signal }: SamplingOptions, total: number): (more: number) => void {
  let done = 0;
  signal?.throwIfAborted();
  return (more) => {
    done += more;
    onProgress?.(done, total);
    signal?.throwIfAborted();
  };
}

/** What is explained of each image, and its score. */
async function readTargets(
  score: BlackBox,
  images: Tensor,
  batchSize: number,
  target: OcclusionOptions["target"],
  tell: (more: number) => void,
): Promise<{ readonly targets: readonly Target[]; readonly scores: Float64Array<ArrayBuffer> }> {
  const count = images.shape[0];
  if (typeof target === "object" && target.length !== count)
    throw new ManabiError(`target: ${target.length} classes for ${count} images; give one for each, or one for all`);
  const targets: Target[] = [];
  const scores = new Float64Array(count);
  for (const [from, to] of spans(count, batchSize)) {
    const { columns, data } = await readScores(await score(rows(images, from, to)), to - from);
    for (let i = from; i < to; i++) {
      const row = data.subarray((i - from) * columns, (i - from + 1) * columns);
      targets[i] = (typeof target === "object" ? target[i] : target) ?? best(row);
      scores[i] = scoreOf(row, targets[i]);
    }
    tell(to - from);
  }
  checkFinite(scores);
  return { targets, scores };
}

/** The class of the highest score, or of one that is NaN. */
const best = (row: Float64Array): number =>
  row.reduce((top, score, i) => (score > row[top] || Number.isNaN(score) ? i : top), 0);

const edgesOf = (windows: readonly Window[]): Tensor =>
  tensor(Int32Array.from(windows.flatMap(({ top, bottom, left, right }) => [top, bottom, left, right])), {
    shape: [windows.length, 4],
  });

/** Image [1, c, h, w] under each of m windows, edges i32 [m, 4]: [m, c, h, w]. */
const covering = jit((image: Tensor, edges: Tensor, cover: Tensor): Tensor => {
  const [, , height, width] = image.shape;
  const [top, bottom, left, right] = [0, 1, 2, 3].map((i) => edges.select(1, i).reshape([-1, 1, 1, 1]));
  const [y, x] = [arange(height).reshape([height, 1]), arange(width)];
  const inside = y.ge(top).and(y.lt(bottom)).and(x.ge(left)).and(x.lt(right)); // [m, 1, h, w]
  return where(inside, cover, image);
});
