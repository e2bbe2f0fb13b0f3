import { ShapeError, showShape } from "../core/errors.ts";
import { type Shape, sizeOf } from "../core/shape.ts";
import {
  batchNorm,
  channelMoments,
  groupNorm,
  instanceMoments,
  instanceNorm,
  layerNorm,
  type Moments,
  rmsNorm,
} from "../ops/norm.ts";
import type { Tensor } from "../ops/tensor.ts";
import { ones, zeros } from "./init.ts";
import { type Buffer, buffer, Module, type Param, param } from "./module.ts";

export interface ChannelNormOptions {
  /** Added to the variance (default 1e-5). */
  readonly eps?: number;
  /** Share of a new batch in the running statistics (default 0.1); null averages over all batches. */
  readonly momentum?: number | null;
  /** Whether there is a trainable factor and term per channel. */
  readonly affine?: boolean;
  /** Whether statistics are gathered while training and used in eval mode. */
  readonly trackRunningStats?: boolean;
}

type Affine = [weight: Param | null, bias: Param | null];
const affineOf = (channels: number, affine: boolean): Affine =>
  affine ? [param([channels], ones), param([channels], zeros)] : [null, null];

type Running = [mean: Buffer | null, variance: Buffer | null, batches: Buffer | null];
/** Files of PyTorch before 0.4.1 lack the number of batches; it is 0 then, as PyTorch has it. */
const runningOf = (channels: number, track: boolean): Running =>
  track
    ? [buffer([channels], zeros), buffer([channels], ones), buffer([], zeros, "i32", { optional: true })]
    : [null, null, null];

/** A layer that normalizes per channel. */
interface ChannelNorm {
  readonly weight: Param | null;
  readonly bias: Param | null;
  readonly running_mean: Buffer | null;
  readonly running_var: Buffer | null;
  readonly num_batches_tracked: Buffer | null;
  readonly options: ChannelNormOptions;
  readonly training: boolean;
}

/** Moves the running statistics toward `mean` and the unbiased form of `variance`, which are over `count` values. */
function track(layer: ChannelNorm, { mean, variance }: Moments, count: number, share: Tensor | number): void {
  const unbiased = variance.mul(count / (count - 1));
  for (const [running, value] of [[layer.running_mean, mean] as const, [layer.running_var, unbiased] as const])
    running?.assign(running.add(value.sub(running).mul(share)));
}

function normalizeBatch(layer: ChannelNorm, x: Tensor, ranks: readonly number[]): Tensor {
  const { weight, bias, running_mean: mean, running_var: variance, num_batches_tracked: batches } = layer;
  const { eps = 1e-5, momentum = 0.1 } = layer.options;
  checkRank(layer, x, ranks);
  if (!layer.training && mean && variance) return batchNorm(x, { weight, bias, eps, moments: { mean, variance } });
  const y = batchNorm(x, { weight, bias, eps });
  if (layer.training && batches) {
    batches.assign(batches.add(1));
    track(layer, channelMoments(x), x.size / x.shape[1], momentum ?? batches.reciprocal());
  }
  return y;
}

function normalizeInstances(layer: ChannelNorm, x: Tensor, ranks: readonly number[]): Tensor {
  const { weight, bias, running_mean: mean, running_var: variance } = layer;
  const { eps = 1e-5, momentum = 0.1 } = layer.options;
  checkRank(layer, x, ranks);
  if (!layer.training && mean && variance) return batchNorm(x, { weight, bias, eps, moments: { mean, variance } });
  const y = instanceNorm(x, { weight, bias, eps });
  if (layer.training && mean) {
    const moments = instanceMoments(x);
    const average = { mean: moments.mean.mean(0), variance: moments.variance.mean(0) };
    // PyTorch counts no batches here and averages with momentum 0 when it is null.
    track(layer, average, sizeOf(x.shape.slice(2)), momentum ?? 0);
  }
  return y;
}

