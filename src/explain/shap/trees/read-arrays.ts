import { checkEnsemble, type Tree, type TreeEnsemble } from "./ensemble.ts";

/** A tree as plain arrays, as JSON has it; the fields are those of `Tree`. */
export interface TreeArrays {
  readonly left: readonly number[];
  readonly right: readonly number[];
  readonly feature: readonly number[];
  readonly threshold: readonly number[];
  /** A row of `outputs` numbers for each node. */
  readonly value: readonly (readonly number[])[];
  readonly cover?: readonly number[];
  readonly missingLeft?: readonly number[];
}

export interface EnsembleArrays {
  readonly trees: readonly TreeArrays[];
  readonly features: number;
  readonly outputs: number;
  readonly scale?: number;
  readonly offset?: readonly number[];
  readonly names?: readonly string[];
  readonly roundsToFloat32?: boolean;
}

/**
 * Trees from plain arrays, such as a JSON file of scikit-learn's: `tree_.children_left`, `children_right`, `feature`,
 * `threshold`, `value` and `weighted_n_node_samples` (cover) of each estimator; `scale` 1 / trees for a forest, the
 * learning rate for boosting, whose first guess is the offset; `roundsToFloat32` true.
 */
export function treesFromArrays(source: EnsembleArrays): TreeEnsemble {
  const { features, outputs, names, roundsToFloat32 = false } = source;
  const trees = source.trees.map(
    (t): Tree => ({
      left: Int32Array.from(t.left),
      right: Int32Array.from(t.right),
      feature: Int32Array.from(t.feature),
      threshold: Float64Array.from(t.threshold),
      missingLeft: Uint8Array.from(t.missingLeft ?? t.left.map(() => 0)),
      value: Float64Array.from(t.value.flat()),
      cover: Float64Array.from(t.cover ?? t.left.map(() => Number.NaN)),
    }),
  );
  return checkEnsemble({
    trees,
    features,
    outputs,
    scale: source.scale ?? 1,
    offset: Float64Array.from(source.offset ?? Array.from({ length: outputs }, () => 0)),
    names,
    roundsToFloat32,
  });
}

/** One node of a nested tree: an inner one with its children, or a leaf with what it predicts. */
export type NestedNode<N> =
  | {
      readonly feature: number;
      readonly threshold: number;
      readonly missingLeft?: boolean;
      readonly left: N;
      readonly right: N;
      readonly cover?: number;
    }
  | { readonly value: readonly number[]; readonly cover?: number };

/** A nested tree as arrays, in the order of a walk that goes left first. */
export function flattenTree<N>(root: N, outputs: number, read: (node: N) => NestedNode<N>): TreeArrays {
  const arrays = {
    left: [] as number[],
    right: [] as number[],
    feature: [] as number[],
    threshold: [] as number[],
    missingLeft: [] as number[],
    value: [] as (readonly number[])[],
    cover: [] as number[],
  };
  const nothing = Array.from({ length: outputs }, () => 0);
  const visit = (node: N): number => {
    const seen = read(node);
    const at = arrays.left.length;
    const inner = "left" in seen;
    arrays.left.push(-1);
    arrays.right.push(-1);
    arrays.feature.push(inner ? seen.feature : -1);
    arrays.threshold.push(inner ? seen.threshold : 0);
    arrays.missingLeft.push(inner && seen.missingLeft ? 1 : 0);
    arrays.value.push(inner ? nothing : seen.value);
    arrays.cover.push(seen.cover ?? Number.NaN);
    if (inner) {
      arrays.left[at] = visit(seen.left);
      arrays.right[at] = visit(seen.right);
    }
    return at;
  };
  visit(root);
  return arrays;
}

/** `value` in the place of `output` among `outputs` zeros. */
export const atOutput = (value: number, output: number, outputs: number): number[] =>
  Array.from({ length: outputs }, (_, k) => (k === output ? value : 0));

/** The largest f64 below x, so that v < x is v <= below(x). */
export function below(x: number): number {
  if (!Number.isFinite(x)) return x === Number.POSITIVE_INFINITY ? Number.MAX_VALUE : x;
  if (x === 0) return -Number.MIN_VALUE;
  const bits = new BigInt64Array(Float64Array.of(x).buffer);
  bits[0] += x > 0 ? -1n : 1n;
  return new Float64Array(bits.buffer)[0];
}
