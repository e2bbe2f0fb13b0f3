import { isFloat } from "../core/dtype.ts";
import { ManabiError, ShapeError, showShape } from "../core/errors.ts";
import { broadcastShapes, sameShape } from "../core/shape.ts";
import { widestHead } from "../primitives/attention.ts";
import { arange } from "./creation.ts";
import { dropout } from "./dropout.ts";
import { fusedAttention } from "./fused-attention.ts";
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
  const { mask = null, isCausal = false } = options;
  const { shape, factor } = checked(query, key, options);
  const [q, k] = shape.slice(-2);
  const scores = product(query.mul(factor), key.transpose());
  const causal = isCausal ? arange(k).le(arange(q).unsqueeze(1)) : null;
  const allowed = mask?.dtype === "bool" ? mask : null;
  const seen = causal && allowed ? causal.and(allowed) : (causal ?? allowed);
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

/** Shape of the scores and their factor; throws if the operands do not fit. */
function checked(query: Tensor, key: Tensor, { mask = null, scale = null }: AttentionOptions) {
  const [q, k] = [query.shape.at(-2), key.shape.at(-2)];
  if (q === undefined || k === undefined || query.rank !== key.rank || query.shape.at(-1) !== key.shape.at(-1))
    throw new ShapeError(
      `scaledDotProductAttention: query ${showShape(query.shape)} must be [.., q, d] and key ${showShape(key.shape)} ` +
        "[.., k, d] of the same rank and d",
    );
  const batch = broadcastShapes("scaledDotProductAttention", query.shape.slice(0, -2), key.shape.slice(0, -2));
  const shape = [...batch, q, k];
  if (mask) {
    if (mask.dtype !== "bool" && !isFloat(mask.dtype))
      throw new ManabiError(`scaledDotProductAttention: the mask must be bool or float, it is ${mask.dtype}`);
    if (!sameShape(broadcastShapes("scaledDotProductAttention", mask.shape, shape), shape))
      throw new ShapeError(
        `scaledDotProductAttention: mask ${showShape(mask.shape)} does not broadcast to ${showShape(shape)}`,
      );
  }
  return { shape, factor: scale ?? 1 / Math.sqrt(query.shape[query.rank - 1]) };
}

/** Whether the fused kernels take these operands; the formula takes all. */
function isFusable(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | null): boolean {
  const { dtype } = query;
  const widths = [query.shape[query.rank - 1], value.shape[value.rank - 1]];
  return (
    [key, value].every((t) => t.dtype === dtype) &&
    (!mask || mask.dtype === "bool" || mask.dtype === dtype) &&
    query.rank <= 2 + mostBatchAxes &&
    [query, key, value].every((t) => t.size > 0) &&
    widths.every((w) => w <= widestHead)
  );
}
const mostBatchAxes = 8;

/**
 * softmax(query key^T / sqrt(d) + mask) value: query [.., q, d], key [.., k, d], value [.., k, dv] -> [.., q, dv]
 * (Vaswani et al. 2017). Without dropout, and for heads of at most 128 features, no [q, k] matrix is kept in memory.
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
  const { mask = null, isCausal = false, dropout: p = 0, generator = defaultGenerator } = options;
  const { shape, factor } = checked(query, key, options);
  const operands = [query, key, value].map(productOperand);
  if (p > 0 || !isFusable(operands[0], operands[1], operands[2], mask))
    return dropout(attentionWeights(query, key, options), p, generator).matmul(value);
  const [q, k] = shape.slice(-2);
  const batch = broadcastShapes("scaledDotProductAttention", shape.slice(0, -2), value.shape.slice(0, -2));
  const spread = (t: Tensor, ...last: number[]) => t.broadcastTo([...batch, ...last]);
  const fused = roundedOnce((query: Tensor, key: Tensor, value: Tensor, mask: Tensor | null) =>
    fusedAttention(
      spread(query, q, query.shape[query.rank - 1]),
      spread(key, k, query.shape[query.rank - 1]),
      spread(value, k, value.shape[value.rank - 1]),
      mask && spread(mask, q, k),
      { scale: factor, causal: isCausal },
      (q, k, v, m) => product(weigh(q, k, { mask: m, isCausal, scale: factor }), v),
    ),
  );
  return fused(operands[0], operands[1], operands[2], mask);
}
