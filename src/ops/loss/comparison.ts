import { ShapeError, showShape } from "../../core/errors.ts";
import { sameShape } from "../../core/shape.ts";
import { type Tensor, where } from "../tensor.ts";
import { inFloat32 } from "../wide.ts";
import { type Reduction, type ReductionOptions, reduced, sameForm } from "./reduction.ts";

export interface KlDivOptions {
  /** "batchmean" is the sum over the size of the first axis, the mathematical divergence. Default "mean". */
  readonly reduction?: Reduction | "batchmean";
  /** Whether the target holds log-probabilities, too. */
  readonly logTarget?: boolean;
}

export interface MarginOptions extends ReductionOptions {
  readonly margin?: number;
}

export interface TripletMarginOptions extends MarginOptions {
  /** Norm of the distance. Default 2. */
  readonly p?: 1 | 2;
  /** Takes the negative's distance from the positive if that is less (Balntas et al. 2016). */
  readonly swap?: boolean;
}

const atLeastZero = (x: Tensor): Tensor => where(x.le(0), 0, x);

/** Kullback-Leibler divergence of log-probabilities from a target: target (log target - logInput). */
export const klDiv = inFloat32((logInput: Tensor, target: Tensor, options: KlDivOptions = {}): Tensor => {
  const { reduction = "mean", logTarget = false } = options;
  sameForm("klDiv", logInput, target);
  let losses: Tensor;
  if (logTarget) losses = target.exp().mul(target.sub(logInput));
  else {
    const positive = target.gt(0);
    losses = where(positive, target.mul(where(positive, target, 1).log()), 0).sub(target.mul(logInput));
  }
  return reduction === "batchmean" ? losses.sum().div(losses.shape[0] ?? 1) : reduced("klDiv", losses, { reduction });
});

/** Cosine of the angle between the vectors of a and b along `axis`, which vanishes; norms below `eps` count as `eps`. */
export const cosineSimilarity = inFloat32((a: Tensor, b: Tensor, axis: number = 1, eps: number = 1e-8): Tensor => {
  const norm = (x: Tensor) =>
    x
      .square()
      .sum(axis)
      .maximum(eps * eps)
      .sqrt();
  return a
    .mul(b)
    .sum(axis)
    .div(norm(a).mul(norm(b)));
});

/** 1 - cos(a, b) where the target is 1, max(0, cos(a, b) - margin) where it is -1. a, b [n, d] or [d]; target [n] or []. */
export const cosineEmbeddingLoss = inFloat32(
  (a: Tensor, b: Tensor, target: Tensor, options: MarginOptions = {}): Tensor => {
    const { margin = 0 } = options;
    sameForm("cosineEmbeddingLoss", a, b);
    const similarity = cosineSimilarity(a, b, -1);
    checkTarget("cosineEmbeddingLoss", similarity, target);
    const losses = where(target.gt(0), similarity.neg().add(1), atLeastZero(similarity.sub(margin)));
    return reduced("cosineEmbeddingLoss", losses, options);
  },
);

/** The input where the target is 1, max(0, margin - input) where it is -1; the input is a distance. */
export const hingeEmbeddingLoss = inFloat32((input: Tensor, target: Tensor, options: MarginOptions = {}): Tensor => {
  const { margin = 1 } = options;
  checkTarget("hingeEmbeddingLoss", input, target);
  const losses = where(target.gt(0), input, atLeastZero(input.neg().add(margin)));
  return reduced("hingeEmbeddingLoss", losses, options);
});

function checkTarget(name: string, x: Tensor, target: Tensor): void {
  if (!sameShape(x.shape, target.shape))
    throw new ShapeError(
      `${name}: there is one target (1 or -1) per pair, here ${showShape(x.shape)}; got ${showShape(target.shape)}`,
    );
}

/** max(0, |anchor - positive| - |anchor - negative| + margin), all [n, d] or [d] (Schroff et al. 2015). */
export const tripletMarginLoss = inFloat32(
  (anchor: Tensor, positive: Tensor, negative: Tensor, options: TripletMarginOptions = {}): Tensor => {
    const { margin = 1, p = 2, swap = false } = options;
    sameForm("tripletMarginLoss", anchor, positive);
    sameForm("tripletMarginLoss", anchor, negative);
    // A small offset keeps the gradient of the root finite for equal vectors.
    const distance = (x: Tensor, y: Tensor): Tensor => {
      const d = x.sub(y).add(1e-6);
      return p === 1 ? d.abs().sum(-1) : d.square().sum(-1).sqrt();
    };
    const near = distance(anchor, positive);
    const far = distance(anchor, negative);
    const apart = swap ? far.minimum(distance(positive, negative)) : far;
    return reduced("tripletMarginLoss", atLeastZero(near.sub(apart).add(margin)), options);
  },
);