function checkRank(layer: object, x: Tensor, ranks: readonly number[]): void {
  if (!ranks.includes(x.rank))
    throw new ShapeError(
      `${layer.constructor.name}: x must have rank ${ranks.join(" or ")}, with channels on axis 1; it is ${showShape(x.shape)}`,
    );
}

/** Zero mean and unit variance per channel of x [n, c] or [n, c, w], over the batch in training mode. */
export class BatchNorm1d extends Module {
  weight: Param | null; // [c]
  bias: Param | null; // [c]
  running_mean: Buffer | null; // [c]
  running_var: Buffer | null; // [c]
  num_batches_tracked: Buffer | null;
  readonly options: ChannelNormOptions;

  constructor(numFeatures: number, options: ChannelNormOptions = {}) {
    super();
    [this.weight, this.bias] = affineOf(numFeatures, options.affine ?? true);
    [this.running_mean, this.running_var, this.num_batches_tracked] = runningOf(
      numFeatures,
      options.trackRunningStats ?? true,
    );
    this.options = options;
  }

  forward(x: Tensor): Tensor {
    return normalizeBatch(this, x, [2, 3]);
  }
}

/** Zero mean and unit variance per channel of x [n, c, h, w], over the batch in training mode. */
export class BatchNorm2d extends Module {
  weight: Param | null; // [c]
  bias: Param | null; // [c]
  running_mean: Buffer | null; // [c]
  running_var: Buffer | null; // [c]
  num_batches_tracked: Buffer | null;
  readonly options: ChannelNormOptions;

  constructor(numFeatures: number, options: ChannelNormOptions = {}) {
    super();
    [this.weight, this.bias] = affineOf(numFeatures, options.affine ?? true);
    [this.running_mean, this.running_var, this.num_batches_tracked] = runningOf(
      numFeatures,
      options.trackRunningStats ?? true,
    );
    this.options = options;
  }

  forward(x: Tensor): Tensor {
    return normalizeBatch(this, x, [4]);
  }
}

/** Zero mean and unit variance per channel of x [n, c, d, h, w], over the batch in training mode. */
export class BatchNorm3d extends Module {
  weight: Param | null; // [c]
  bias: Param | null; // [c]
  running_mean: Buffer | null; // [c]
  running_var: Buffer | null; // [c]
  num_batches_tracked: Buffer | null;
  readonly options: ChannelNormOptions;

  constructor(numFeatures: number, options: ChannelNormOptions = {}) {
    super();
    [this.weight, this.bias] = affineOf(numFeatures, options.affine ?? true);
    [this.running_mean, this.running_var, this.num_batches_tracked] = runningOf(
      numFeatures,
      options.trackRunningStats ?? true,
    );
    this.options = options;
  }

  forward(x: Tensor): Tensor {
    return normalizeBatch(this, x, [5]);
  }
}

/** Zero mean and unit variance per sample and channel of x [n, c, w]; affine and tracking are off by default. */
export class InstanceNorm1d extends Module {
  weight: Param | null; // [c]
  bias: Param | null; // [c]
  running_mean: Buffer | null; // [c]
  running_var: Buffer | null; // [c]
  num_batches_tracked: Buffer | null;
  readonly options: ChannelNormOptions;

  constructor(numFeatures: number, options: ChannelNormOptions = {}) {
    super();
    [this.weight, this.bias] = affineOf(numFeatures, options.affine ?? false);
    [this.running_mean, this.running_var, this.num_batches_tracked] = runningOf(
      numFeatures,
      options.trackRunningStats ?? false,
    );
    this.options = options;
  }

  forward(x: Tensor): Tensor {
    return normalizeInstances(this, x, [3]);
  }
}

/** Zero mean and unit variance per sample and channel of x [n, c, h, w]; affine and tracking are off by default. */
export class InstanceNorm2d extends Module {
  weight: Param | null; // [c]
  bias: Param | null; // [c]
  running_mean: Buffer | null; // [c]
  running_var: Buffer | null; // [c]
  num_batches_tracked: Buffer | null;
  readonly options: ChannelNormOptions;

