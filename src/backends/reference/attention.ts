import type { TypedArray } from "../../core/dtype.ts";
import { sizeOf } from "../../core/shape.ts";
import type { Spec } from "../../graph/node.ts";
import type { AttentionAttrs } from "../../primitives/attention.ts";
import { type Kernels, rounded } from "./kernel.ts";

export const attention = {
  attention({ node, inputs, specs, attrs }) {
    const problem = problemOf(inputs, specs, attrs);
    const { batches, tq, tk, dv } = problem;
    const v = inputs[2];
    const result = new Float64Array(sizeOf(node.shape));
    for (let b = 0; b < batches; b++)
      for (let i = 0; i < tq; i++) {
        const { weights, logSum } = weightsOf(problem, b, i);
        const row = b * tq + i;
        for (let j = 0; j < tk; j++)
          for (let c = 0; c < dv; c++) result[row * dv + c] += weights[j] * v[(b * tk + j) * dv + c];
        result[batches * tq * dv + row] = logSum;
      }
    return rounded(node, result);
  },

  attentionGrad({ node, inputs, specs, attrs }) {
    const problem = problemOf(inputs.slice(0, -2), specs, attrs);
    const { batches, tq, tk, d, dv, q, k } = problem;
    const v = inputs[2];
    const ct = inputs[inputs.length - 1];
    const result = new Float64Array(sizeOf(node.shape));
    const [dk, dvalues] = [batches * tq * d, batches * (tq + tk) * d];
    for (let b = 0; b < batches; b++)
      for (let i = 0; i < tq; i++) {
        const { weights } = weightsOf(problem, b, i);
        const row = b * tq + i;
        const slopes = new Float64Array(tk);
        let mean = 0;
        for (let j = 0; j < tk; j++) {
          for (let c = 0; c < dv; c++) {
            const at = (b * tk + j) * dv + c;
            slopes[j] += ct[row * dv + c] * v[at];
            result[dvalues + at] += weights[j] * ct[row * dv + c];
          }
          mean += weights[j] * slopes[j];
        }
        for (let j = 0; j < tk; j++) {
          const slope = attrs.scale * weights[j] * (slopes[j] - mean);
          for (let c = 0; c < d; c++) {
            const at = (b * tk + j) * d + c;
            result[row * d + c] += slope * k[at];
            result[dk + at] += slope * q[row * d + c];
          }
        }
      }
    return rounded(node, result);
  },
} satisfies Kernels<"attention" | "attentionGrad">;

interface Problem extends AttentionAttrs {
  readonly batches: number;
  readonly tq: number;
  readonly tk: number;
  readonly d: number;
  readonly dv: number;
  readonly q: TypedArray;
  readonly k: TypedArray;
  readonly mask: TypedArray | undefined;
  readonly maskHides: boolean;
}

function problemOf([q, k, , mask]: readonly TypedArray[], specs: readonly Spec[], attrs: AttentionAttrs): Problem {
  const [tq, d] = specs[0].shape.slice(-2);
  const [tk, dv] = specs[2].shape.slice(-2);
  const batches = sizeOf(specs[0].shape.slice(0, -2));
  return { ...attrs, batches, tq, tk, d, dv, q, k, mask, maskHides: specs[3]?.dtype === "bool" };
}

/** The weights of one query, all 0 if it sees no key, and the logarithm of its sum of exponentials, then 0. */
function weightsOf(p: Problem, b: number, i: number): { weights: Float64Array; logSum: number } {
  const { tq, tk, d, q, k, mask, maskHides, causal, scale } = p;
  const weights = new Float64Array(tk);
  let highest = Number.NEGATIVE_INFINITY;
  for (let j = 0; j < tk; j++) {
    let score = 0;
    for (let c = 0; c < d; c++) score += q[(b * tq + i) * d + c] * k[(b * tk + j) * d + c];
    score *= scale;
    const given = mask?.[(b * tq + i) * tk + j];
    if (given !== undefined) score = !maskHides ? score + given : given ? score : Number.NEGATIVE_INFINITY;
    weights[j] = causal && j > i ? Number.NEGATIVE_INFINITY : score;
    highest = Math.max(highest, weights[j]);
  }
  if (highest === Number.NEGATIVE_INFINITY) return { weights: weights.fill(0), logSum: 0 };
  let sum = 0;
  for (let j = 0; j < tk; j++) sum += weights[j] = Math.exp(weights[j] - highest);
  for (let j = 0; j < tk; j++) weights[j] /= sum;
  return { weights, logSum: highest + Math.log(sum) };
}
