/** Losses under each reduction against PyTorch and torchvision. */
import * as m from "../../src/index.ts";
import { type Call, callBy, testFamily } from "./cases.ts";

const table: Record<string, Call> = {
  crossEntropy: ({ logits, target, weight = null }, options: m.CrossEntropyOptions) =>
    m.crossEntropy(logits, target, { ...options, weight }),
  nllLoss: ({ logits, target, weight = null }, options: m.NllOptions) =>
    m.nllLoss(m.logSoftmax(logits, 1), target, { ...options, weight }),
  bce: ({ input, target }, options: m.BinaryOptions) => m.binaryCrossEntropy(input, target, options),
  bceWithLogits: ({ logits, target, posWeight = null }, options: m.BinaryWithLogitsOptions) =>
    m.binaryCrossEntropyWithLogits(logits, target, { ...options, posWeight }),
  // torchvision writes "no weights" as alpha < 0
  focalLoss: ({ logits, target }, { alpha, ...options }: m.FocalOptions & { readonly alpha: number }) =>
    m.focalLoss(logits, target, { ...options, alpha: alpha < 0 ? null : alpha }),
  mse: ({ input, target }, options: m.ReductionOptions) => m.mseLoss(input, target, options),
  l1: ({ input, target }, options: m.ReductionOptions) => m.l1Loss(input, target, options),
  smoothL1: ({ input, target }, options: m.ReductionOptions & { readonly beta?: number }) =>
    m.smoothL1Loss(input, target, options),
  huber: ({ input, target }, options: m.ReductionOptions & { readonly delta?: number }) =>
    m.huberLoss(input, target, options),
  klDiv: ({ logInput, target }, options: m.KlDivOptions) => m.klDiv(logInput, target, options),
  cosineEmbedding: ({ a, b, target }, options: m.MarginOptions) => m.cosineEmbeddingLoss(a, b, target, options),
  cosineSimilarity: ({ a, b }, { axis }: { readonly axis: number }) => m.cosineSimilarity(a, b, axis),
  hingeEmbedding: ({ input, target }, options: m.MarginOptions) => m.hingeEmbeddingLoss(input, target, options),
  multiMargin: ({ logits, target, weight = null }, options: m.MultiMarginOptions) =>
    m.multiMarginLoss(logits, target, { ...options, weight }),
  tripletMargin: ({ anchor, positive, negative }, options: m.TripletMarginOptions) =>
    m.tripletMarginLoss(anchor, positive, negative, options),
};

await testFamily("losses", callBy(table));
