import { ManabiError, showShape } from "../../core/errors.ts";
import { Rng, seedKey } from "../../core/rng.ts";
import { concatenate, fromHost, type Tensor, where } from "../../ops/tensor.ts";
import { gaussianBlur } from "../blur.ts";
import { type Heatmap, resizeHeatmap } from "../heatmap.ts";
import { type BlackBox, readTarget, type SamplingOptions, type Target } from "../scores.ts";

/** What stands where a pixel has been taken away: zero (the mean colour, where the model takes normalized images), the
 *  image's own mean colour, the image out of focus, or an image [c, h, w]. */
export type Canvas = "zero" | "mean" | "blur" | Tensor;

export interface RemovalOptions extends SamplingOptions {
  /** A curve has a point more. Default 31, with which 32 images make both ends and one batch. */
  readonly steps?: number;
  /** What is left of a deleted image. Default "zero". */
  readonly deleted?: Canvas;
  /** What pixels are inserted into. Default "blur": on an even canvas the edges of the first pixels would themselves look
   *  like something. */
  readonly canvas?: Canvas;
}

/** The target's score as a function of the share of pixels that have been deleted or inserted. */
export interface RemovalCurve {
  /** From 0 to 1. */
  readonly shares: Float64Array;
  readonly scores: Float64Array;
  /** The area under the curve: the mean score on the way. */
  readonly area: number;
}

export interface RemovalCurves {
  /** Pixels are taken away, the most important ones first: the lower its area, the better the map. */
  readonly deletion: RemovalCurve;
  /** Pixels are put in, the most important ones first: the higher its area, the better the map. */
  readonly insertion: RemovalCurve;
}

/**
 * Deletion and insertion (Petsiuk, Das and Saenko 2018, "RISE", https://arxiv.org/abs/1806.07421): does the score fall
 * when the pixels go that a map calls important, and does it come back when they do? `image` is f32 [c, h, w] as the model
 * takes it; the scores should be probabilities for areas to be compared between images. Pixels of equal value come in
 * random order.
 */
export async function removalCurves(
  scores: BlackBox,
  image: Tensor,
  map: Heatmap,
  target: Target,
  options: RemovalOptions = {},
): Promise<RemovalCurves> {
  const { steps = 31, batchSize = 32, seed = 0, deleted = "zero", canvas = "blur", onProgress, signal } = options;
  if (image.rank !== 3)
    throw new ManabiError(`removalCurves: the image is ${showShape(image.shape)}, expected [channels, height, width]`);
  if (!Number.isInteger(steps) || steps < 1)
    throw new ManabiError(`removalCurves: steps is ${steps}; a curve needs a whole number of at least 1`);
  const [, height, width] = image.shape;
  const ranks = rankPixels(resizeHeatmap(map, width, height), seed);
  const points = steps + 1;
  const values = new Float64Array(2 * points);
  const images = [image.unsqueeze(0), canvasOf(image, deleted), canvasOf(image, canvas)] as const;
  for (let at = 0; at < values.length; at += batchSize) {
    signal?.throwIfAborted();
    const count = Math.min(batchSize, values.length - at);
    const place = Array.from({ length: count }, (_, i) => at + i);
    const batch = removed(images, ranks, place, points);
    values.set(await readTarget(await scores(batch), count, target), at);
    onProgress?.(at + count, values.length);
  }
  const shares = Float64Array.from({ length: points }, (_, i) => i / steps);
  const curve = (scores: Float64Array) => ({ shares, scores, area: areaUnder(scores) });
  return { deletion: curve(values.slice(0, points)), insertion: curve(values.slice(points)) };
}

export interface RandomOrderOptions extends RemovalOptions {
  /** How many orders are tried; the curves are their mean. Default 3. */
  readonly orders?: number;
  /** Side in pixels of the squares that go together. Default a fourteenth of the image's side. */
  readonly cell?: number;
}

/**
 * The curves of maps that know nothing, to compare others with: squares of pixels in random order. Single pixels would be
 * an unfair comparison, since noise alone confuses a network more than what it hides.
 */
