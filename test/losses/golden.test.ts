/** Losses against PyTorch. */
import {
  binaryCrossEntropy,
  binaryCrossEntropyWithLogits,
  cosineEmbeddingLoss,
  cosineSimilarity,
  crossEntropy,
  focalLoss,
  hingeEmbeddingLoss,
  huberLoss,
  klDiv,
  l1Loss,
  mseLoss,
  multiMarginLoss,
  nllLoss,
  smoothL1Loss,
  type Tensor,
  tripletMarginLoss,
} from "../../src/index.ts";
import { type Call, callBy, testFamily } from "../golden/cases.ts";

type Loss = (input: Tensor, target: Tensor, options: object) => Tensor;
const loss =
  (fn: Loss): Call =>
  ({ input, target }, options: object) =>
    fn(input, target, options);
const ofLogits =
  (fn: Loss): Call =>
  ({ logits, target, weight, posWeight }, options: object) =>
    fn(logits, target, { weight, posWeight, ...options });

function logProbabilities(x: Tensor): Tensor {
  const shifted = x.sub(x.max(1, { keepDims: true }));
  return shifted.sub(shifted.exp().sum(1, { keepDims: true }).log());
}

const table: Record<string, Call> = {
  crossEntropy: ofLogits(crossEntropy),
  nllLoss: ofLogits((logits, target, options) => nllLoss(logProbabilities(logits), target, options)),
  bce: loss(binaryCrossEntropy),
  bceWithLogits: ofLogits(binaryCrossEntropyWithLogits),
  focalLoss: ({ logits, target }, { alpha, ...options }: { alpha: number }) =>
    focalLoss(logits, target, { alpha: alpha < 0 ? null : alpha, ...options }),
  mse: loss(mseLoss),
  l1: loss(l1Loss),
  smoothL1: loss(smoothL1Loss),
  huber: loss(huberLoss),
  klDiv: ({ logInput, target }, options: object) => klDiv(logInput, target, options),
  cosineSimilarity: ({ a, b }, { axis }: { axis: number }) => cosineSimilarity(a, b, axis),
  cosineEmbedding: ({ a, b, target }, options: object) => cosineEmbeddingLoss(a, b, target, options),
  hingeEmbedding: loss(hingeEmbeddingLoss),
  multiMargin: ofLogits(multiMarginLoss),
  tripletMargin: ({ anchor, positive, negative }, options: object) =>
    tripletMarginLoss(anchor, positive, negative, options),
};

await testFamily("losses", callBy(table));
