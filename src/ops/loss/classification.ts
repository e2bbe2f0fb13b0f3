import { isFloat } from "../../core/dtype.ts";
import { ManabiError, ShapeError, showShape } from "../../core/errors.ts";
import { type Shape, sameShape } from "../../core/shape.ts";
import { iota } from "../../primitives/leaf.ts";
import { customVjp, stopGradient } from "../grad.ts";
import { Tensor, where } from "../tensor.ts";
import { inFloat32 } from "../wide.ts";
import { type ReductionOptions, reduced, sameForm } from "./reduction.ts";

export interface NllOptions extends ReductionOptions {
  /** Weight of each class, [c]; the mean over class indices then is the weighted one. */
  readonly weight?: Tensor | null;
  /** The class index of positions that count for nothing. Default -100. */
  readonly ignoreIndex?: number;
}

export interface CrossEntropyOptions extends NllOptions {
  /** Part of the target that is spread evenly over all classes (Szegedy et al. 2016). */
  readonly labelSmoothing?: number;
}

export interface MultiMarginOptions extends ReductionOptions {
  /** Exponent of each violation. Default 1. */
  readonly p?: 1 | 2;
  readonly margin?: number;
  /** Weight of each class, [c]. */
  readonly weight?: Tensor | null;
}

/** Class scores [c] or [n, c, d..] as [n, c, d..], with the shape that one value per position has. */
function classScores(name: string, x: Tensor): { x: Tensor; positions: Shape } {
  if (x.rank === 0) throw new ShapeError(`${name}: scores are [c] or [n, c, ..], got a scalar`);
  if (!isFloat(x.dtype)) throw new ManabiError(`${name}: scores are floats, got ${x.dtype}; cast them`);
  if (x.rank === 1) return { x: x.unsqueeze(0), positions: [] };
  return { x, positions: [x.shape[0], ...x.shape.slice(2)] };
}

/** Class weights [c] in the shape of the scores [n, c, d..]. */
function classWeights(name: string, x: Tensor, weight: Tensor): Tensor {
  const [, classes, ...rest] = x.shape;
  if (!sameShape(weight.shape, [classes]))
    throw new ShapeError(
      `${name}: there are ${classes} classes, weight is ${showShape(weight.shape)}; it must be [${classes}]`,
    );
  const lined = weight.cast(x.dtype).reshape([classes, ...rest.map(() => 1)]);
  return lined.broadcastTo(x.shape);
}

/** Whether a class is the one of its position: index [n, 1, d..] -> [n, c, d..] like x. */
const hits = (x: Tensor, index: Tensor): Tensor => index.eq(new Tensor(iota(x.shape, 1)));

/**
 * x [n, c, d..] at the classes index [n, 1, d..], as [n, d..]. The gradient compares class numbers, which melts into the
 * pass that makes the gradient of the scores; that of a gather is a scatter through memory.
 */
const atClass = customVjp(
  (x: Tensor, index: Tensor) => x.gather(1, index.clamp(0, x.shape[1] - 1)).squeeze(1),
  ({ ct, inputs: [x, index] }) => [where(hits(x, index), ct.unsqueeze(1), 0), null],
);

/** Class indices of the positions of scores x [n, c, d..]. */
class Labels {
  readonly index: Tensor; // [n, 1, d..]
  /** Whether a position counts, [n, d..]. */
  readonly counts: Tensor;
  /** Whether the index of a position is neither a class nor ignored, [n, d..]. */
  readonly stray: Tensor;

  constructor(name: string, x: Tensor, target: Tensor, positions: Shape, ignoreIndex: number) {
    if (!sameShape(target.shape, positions))
      throw new ShapeError(
        `${name}: scores [n, c, ..] take class indices [n, ..], here ${showShape(positions)}; ` +
          `the target is ${showShape(target.shape)}`,
      );
    if (isFloat(target.dtype) || target.dtype === "bool")
      throw new ManabiError(`${name}: class indices are integers, the target is ${target.dtype}; cast it to "i32"`);
    const [n, classes, ...rest] = x.shape;
    const index = target.cast("i32").reshape([n, ...rest]);
    this.index = index.unsqueeze(1);
    this.counts = index.ne(ignoreIndex);
    this.stray = this.counts.and(index.lt(0).or(index.ge(classes)));
  }

  /** `x` [n, c, d..] at the target class of each position; anything where it is ignored or stray. */
  of(x: Tensor): Tensor {
    return atClass(x, this.index);
  }

