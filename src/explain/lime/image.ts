import { ManabiError, showShape } from "../../core/errors.ts";
import { Rng, seedKey } from "../../core/rng.ts";
import type { Transform } from "../../data/transforms/literals.ts";
import { type Tensor, tensor } from "../../ops/tensor.ts";
import { quickshift, type Segmentation } from "../../superpixels/index.ts";
import { pictureOf } from "../../train/pictures.ts";
import type { Heatmap } from "../heatmap.ts";
import type { BlackBox } from "../scores.ts";
import { type Explanation, explain, type LimeOptions, scoreSamples } from "./sampling.ts";
import { checkSamples, cosineDistances, proximity } from "./surrogate.ts";

export interface LimeImageOptions extends LimeOptions {
  /** What is hidden and shown as one; default: quick shift with kernel size 4, distance 200 and ratio 0.2. */
  readonly segments?: Segmentation;
  /** Those that made the image, so that default segments are those of the picture before `normalize`. */
  readonly transforms?: readonly Transform[];
  /** What a hidden segment shows: its own mean colour, or the given one, a number per channel of the image. */
  readonly fill?: "mean" | readonly number[];
}

/** An explanation whose features are segments of the image. */
export interface ImageExplanation extends Explanation {
  readonly segments: Segmentation;
  /** The weight of each pixel's segment; 0 where it has none. */
  readonly heatmap: Heatmap;
}

/**
 * Why an image f32 [c, h, w] gets its score: segments are hidden at random, and a linear model of which are seen is fitted
 * to the scores, images near to the whole one counting more (LIME, Ribeiro et al. 2016; cosine distances, kernel width
 * 0.25, 1,000 samples, all segments). The black box is given [n, c, h, w], composed where the tensors are computed. One
 * explanation per target.
 */
export async function limeImage(
  blackBox: BlackBox,
  image: Tensor,
  options: LimeImageOptions = {},
): Promise<ImageExplanation[]> {
  if (image.rank !== 3) throw new ManabiError(`limeImage: expected one image [c, h, w], got ${showShape(image.shape)}`);
  const { samples = 1000, batchSize = 50, kernelWidth = 0.25, seed = 0 } = options;
  const pixels = await image.data();
  const segments = options.segments ?? defaultSegments(pixels, image.shape, options.transforms);
  checkSegments(segments, image.shape);
  const columns = segments.count;
  checkSamples(samples, columns);
  const rng = new Rng(seedKey(seed));
  const data = Float64Array.from({ length: samples * columns }, (_, i) => Number(i < columns || rng.chance(0.5)));
  const compose = composer(image, hiddenImage(pixels, image.shape, segments, options.fill ?? "mean"), segments);
  const make = (rows: Int32Array) => {
    const seen = new Float32Array(rows.length * columns);
    for (const [k, i] of rows.entries()) seen.set(data.subarray(i * columns, (i + 1) * columns), k * columns);
    return compose(tensor(seen, [rows.length, columns]));
  };
  const scored = await scoreSamples(blackBox, samples, make, { ...options, batchSize });
  const weights = proximity(cosineDistances(data, columns), kernelWidth);
  const neighbourhood = { data, examples: samples, columns, proximity: weights };
  return explain(neighbourhood, scored, options, (weight) => weight).map((explanation) => ({
    ...explanation,
    segments,
    heatmap: paint(segments, explanation),
  }));
}

/** Quick shift, as in the package `lime`, of the picture that an image was. */
function defaultSegments(
  pixels: ArrayLike<number>,
  shape: readonly number[],
  transforms: readonly Transform[] = [],
): Segmentation {
  const [channels] = shape;
  if (channels !== 1 && channels !== 3)
    throw new ManabiError(`limeImage: an image of ${channels} channels is neither grey nor RGB; give its segments`);
  if (transforms.length === 0 && Array.from(pixels).some((value) => value < 0 || value > 1))
    throw new ManabiError(
      "limeImage: the image has values outside of 0 to 1, so its colours are not known; give the transforms that made it (weights.input.transforms), or segments",
    );
  const { width, height, data } = pictureOf(pixels, shape, transforms);
  const picture = { dtype: "u8", shape: [height, width, channels], data: new Uint8Array(data) } as const;
  return quickshift(picture, { kernelSize: 4, maxDistance: 200, ratio: 0.2 });
}

function checkSegments({ width, height, count, labels }: Segmentation, [, h, w]: readonly number[]): void {
  if (width !== w || height !== h || labels.length !== w * h)
    throw new ManabiError(
      `limeImage: the segments are of ${width} x ${height} pixels, the image has ${w} x ${h}; divide the picture after it was resized`,
    );
  if (labels.some((label) => label < 0 || label >= count))
    throw new ManabiError(`limeImage: a label of the segments is not within 0 to ${count - 1}, as their count says`);
  if (count < 2)
    throw new ManabiError(
      "limeImage: the image is one segment, so there is nothing to compare it with; a constant image has no parts, for others give finer segments, such as slic(picture)",
    );
}

/** The image with all segments hidden, [c, h, w]. */
function hiddenImage(
  pixels: ArrayLike<number>,
  shape: readonly number[],
  { labels, count }: Segmentation,
  fill: "mean" | readonly number[],
): Tensor {
  const [channels, height, width] = shape;
  const area = height * width;
  if (fill !== "mean") {
    if (fill.length !== channels)
      throw new ManabiError(`limeImage: fill has ${fill.length} numbers, the image ${channels} channels`);
    return tensor(Float32Array.from(fill), [channels, 1, 1]).broadcastTo(shape);
  }
  const sizes = new Float64Array(count);
  for (const label of labels) sizes[label]++;
  const hidden = new Float32Array(channels * area);
  for (let c = 0; c < channels; c++) {
    const sums = new Float64Array(count);
    for (let p = 0; p < area; p++) sums[labels[p]] += pixels[c * area + p];
    for (let p = 0; p < area; p++) hidden[c * area + p] = sums[labels[p]] / sizes[labels[p]];
  }
  return tensor(hidden, shape);
}

/** Images from which segments are seen, f32 [n, segments] of ones and zeros -> [n, c, h, w]. */
function composer(image: Tensor, hidden: Tensor, { labels, width, height }: Segmentation): (seen: Tensor) => Tensor {
  const shown = image.sub(hidden);
  const map = tensor(labels);
  return (seen) => hidden.add(seen.take(map, 1).reshape([seen.shape[0], 1, height, width]).mul(shown));
}

function paint({ labels, width, height, count }: Segmentation, { weights }: Explanation): Heatmap {
  const bySegment = new Float32Array(count);
  for (const { feature, weight } of weights) bySegment[feature] = weight;
  return { width, height, data: Float32Array.from(labels, (label) => bySegment[label]) };
}
