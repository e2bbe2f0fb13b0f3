import { isFloat } from "../core/dtype.ts";
import { ManabiError, ShapeError, showShape } from "../core/errors.ts";
import { broadcastShapes, sameShape } from "../core/shape.ts";
import { arange } from "./creation.ts";
import { dropout } from "./dropout.ts";
import { stopGradient } from "./grad.ts";
import { defaultGenerator, type Generator } from "./random.ts";
import { product, productOperand, type Tensor, where } from "./tensor.ts";
import { roundedOnce } from "./wide.ts";

export interface AttentionOptions {
  /** Broadcasts to [.., q, k]. Bool: true lets a query see a key. Float: added to the scores. */
  readonly mask?: Tensor | null;
  /** Whether query i sees keys 0 to i only. */
  readonly isCausal?: boolean;
  /** Factor of the scores; default 1 / sqrt(d). */
  readonly scale?: number | null;
  /** Probability of dropping a weight. */
  readonly dropout?: number;
  readonly generator?: Generator;
}

/**
 * Weights [.., q, k] of softmax(query key^T scale + mask); a query that sees no key gets zeros. Scores and softmax of
 * 16-bit operands, which autocast makes of them, are f32.
 */
export const attentionWeights = (query: Tensor, key: Tensor, options: AttentionOptions = {}): Tensor =>
  weigh(productOperand(query), productOperand(key), options);

const weigh = roundedOnce((query: Tensor, key: Tensor, options: AttentionOptions): Tensor => {
  const { mask = null, isCausal = false, scale = null } = options;
  const [q, k] = [query.shape.at(-2), key.shape.at(-2)];
  if (q === undefined || k === undefined || query.rank !== key.rank || query.shape.at(-1) !== key.shape.at(-1))
    throw new ShapeError(
      `scaledDotProductAttention: query ${showShape(query.shape)} must be [.., q, d] and key ${showShape(key.shape)} ` +
        "[.., k, d] of the same rank and d",
    );
  const factor = scale ?? 1 / Math.sqrt(query.shape[query.rank - 1]);
  const scores = product(query.mul(factor), key.transpose());
  const seen = visible(scores, q, k, mask, isCausal);
  const biased = mask && isFloat(mask.dtype) ? scores.add(mask) : scores;
  const hidden = seen ? where(seen, biased, Number.NEGATIVE_INFINITY) : biased;
  const highest = stopGradient(hidden.max(-1, { keepDims: true }));
  if (!mask) {
    const e = hidden.sub(highest).exp();
    return e.div(e.sum(-1, { keepDims: true }));
  }
  // Where no key is visible the maximum is -Infinity and all terms are 0.
  const e = hidden.sub(where(highest.eq(Number.NEGATIVE_INFINITY), 0, highest)).exp();
  const total = e.sum(-1, { keepDims: true });
  return e.div(where(total.eq(0), 1, total));
});

/** Which keys each query sees, or null for all. */
function visible(scores: Tensor, q: number, k: number, mask: Tensor | null, isCausal: boolean): Tensor | null {
  if (mask) {
    if (mask.dtype !== "bool" && !isFloat(mask.dtype))
      throw new ManabiError(`scaledDotProductAttention: the mask must be bool or float, it is ${mask.dtype}`);
    if (!sameShape(broadcastShapes("scaledDotProductAttention", mask.shape, scores.shape), scores.shape))
      throw new ShapeError(
        `scaledDotProductAttention: mask ${showShape(mask.shape)} does not broadcast to ${showShape(scores.shape)}`,
      );
  }
  const causal = isCausal ? arange(k).le(arange(q).unsqueeze(1)) : null;
  const allowed = mask?.dtype === "bool" ? mask : null;
  return causal && allowed ? causal.and(allowed) : (causal ?? allowed);
}

/**
 * softmax(query key^T / sqrt(d) + mask) value: query [.., q, d], key [.., k, d], value [.., k, dv] -> [.., q, dv]
 * (Vaswani et al. 2017).
 */
export function scaledDotProductAttention(
  query: Tensor,
  key: Tensor,
  value: Tensor,
  options: AttentionOptions = {},
): Tensor {
  if (value.rank !== key.rank || value.shape.at(-2) !== key.shape.at(-2))
    throw new ShapeError(
      `scaledDotProductAttention: value ${showShape(value.shape)} must be [.., k, dv] with the k of key ${showShape(key.shape)}`,
    );
  return dropout(
    attentionWeights(query, key, options),
    options.dropout ?? 0,
    options.generator ?? defaultGenerator,
  ).matmul(value);
}
