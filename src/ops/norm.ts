import { isHalf } from "../core/dtype.ts";
import { ManabiError, ShapeError, showShape } from "../core/errors.ts";
import { normalizeAxes, type Shape, sameShape, sizeOf } from "../core/shape.ts";
import { full } from "./creation.ts";
import { customVjp, stopGradient } from "./grad.ts";
import { positivePart } from "./rectifier.ts";
import type { Axes, Tensor } from "./tensor.ts";
import { inFloat32, roundedOnce } from "./wide.ts";

const widened = (x: Tensor): Tensor => (isHalf(x.dtype) ? x.cast("f32") : x);

export interface Moments {
  readonly mean: Tensor;
  /** Divided by the count (biased). */
  readonly variance: Tensor;
}

interface AffineOptions {
  /** Factor after normalization. */
  readonly weight?: Tensor | null;
  /** Term after normalization. */
  readonly bias?: Tensor | null;
  /** Added to the variance. */
  readonly eps?: number;
}

const keep = { keepDims: true } as const;
const countOf = (x: Tensor, axes: readonly number[]): number => axes.reduce((n, a) => n * x.shape[a], 1);
const axesFrom = (x: Tensor, first: number): number[] => x.shape.flatMap((_, i) => (i < first ? [] : [i]));
const axesButChannel = (x: Tensor): number[] => x.shape.flatMap((_, i) => (i === 1 ? [] : [i]));

/**
 * Mean and variance over `axes`, which stay with size 1, by one pass for the sums of x - shift and of its square. `shift`
 * must be within reach of the mean, compared with the deviation; it does not change the result otherwise.
 */
function momentsAround(x: Tensor, shift: Tensor, axes: readonly number[]): Moments {
  const fixed = stopGradient(shift);
  const centred = x.sub(fixed);
  const first = centred.mean(axes, keep);
  const variance = positivePart(centred.square().mean(axes, keep).sub(first.square()));
  return { mean: first.add(fixed), variance };
}

/** Over a channel's many values: the mean of the first sample is near enough and spares a pass over x. */
const momentsOfChannels = (x: Tensor): Moments =>
  momentsAround(x, x.slice(0, 0, 1).mean(axesButChannel(x), keep), axesButChannel(x));

/** Over few values at a time. */
const momentsOfRows = (x: Tensor, axes: readonly number[]): Moments => momentsAround(x, x.mean(axes, keep), axes);

/**
 * (x - mean) / sqrt(variance + eps) * scale with the moments of x over `axes`; `scale` has the shape of the mean. The
 * gradient takes two sums in one pass and one elementwise pass; autodiff of the formula takes a pass more.
 */
function standardize(x: Tensor, scale: Tensor, axes: readonly number[], eps: number, moments: MomentsOf): Tensor {
  return customVjp(
    (x: Tensor, scale: Tensor) => {
      const { mean, variance } = moments(x, axes);
      return x.sub(mean).mul(scale.mul(variance.add(eps).rsqrt()));
    },
    ({ ct, inputs: [x, scale] }) => {
      const { mean, variance } = moments(x, axes);
      const inverse = variance.add(eps).rsqrt();
      const centred = x.sub(mean);
      const dScale = ct.mul(centred).sum(axes, keep).mul(inverse);
      const slope = dScale.mul(inverse).div(countOf(x, axes));
      const dx = ct.sub(ct.mean(axes, keep)).sub(centred.mul(slope));
      return [dx.mul(scale.mul(inverse)), dScale];
    },
  )(x, scale);
}
type MomentsOf = (x: Tensor, axes: readonly number[]) => Moments;

const standardizeRows = (x: Tensor, axes: readonly number[], eps: number): Tensor =>
  standardize(x, unit(x, axes), axes, eps, momentsOfRows);

