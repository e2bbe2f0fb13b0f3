import { isFloat } from "../core/dtype.ts";
import { ShapeError, showShape } from "../core/errors.ts";
import { stopGradient } from "./grad.ts";
import { type Tensor, where } from "./tensor.ts";

export interface EmbeddingOptions {
  /** A row that gets no gradient; negative counts from the end. */
  readonly paddingIdx?: number | null;
}

/** Rows of weight [rows, d] at the integers in `index` (any shape): [..index, d]. */
export function embedding(index: Tensor, weight: Tensor, { paddingIdx = null }: EmbeddingOptions = {}): Tensor {
  if (weight.rank !== 2) throw new ShapeError(`embedding: weight must be [rows, d], it is ${showShape(weight.shape)}`);
  if (isFloat(index.dtype) || index.dtype === "bool")
    throw new ShapeError(`embedding: the index must hold integers, it is ${index.dtype}`);
  const picked = weight.take(index);
  if (paddingIdx === null) return picked;
  const [rows] = weight.shape;
  if (!Number.isInteger(paddingIdx) || paddingIdx < -rows || paddingIdx >= rows)
    throw new ShapeError(`embedding: paddingIdx ${paddingIdx} is no row of weight ${showShape(weight.shape)}`);
  const padding = index.eq(paddingIdx < 0 ? paddingIdx + rows : paddingIdx).unsqueeze(-1);
  return where(padding, stopGradient(picked), picked);
}
