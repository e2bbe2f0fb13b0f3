import { ManabiError } from "../../core/errors.ts";

/** Shapley values of n examples for one number of the model's output: base + the sum of an example's values is the output. */
export interface ShapValues {
  /** Explained examples, n. */
  readonly count: number;
  /** Features or groups of them that share the output among themselves. */
  readonly names: readonly string[];
  /** What each feature adds to the output: [n, features]. */
  readonly values: Float64Array<ArrayBuffer>;
  /** The output expected where nothing is known of an example: [n]. */
  readonly base: Float64Array<ArrayBuffer>;
  /** What the model says of each example: [n]. */
  readonly outputs: Float64Array<ArrayBuffer>;
  /** The features of the examples [n, features]; null where players are not numbers, as words and superpixels. */
  readonly data: Float64Array<ArrayBuffer> | null;
  /** How far the values were from adding up: the largest |base + sum of values - output|. */
  readonly gap: number;
  /** Standard errors of values that were estimated from random draws, [n, features]; null where there are none. */
  readonly standardErrors: Float64Array<ArrayBuffer> | null;
}

/** How far values may be from adding up, relative to the largest of output, base and values. */
export const tolerances = {
  /** Exact, sampled by design, linear, trees: rounding of f64. */
  exact: 1e-6,
  /** Deep SHAP: rounding of f32 through a network. */
  deep: 1e-3,
} as const;

/** Values whose gap is known. Throws where it is larger than `tolerance`; null only reports it. */
function checkedValues(method: string, shap: Omit<ShapValues, "gap">, tolerance: number | null): ShapValues {
  const features = shap.names.length;
  let gap = 0;
  for (let i = 0; i < shap.count; i++) {
    const [base, output] = [shap.base[i], shap.outputs[i]];
    const own = shap.values.subarray(i * features, (i + 1) * features);
    const sum = own.reduce((a, b) => a + b, base);
    const size = own.reduce(
      (most, value) => Math.max(most, Math.abs(value)),
      Math.max(Math.abs(output), Math.abs(base)),
    );
    const miss = Math.abs(sum - output);
    const allowed = tolerance === null ? Number.POSITIVE_INFINITY : tolerance * size;
    if (!(miss <= allowed))
      throw new ManabiError(
        `${method}: base ${base} and the values of example ${i} add up to ${sum}, the model's output is ${output}, so they do not explain it; the gap ${miss} may be ${allowed}. A model does this whose score of an example differs from call to call or with the others in its batch, as dropout and batch normalization in training mode: call eval() first`,
      );
    gap = Math.max(gap, miss);
  }
  return { ...shap, gap };
}

/** One entry per target from numbers laid out [examples, targets, features] and [examples, targets]. */
export function perTarget(
  method: string,
  shared: Pick<ShapValues, "count" | "names" | "data">,
  sums: {
    readonly targets: number;
    readonly values: Float64Array;
    readonly standardErrors?: Float64Array | null;
    readonly base: Float64Array;
    readonly outputs: Float64Array;
  },
  tolerance: number | null,
): ShapValues[] {
  const { targets } = sums;
  const features = shared.names.length;
  const pick = (all: Float64Array, target: number, width: number): Float64Array<ArrayBuffer> => {
    const own = new Float64Array(shared.count * width);
    for (let i = 0; i < shared.count; i++) {
      const at = (i * targets + target) * width;
      own.set(all.subarray(at, at + width), i * width);
    }
    return own;
  };
  return Array.from({ length: targets }, (_, t) =>
    checkedValues(
      method,
      {
        ...shared,
        values: pick(sums.values, t, features),
        base: pick(sums.base, t, 1),
        outputs: pick(sums.outputs, t, 1),
        standardErrors: sums.standardErrors ? pick(sums.standardErrors, t, features) : null,
      },
      tolerance,
    ),
  );
}
