import { type AttentionAttrs, attention, attentionGrad, attentionSizes } from "../primitives/attention.ts";
import { customVjp, vjp } from "./grad.ts";
import { concatenate, Tensor } from "./tensor.ts";

/** Attention as a formula, by which second-order gradients and those of a mask are taken: q, k, v, mask -> output. */
type Formula = (q: Tensor, k: Tensor, v: Tensor, mask: Tensor | null) => Tensor;

const nodes = (tensors: readonly Tensor[]) => tensors.map((t) => t.node);

/**
 * softmax(scale q k^T + mask) v by kernels that keep no matrix of weights: q [b.., tq, d], k [b.., tk, d],
 * v [b.., tk, dv], mask bool or like q [b.., tq, tk].
 */
export function fusedAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  mask: Tensor | null,
  attrs: AttentionAttrs,
  formula: Formula,
): Tensor {
  const operands = mask ? [q, k, v, mask] : [q, k, v];
  const { batch, tq, dv, outputs } = attentionSizes("scaledDotProductAttention", nodes(operands));
  const outputOf = (flat: Tensor) => flat.slice(0, 0, outputs).reshape([...batch, tq, dv]);
  const forward = customVjp(
    (...x: Tensor[]) => new Tensor(attention(nodes(x), attrs)),
    ({ ct, out, inputs }) => {
      const [q, k, v, mask = null] = inputs;
      // Nothing reads the sums of exponentials but the gradient, which differentiates by the formula.
      const own = outputOf(ct);
      const flat = gradient(attrs, formula)(...inputs, out, own);
      const ofMask = (m: Tensor) => vjp((x) => formula(q, k, v, x), m)[1](own)[0];
      return [...parts(flat, [q, k, v]), ...(mask ? [mask.dtype === "bool" ? null : ofMask(mask)] : [])];
    },
  );
  return outputOf(forward(...operands));
}

/** The cotangents of q, k and v as one flat tensor; takes q, k, v, mask if any, the flat forward result, a cotangent. */
const gradient = (attrs: AttentionAttrs, formula: Formula) =>
  customVjp(
    (...x: Tensor[]) =>
      new Tensor(attentionGrad(nodes(x.slice(0, -2)), x[x.length - 2].node, x[x.length - 1].node, attrs)),
    ({ ct, inputs }) => {
      const [q, k, v, mask = null] = inputs.slice(0, -2);
      const own = inputs[inputs.length - 1];
      const learned = mask && mask.dtype !== "bool" ? [mask] : [];
      const byFormula = (q: Tensor, k: Tensor, v: Tensor, ct: Tensor, m: Tensor | null = mask) => {
        const [, pull] = vjp((q, k, v) => formula(q, k, v, m), q, k, v);
        return concatenate(pull(ct).map((g) => g.reshape([-1])));
      };
      const [, pull] = vjp(byFormula as (...primals: Tensor[]) => Tensor, q, k, v, own, ...learned);
      const [dq, dk, dv, dct, dMask = null] = pull(ct);
      return [dq, dk, dv, ...(mask ? [dMask] : []), null, dct];
    },
  );

/** A flat tensor taken apart into the shapes of `like`. */
function parts(flat: Tensor, like: readonly Tensor[]): Tensor[] {
  let start = 0;
  return like.map((x) => {
    const part = flat.slice(0, start, start + x.size).reshape(x.shape);
    start += x.size;
    return part;
  });
}
