export {
  type BinaryOptions,
  type BinaryWithLogitsOptions,
  binaryCrossEntropy,
  binaryCrossEntropyWithLogits,
  type FocalOptions,
  focalLoss,
} from "./binary.ts";
export {
  type CrossEntropyOptions,
  crossEntropy,
  type MultiMarginOptions,
  multiMarginLoss,
  type NllOptions,
  nllLoss,
} from "./classification.ts";
export {
  cosineEmbeddingLoss,
  cosineSimilarity,
  hingeEmbeddingLoss,
  type KlDivOptions,
  klDiv,
  type MarginOptions,
  type TripletMarginOptions,
  tripletMarginLoss,
} from "./comparison.ts";
export { type NtXentOptions, ntXent } from "./contrastive.ts";
export type { Reduction, ReductionOptions } from "./reduction.ts";
export { huberLoss, l1Loss, mseLoss, smoothL1Loss } from "./regression.ts";