export async function randomRemovalCurves(
  scores: BlackBox,
  image: Tensor,
  target: Target,
  { orders = 3, cell, onProgress, ...options }: RandomOrderOptions = {},
): Promise<RemovalCurves> {
  const [, height, width] = image.shape;
  const side = cell ?? Math.max(1, Math.round(Math.min(height, width) / 14));
  const { seed = 0 } = options;
  const all: RemovalCurves[] = [];
  for (let i = 0; i < orders; i++) {
    const map = randomSquares(width, height, side, seed + i);
    const progress = (done: number, total: number) => onProgress?.(i * total + done, orders * total);
    all.push(await removalCurves(scores, image, map, target, { ...options, onProgress: progress }));
  }
  return { deletion: meanCurve(all.map((c) => c.deletion)), insertion: meanCurve(all.map((c) => c.insertion)) };
}

/** How much better than chance a map is: by how much its deletion area is lower and its insertion area higher. */
export const removalGain = (map: RemovalCurves, random: RemovalCurves) => ({
  deletion: random.deletion.area - map.deletion.area,
  insertion: map.insertion.area - random.insertion.area,
});

/** A batch of images at places of both curves one after the other, deletion first. */
function removed(
  [image, deleted, canvas]: readonly [Tensor, Tensor, Tensor],
  ranks: Tensor,
  places: readonly number[],
  points: number,
): Tensor {
  const bounds = (first: boolean) => places.filter((p) => p < points === first).map((p) => (p % points) / (points - 1));
  const mix = (shares: readonly number[], taken: Tensor, left: Tensor): Tensor[] => {
    if (!shares.length) return [];
    const share = fromHost({ dtype: "f32", shape: [shares.length, 1, 1, 1], data: Float32Array.from(shares) });
    return [where(ranks.lt(share), taken, left)]; // [b, c, h, w]
  };
  const parts = [...mix(bounds(true), deleted, image), ...mix(bounds(false), image, canvas)];
  return parts.length === 1 ? parts[0] : concatenate(parts, 0);
}

/** The share of pixels that come before each one, by falling value: [1, 1, h, w] of 0 to less than 1. */
function rankPixels({ width, height, data }: Heatmap, seed: number): Tensor {
  const bad = data.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0)
    throw new ManabiError(
      `removalCurves: value ${bad} of the map is ${data[bad]}; pixels are ordered by finite values`,
    );
  const order = new Rng(seedKey(seed)).permutation(data.length);
  order.sort((a, b) => data[b] - data[a]); // stable, so equal values stay in random order
  const ranks = new Float32Array(data.length);
  for (const [place, p] of order.entries()) ranks[p] = place / data.length;
  return fromHost({ dtype: "f32", shape: [1, 1, height, width], data: ranks });
}

/** [1, c, h, w] */
function canvasOf(image: Tensor, canvas: Canvas): Tensor {
  const whole = image.unsqueeze(0);
  if (canvas === "zero") return whole.mul(0);
  if (canvas === "mean") return whole.mean([2, 3], { keepDims: true }).broadcastTo(whole.shape);
  if (canvas === "blur") return gaussianBlur(whole, Math.max(...image.shape.slice(1)) / 20);
  if (canvas.shape.join() !== image.shape.join())
    throw new ManabiError(
      `removalCurves: the canvas is ${showShape(canvas.shape)}, the image ${showShape(image.shape)}`,
    );
  return canvas.unsqueeze(0);
}

/** By the trapezoidal rule, over a width of 1. */
function areaUnder(scores: Float64Array): number {
  const sum = scores.reduce((a, b) => a + b, 0) - (scores[0] + scores[scores.length - 1]) / 2;
  return sum / (scores.length - 1);
}

function meanCurve(curves: readonly RemovalCurve[]): RemovalCurve {
  const mean = (read: (curve: RemovalCurve) => number) => curves.reduce((sum, c) => sum + read(c), 0) / curves.length;
  return {
    shares: curves[0].shares,
    scores: curves[0].scores.map((_, i) => mean(({ scores }) => scores[i])),
    area: mean(({ area }) => area),
  };
}

function randomSquares(width: number, height: number, cell: number, seed: number): Heatmap {
  const rng = new Rng(seedKey(seed));
  const across = Math.ceil(width / cell);
  const values = rng.permutation(across * Math.ceil(height / cell));
  const of = (p: number) => values[Math.floor(p / width / cell) * across + Math.floor((p % width) / cell)];
  return { width, height, data: Float32Array.from({ length: width * height }, (_, p) => of(p)) };
}