  /**
   * Reduces losses [n, d..]; the mean is weighted by the weight of the target class. A stray index gives NaN: values are
   * not at hand for an error when the graph is built, and silence would train on nonsense.
   */
  reduce(name: string, losses: Tensor, weight: Tensor | null, positions: Shape, options: ReductionOptions): Tensor {
    const counted = where(this.stray, Number.NaN, where(this.counts, losses, 0)).reshape(positions);
    const ofTarget = weight ? where(this.counts, this.of(weight), 0) : this.counts.cast(losses.dtype);
    return reduced(name, counted, options, ofTarget.sum());
  }
}

/**
 * Negative log likelihood of log-probabilities [n, c, d..] (or [c]) at class indices [n, d..]. An index that is no class
 * gives NaN.
 */
export const nllLoss = inFloat32((logProbs: Tensor, target: Tensor, options: NllOptions = {}): Tensor => {
  const { weight = null, ignoreIndex = -100 } = options;
  const { x, positions } = classScores("nllLoss", logProbs);
  const labels = new Labels("nllLoss", x, target, positions, ignoreIndex);
  const w = weight && classWeights("nllLoss", x, weight);
  return labels.reduce("nllLoss", labels.of(w ? x.mul(w) : x).neg(), w, positions, options);
});

/**
 * log(sum over classes of e^(x - top)) for x [n, c, d..]. The gradient takes the exponentials again: to keep them would
 * cost a second tensor of the size of the scores.
 */
const logSumExp = customVjp(
  (x: Tensor, top: Tensor) => x.sub(top).exp().sum(1).log(),
  ({ ct, out, inputs: [x, top] }) => [x.sub(top).sub(out.unsqueeze(1)).exp().mul(ct.unsqueeze(1)), null],
);

/**
 * Cross-entropy of softmax(logits [n, c, d..]) (or [c]) and a target: class indices [n, d..], or probabilities in the
 * shape of the logits. An index that is no class gives NaN.
 */
export const crossEntropy = inFloat32((logits: Tensor, target: Tensor, options: CrossEntropyOptions = {}): Tensor => {
  const { weight = null, ignoreIndex = -100, labelSmoothing = 0 } = options;
  if (!(labelSmoothing >= 0 && labelSmoothing <= 1))
    throw new ManabiError(`crossEntropy: labelSmoothing is ${labelSmoothing}; it must be within 0..1`);
  const { x, positions } = classScores("crossEntropy", logits);
  const classes = x.shape[1];
  const w = weight && classWeights("crossEntropy", x, weight);

  // log softmax = x - top - logSum. The maximum is taken as fixed, because the loss does not depend on it.
  const top = stopGradient(x.max(1));
  const logSum = logSumExp(x, top.unsqueeze(1));

  /** -sum over the classes of q log softmax, for q [n, c, d..]. */
  const weighted = (q: Tensor) => logSum.mul(q.sum(1)).sub(x.sub(top.unsqueeze(1)).mul(q).sum(1));

  if (isFloat(target.dtype)) {
    sameForm("crossEntropy", logits, target);
    const given = target.cast(x.dtype).reshape(x.shape);
    const smooth = labelSmoothing ? given.mul(1 - labelSmoothing).add(labelSmoothing / classes) : given;
    const q = w ? smooth.mul(w) : smooth;
    return reduced("crossEntropy", weighted(q).reshape(positions), options);
  }

  const labels = new Labels("crossEntropy", x, target, positions, ignoreIndex);
  const hard = logSum.sub(labels.of(x).sub(top));
  let losses = w ? hard.mul(labels.of(w)) : hard;
  if (labelSmoothing) {
    const even = w ? weighted(w) : logSum.sub(x.mean(1).sub(top)).mul(classes);
    losses = losses.mul(1 - labelSmoothing).add(even.mul(labelSmoothing / classes));
  }
  return labels.reduce("crossEntropy", losses, w, positions, options);
});

/** Hinge loss of scores [n, c] (or [c]) and class indices [n]: mean over j of max(0, margin - x[y] + x[j])^p, j not y. */
export const multiMarginLoss = inFloat32((logits: Tensor, target: Tensor, options: MultiMarginOptions = {}): Tensor => {
  const { p = 1, margin = 1, weight = null } = options;
  const { x, positions } = classScores("multiMarginLoss", logits);
  if (x.rank !== 2) throw new ShapeError(`multiMarginLoss: scores are [c] or [n, c], got ${showShape(x.shape)}`);
  const labels = new Labels("multiMarginLoss", x, target, positions, -1);
  const gap = x.sub(labels.of(x).unsqueeze(1)).add(margin);
  const violation = where(hits(x, labels.index).or(gap.le(0)), 0, gap);
  const w = weight && classWeights("multiMarginLoss", x, weight);
  const losses = (p === 2 ? violation.square() : violation).mean(1);
  const counted = where(labels.stray.or(labels.counts.not()), Number.NaN, w ? losses.mul(labels.of(w)) : losses);
  return reduced("multiMarginLoss", counted.reshape(positions), options);
});
