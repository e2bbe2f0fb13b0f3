import { ManabiError } from "../core/errors.ts";
import { sizeOf } from "../core/shape.ts";
import { embedding } from "../ops/indexing.ts";
import type { Tensor } from "../ops/tensor.ts";
import { type Initializer, normal } from "./init.ts";
import { Module, type Param, param } from "./module.ts";

/** Rows of a trainable table by index: integers [..] -> [.., d]. */
export class Embedding extends Module {
  weight: Param; // [rows, d]
  readonly paddingIdx: number | null;

  /** The row `paddingIdx` starts as zeros and gets no gradient. */
  constructor(rows: number, dim: number, options: { readonly paddingIdx?: number | null } = {}) {
    super();
    const { paddingIdx = null } = options;
    if (paddingIdx !== null && (!Number.isInteger(paddingIdx) || paddingIdx < -rows || paddingIdx >= rows))
      throw new ManabiError(`Embedding: paddingIdx ${paddingIdx} is none of the ${rows} rows`);
    this.paddingIdx = paddingIdx;
    this.weight = param([rows, dim], paddingIdx === null ? normal() : normalButRow((paddingIdx + rows) % rows));
  }

  forward(index: Tensor): Tensor {
    return embedding(index, this.weight, { paddingIdx: this.paddingIdx });
  }
}

const normalButRow =
  (row: number): Initializer =>
  (shape, dtype, key) => {
    const values = normal()(shape, dtype, key);
    const size = sizeOf(shape.slice(1));
    return values.fill(0, row * size, (row + 1) * size) as typeof values;
  };
