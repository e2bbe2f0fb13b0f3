import { ManabiError, ShapeError, showShape } from "../../core/errors.ts";
import { arange, eye } from "../creation.ts";
import { concatenate, type Tensor, where } from "../tensor.ts";
import { inFloat32 } from "../wide.ts";
import { crossEntropy } from "./classification.ts";
import { type ReductionOptions, sameForm } from "./reduction.ts";

export interface NtXentOptions extends ReductionOptions {
  /** Divides the cosines. Default 0.5. */
  readonly temperature?: number;
}

/**
 * Normalized temperature-scaled cross-entropy (Chen et al. 2020, SimCLR): each of the 2 n vectors shall be nearer, by the
 * cosine, to the other view of its image than to the remaining 2 n - 2. a, b [n, d], row i of both from one image; without
 * reduction the result is [2 n], a's first.
 */
export const ntXent = inFloat32((a: Tensor, b: Tensor, options: NtXentOptions = {}): Tensor => {
  const { temperature = 0.5, reduction } = options;
  sameForm("ntXent", a, b);
  if (a.rank !== 2) throw new ShapeError(`ntXent: the vectors are [n, d], got ${showShape(a.shape)}`);
  if (!(temperature > 0)) throw new ManabiError(`ntXent: temperature ${temperature} must be above 0`);
  const [n] = a.shape;
  const all = concatenate([a, b], 0);
  const unit = all.div(all.square().sum(1, { keepDims: true }).maximum(1e-16).sqrt());
  const cosines = unit.matmul(unit.transpose()).div(temperature);
  const others = where(eye(2 * n).gt(0), Number.NEGATIVE_INFINITY, cosines);
  // Row i's partner is n rows on.
  const partners = arange(2 * n, undefined, 1, { dtype: "i32" })
    .add(n)
    .mod(2 * n);
  return crossEntropy(others, partners, { reduction });
});