/** 1 in the shape that x has once `axes` are reduced to size 1. */
const unit = (x: Tensor, axes: readonly number[]): Tensor =>
  full(
    x.shape.map((d, i) => (axes.includes(i) ? 1 : d)),
    1,
    { dtype: x.dtype },
  );

function affine(x: Tensor, weight: Tensor | null, bias: Tensor | null): Tensor {
  const scaled = weight ? x.mul(weight) : x;
  return bias ? scaled.add(bias) : scaled;
}

/** `t` [c] in a shape that broadcasts along axis 1 of x. */
function perChannel(op: string, name: string, t: Tensor, x: Tensor): Tensor {
  if (t.rank !== 1 || t.shape[0] !== x.shape[1])
    throw new ShapeError(
      `${op}: ${name} ${showShape(t.shape)} must be [${x.shape[1]}], one value per channel of x ${showShape(x.shape)}`,
    );
  return t.reshape(x.shape.map((d, axis) => (axis === 1 ? d : 1)));
}

function checkChannels(op: string, x: Tensor, rank: number): void {
  if (x.rank < rank)
    throw new ShapeError(
      `${op}: x must be [n, c${rank > 2 ? ", spatial.." : ", .."}], with channels on axis 1; it is ${showShape(x.shape)}`,
    );
}

/** Mean and biased variance of every channel of x [n, c, ..] over the rest: each [c], f32 for 16-bit floats. */
export function channelMoments(x: Tensor): Moments {
  checkChannels("channelMoments", x, 2);
  const { mean, variance } = momentsOfChannels(widened(x));
  return { mean: mean.reshape([-1]), variance: variance.reshape([-1]) };
}

/** Mean and biased variance over the spatial axes of every channel and sample of x [n, c, ..]: each [n, c]. */
export function instanceMoments(x: Tensor): Moments {
  checkChannels("instanceMoments", x, 3);
  const { mean, variance } = momentsOfRows(widened(x), axesFrom(x, 2));
  const shape = x.shape.slice(0, 2);
  return { mean: mean.reshape(shape), variance: variance.reshape(shape) };
}

/** Weight and bias are [c]. */
export interface BatchNormOptions extends AffineOptions {
  /** Statistics to use, [c] each; left out, those of the batch. */
  readonly moments?: Moments | null;
}

/**
 * (x - mean) / sqrt(variance + eps) * weight + bias per channel of x [n, c, ..], with the mean and the biased variance
 * of the batch unless `moments` are given (Ioffe and Szegedy 2015).
 */
export const batchNorm = roundedOnce((x: Tensor, options: BatchNormOptions = {}): Tensor => {
  const { weight = null, bias = null, moments = null, eps = 1e-5 } = options;
  checkChannels("batchNorm", x, 2);
  const along = (name: string, t: Tensor | null) => t && perChannel("batchNorm", name, t, x);
  const [scale, shift] = [along("weight", weight), along("bias", bias)];
  if (moments) {
    const inverse = perChannel("batchNorm", "variance", moments.variance, x).add(eps).rsqrt();
    const centred = x.sub(perChannel("batchNorm", "mean", moments.mean, x));
    return affine(centred, scale ? inverse.mul(scale) : inverse, shift);
  }
  const axes = axesButChannel(x);
  if (countOf(x, axes) < 2)
    throw new ShapeError(
      `batchNorm: x ${showShape(x.shape)} has one value per channel, which has no variance; ` +
        "take a larger batch, or call eval() on the model",
    );
  return affine(standardize(x, scale ?? unit(x, axes), axes, eps, momentsOfChannels), null, shift);
});

/** Weight and bias have `normalizedShape`. */
export type LayerNormOptions = AffineOptions;

function checkTrailing(op: string, x: Tensor, shape: Shape, options: AffineOptions): void {
  if (shape.length === 0 || shape.length > x.rank || !sameShape(x.shape.slice(x.rank - shape.length), shape))
    throw new ShapeError(`${op}: the last axes of x ${showShape(x.shape)} must be ${showShape(shape)}`);
  for (const [name, t] of [["weight", options.weight] as const, ["bias", options.bias] as const])
    if (t && !sameShape(t.shape, shape))
      throw new ShapeError(`${op}: ${name} ${showShape(t.shape)} must be ${showShape(shape)}`);
}

