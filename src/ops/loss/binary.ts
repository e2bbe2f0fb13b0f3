import { logSigmoid, sigmoid } from "../activation.ts";
import { type Tensor, where } from "../tensor.ts";
import { inFloat32 } from "../wide.ts";
import { type ReductionOptions, reduced, sameForm } from "./reduction.ts";

export interface BinaryOptions extends ReductionOptions {
  /** Factor on each element's loss; broadcasts. */
  readonly weight?: Tensor | null;
}

export interface BinaryWithLogitsOptions extends BinaryOptions {
  /** Factor on the loss of positives, such as negatives over positives for each class; broadcasts. */
  readonly posWeight?: Tensor | null;
}

export interface FocalOptions extends ReductionOptions {
  /** Weight of positives, negatives having 1 - alpha; null weights neither. Default 0.25. */
  readonly alpha?: number | null;
  /** How strongly well-classified elements are played down. Default 2. */
  readonly gamma?: number;
}

/** The logarithm, but not below -100, where its gradient is 0. */
const boundedLog = (x: Tensor): Tensor => {
  const zero = x.le(0);
  return where(zero, -100, where(zero, 1, x).log().maximum(-100));
};

/** Binary cross-entropy of probabilities and targets in [0, 1]; logarithms are bounded by -100. */
export const binaryCrossEntropy = inFloat32((input: Tensor, target: Tensor, options: BinaryOptions = {}): Tensor => {
  sameForm("binaryCrossEntropy", input, target);
  const no = input.neg().add(1);
  const losses = target
    .mul(boundedLog(input))
    .add(target.neg().add(1).mul(boundedLog(no)))
    .neg();
  return reduced("binaryCrossEntropy", options.weight ? losses.mul(options.weight) : losses, options);
});

/** Binary cross-entropy of sigmoid(logits) and targets in [0, 1], exact at both ends. */
export const binaryCrossEntropyWithLogits = inFloat32(
  (logits: Tensor, target: Tensor, options: BinaryWithLogitsOptions = {}): Tensor => {
    const { weight = null, posWeight = null } = options;
    sameForm("binaryCrossEntropyWithLogits", logits, target);
    // -log sigmoid(x) for positives, x more for negatives.
    const yes = logSigmoid(logits).neg();
    const no = target.neg().add(1);
    const losses = posWeight
      ? no.mul(logits).add(posWeight.sub(1).mul(target).add(1).mul(yes))
      : no.mul(logits).add(yes);
    return reduced("binaryCrossEntropyWithLogits", weight ? losses.mul(weight) : losses, options);
  },
);

/** Binary cross-entropy with logits times (1 - p of the target)^gamma (Lin et al. 2017), for many easy negatives. */
export const focalLoss = inFloat32((logits: Tensor, target: Tensor, options: FocalOptions = {}): Tensor => {
  const { alpha = 0.25, gamma = 2 } = options;
  const no = target.neg().add(1);
  const entropy = binaryCrossEntropyWithLogits(logits, target, { reduction: "none" });
  const missed = sigmoid(logits).mul(no).add(sigmoid(logits.neg()).mul(target));
  const losses = entropy.mul(missed.pow(gamma));
  const weighted = alpha === null ? losses : losses.mul(target.mul(alpha).add(no.mul(1 - alpha)));
  return reduced("focalLoss", weighted, options);
});
