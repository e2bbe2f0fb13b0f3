import { ShapeError, showShape } from "../core/errors.ts";
import { sameShape, sizeOf } from "../core/shape.ts";
import { makeNode, type Node, type Primitive } from "../graph/node.ts";

export interface AttentionAttrs {
  /** Factor of the scores. */
  readonly scale: number;
  /** Whether query i sees keys 0 to i only. */
  readonly causal: boolean;
}

/** Widest query or value that the fused kernels take. */
export const widestHead = 128;

/** Sizes of attention over q [b.., tq, d], k [b.., tk, d], v [b.., tk, dv] and perhaps a mask [b.., tq, tk]. */
export function attentionSizes(name: string, [q, k, v, mask]: readonly Node[]) {
  const batch = q.shape.slice(0, -2);
  const [tq, d] = q.shape.slice(-2);
  const [tk, dv] = v.shape.slice(-2);
  const fits =
    q.shape.length >= 2 &&
    sameShape(k.shape, [...batch, tk, d]) &&
    sameShape(v.shape, [...batch, tk, dv]) &&
    (!mask || sameShape(mask.shape, [...batch, tq, tk]));
  if (!fits)
    throw new ShapeError(
      `${name}: q [b.., tq, d], k [b.., tk, d], v [b.., tk, dv] and a mask [b.., tq, tk] do not fit: ` +
        [q, k, v, mask].flatMap((x) => (x ? [showShape(x.shape)] : [])).join(", "),
    );
  const dtypes = [q, k, v].every((x) => x.dtype === q.dtype) && (q.dtype === "f32" || q.dtype === "f64");
  if (!dtypes || (mask && mask.dtype !== "bool" && mask.dtype !== q.dtype))
    throw new ShapeError(
      `${name}: q, k and v are all f32 or all f64 and the mask bool or of the same, got ` +
        [q, k, v, mask].flatMap((x) => (x ? [x.dtype] : [])).join(", "),
    );
  return { batch, tq, tk, d, dv, outputs: sizeOf(batch) * tq * dv, rows: sizeOf(batch) * tq };
}

/**
 * softmax(scale q k^T + mask) v, flat, followed by the logarithm of each query's sum of exponentials: [b.. tq dv + b.. tq].
 * A bool mask says who sees whom; a query that sees no key gives 0. The gradient is `attentionGrad`, which
 * `scaledDotProductAttention` attaches.
 */
export const attentionPrim: Primitive<AttentionAttrs> = {
  name: "attention",
  infer(inputs) {
    const { outputs, rows } = attentionSizes("attention", inputs);
    return { shape: [outputs + rows], dtype: inputs[0].dtype };
  },
};
export const attention = (operands: readonly Node[], attrs: AttentionAttrs): Node =>
  makeNode(attentionPrim, operands, attrs);

/**
 * Cotangents of q, k and v, flat, one after the other. Inputs: those of `attention`, its result, and the cotangent of
 * softmax(..) v [b.., tq, dv].
 */
export const attentionGradPrim: Primitive<AttentionAttrs> = {
  name: "attentionGrad",
  infer(inputs) {
    const { batch, tq, dv, outputs, rows } = attentionSizes("attentionGrad", inputs.slice(0, -2));
    const [saved, ct] = inputs.slice(-2);
    if (!sameShape(saved.shape, [outputs + rows]) || !sameShape(ct.shape, [...batch, tq, dv]))
      throw new ShapeError(
        `attentionGrad: the saved result ${showShape(saved.shape)} must be [${outputs + rows}], the cotangent ` +
          `${showShape(ct.shape)} must be ${showShape([...batch, tq, dv])}`,
      );
    return { shape: [inputs.slice(0, 3).reduce((n, x) => n + sizeOf(x.shape), 0)], dtype: inputs[0].dtype };
  },
};
export const attentionGrad = (operands: readonly Node[], saved: Node, ct: Node, attrs: AttentionAttrs): Node =>
  makeNode(attentionGradPrim, [...operands, saved, ct], attrs);