  constructor(numFeatures: number, options: ChannelNormOptions = {}) {
    super();
    [this.weight, this.bias] = affineOf(numFeatures, options.affine ?? false);
    [this.running_mean, this.running_var, this.num_batches_tracked] = runningOf(
      numFeatures,
      options.trackRunningStats ?? false,
    );
    this.options = options;
  }

  forward(x: Tensor): Tensor {
    return normalizeInstances(this, x, [4]);
  }
}

/** Zero mean and unit variance per sample and channel of x [n, c, d, h, w]; affine and tracking are off by default. */
export class InstanceNorm3d extends Module {
  weight: Param | null; // [c]
  bias: Param | null; // [c]
  running_mean: Buffer | null; // [c]
  running_var: Buffer | null; // [c]
  num_batches_tracked: Buffer | null;
  readonly options: ChannelNormOptions;

  constructor(numFeatures: number, options: ChannelNormOptions = {}) {
    super();
    [this.weight, this.bias] = affineOf(numFeatures, options.affine ?? false);
    [this.running_mean, this.running_var, this.num_batches_tracked] = runningOf(
      numFeatures,
      options.trackRunningStats ?? false,
    );
    this.options = options;
  }

  forward(x: Tensor): Tensor {
    return normalizeInstances(this, x, [5]);
  }
}

const listOf = (shape: number | Shape): Shape => (typeof shape === "number" ? [shape] : shape);

export interface LayerNormLayerOptions {
  readonly eps?: number;
  readonly elementwiseAffine?: boolean;
  readonly bias?: boolean;
}

/** Zero mean and unit variance over the last axes, which are `normalizedShape`. */
export class LayerNorm extends Module {
  weight: Param | null; // normalizedShape
  bias: Param | null; // normalizedShape
  readonly normalizedShape: Shape;
  readonly eps: number;

  constructor(normalizedShape: number | Shape, options: LayerNormLayerOptions = {}) {
    super();
    const { eps = 1e-5, elementwiseAffine = true, bias = true } = options;
    this.normalizedShape = listOf(normalizedShape);
    this.weight = elementwiseAffine ? param(this.normalizedShape, ones) : null;
    this.bias = elementwiseAffine && bias ? param(this.normalizedShape, zeros) : null;
    this.eps = eps;
  }

  forward(x: Tensor): Tensor {
    return layerNorm(x, this.normalizedShape, this);
  }
}

/** x over its root mean square along the last axes, which are `normalizedShape`. */
export class RMSNorm extends Module {
  weight: Param | null; // normalizedShape
  readonly normalizedShape: Shape;
  /** Default: the distance from 1 to the next number of x's dtype. */
  readonly eps: number | undefined;

  constructor(normalizedShape: number | Shape, options: Omit<LayerNormLayerOptions, "bias"> = {}) {
    super();
    const { eps, elementwiseAffine = true } = options;
    this.normalizedShape = listOf(normalizedShape);
    this.weight = elementwiseAffine ? param(this.normalizedShape, ones) : null;
    this.eps = eps;
  }

  forward(x: Tensor): Tensor {
    return rmsNorm(x, this.normalizedShape, this);
  }
}

/** Zero mean and unit variance over each group of channels of x [n, c, ..]. */
export class GroupNorm extends Module {
  weight: Param | null; // [c]
  bias: Param | null; // [c]
  readonly groups: number;
  readonly eps: number;

  constructor(
    numGroups: number,
    numChannels: number,
    options: { readonly eps?: number; readonly affine?: boolean } = {},
  ) {
    super();
    if (numChannels % numGroups)
      throw new ShapeError(`GroupNorm: ${numChannels} channels do not divide into ${numGroups} groups`);
    [this.weight, this.bias] = affineOf(numChannels, options.affine ?? true);
    this.groups = numGroups;
    this.eps = options.eps ?? 1e-5;
  }

  forward(x: Tensor): Tensor {
    return groupNorm(x, this.groups, this);
  }
}