/** Zero mean and unit variance over the last axes, which are `normalizedShape` (Ba et al. 2016). */
export const layerNorm = inFloat32((x: Tensor, normalizedShape: Shape, options: LayerNormOptions = {}): Tensor => {
  const { weight = null, bias = null, eps = 1e-5 } = options;
  checkTrailing("layerNorm", x, normalizedShape, options);
  return affine(standardizeRows(x, axesFrom(x, x.rank - normalizedShape.length), eps), weight, bias);
});

/** x / sqrt(mean(x^2) + eps) * weight over the last axes, which are `normalizedShape` (Zhang and Sennrich 2019). */
export const rmsNorm = inFloat32(
  (
    x: Tensor,
    normalizedShape: Shape,
    options: { readonly weight?: Tensor | null; readonly eps?: number } = {},
  ): Tensor => {
    const { weight = null, eps = x.dtype === "f64" ? 2 ** -52 : 2 ** -23 } = options;
    checkTrailing("rmsNorm", x, normalizedShape, options);
    const axes = axesFrom(x, x.rank - normalizedShape.length);
    return affine(x.mul(x.square().mean(axes, keep).add(eps).rsqrt()), weight, null);
  },
);

/** Zero mean and unit variance over each of `groups` groups of channels of x [n, c, ..]; weight and bias are [c] (Wu and He 2018). */
export const groupNorm = inFloat32((x: Tensor, groups: number, options: AffineOptions = {}): Tensor => {
  const { weight = null, bias = null, eps = 1e-5 } = options;
  checkChannels("groupNorm", x, 2);
  const [n, c] = x.shape;
  if (!Number.isInteger(groups) || groups < 1 || c % groups)
    throw new ShapeError(`groupNorm: the ${c} channels of x ${showShape(x.shape)} do not divide into ${groups} groups`);
  const grouped = x.reshape([n, groups, sizeOf(x.shape.slice(1)) / groups]);
  const along = (name: string, t: Tensor | null) => t && perChannel("groupNorm", name, t, x);
  return affine(standardizeRows(grouped, [2], eps).reshape(x.shape), along("weight", weight), along("bias", bias));
});

/** Zero mean and unit variance over the spatial axes of each channel of each sample of x [n, c, ..]; weight and bias are [c]. */
export const instanceNorm = roundedOnce((x: Tensor, options: AffineOptions = {}): Tensor => {
  const { weight = null, bias = null, eps = 1e-5 } = options;
  checkChannels("instanceNorm", x, 3);
  if (sizeOf(x.shape.slice(2)) < 2)
    throw new ShapeError(
      `instanceNorm: x ${showShape(x.shape)} has one value per channel and sample, which has no variance`,
    );
  const along = (name: string, t: Tensor | null) => t && perChannel("instanceNorm", name, t, x);
  return affine(standardizeRows(x, axesFrom(x, 2), eps), along("weight", weight), along("bias", bias));
});

export interface NormalizeOptions {
  /** Order of the norm: 2, 1, Infinity or another positive number. */
  readonly ord?: number;
  readonly axes?: Axes;
  /** Least norm to divide by. */
  readonly eps?: number;
}

/** x divided by its vector norm over `axes` (default 1). */
export function normalize(x: Tensor, { ord = 2, axes = 1, eps = 1e-12 }: NormalizeOptions = {}): Tensor {
  normalizeAxes("normalize", axes, x.rank);
  if (!(eps >= 0)) throw new ManabiError(`normalize: eps must be >= 0, got ${eps}`);
  return x.div(x.norm(axes, { ord, keepDims: true }).maximum(eps));
}
