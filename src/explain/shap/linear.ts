import { Matrix, pseudoInverse } from "ml-matrix";
import { ManabiError, showShape } from "../../core/errors.ts";
import { Rng, seedKey } from "../../core/rng.ts";
import type { Tensor } from "../../ops/tensor.ts";
import { bitCount, coalitionWeights } from "./exact.ts";
import { checkTable, playerNames } from "./masker.ts";
import { perTarget, type ShapValues, tolerances } from "./shap-values.ts";

/** x weight^T + bias, as a `Linear` layer has them. */
export interface LinearModel {
  /** [outputs, features] */
  readonly weight: Tensor;
  /** [outputs] */
  readonly bias: Tensor | null;
}

export interface LinearShapOptions {
  /** What absent features are: independent of the present ones, as if set by hand ("interventional", default), or what
   *  the present ones let one expect, by a normal distribution with the background's mean and covariance
   *  ("correlation_dependent"). */
  readonly featurePerturbation?: "interventional" | "correlation_dependent";
  readonly names?: readonly string[];
  /** With more than 12 features: random orders, each walked both ways, that the correlated values are averaged over. */
  readonly permutations?: number;
  readonly seed?: number;
}

/** Up to this many features the correlated values are computed over all coalitions. */
const mostEnumerated = 12;

/**
 * Shapley values of a linear model of x [n, features], in closed form. Interventional: weight (x - mean of the
 * background), Lundberg and Lee 2017. Correlated: features that tell of others share their credit (Aas et al. 2021);
 * the values are then linear in x - mean too. One entry per output.
 */
export async function linearShap(
  { weight, bias }: LinearModel,
  x: Tensor,
  background: Tensor,
  options: LinearShapOptions = {},
): Promise<ShapValues[]> {
  checkTable("linearShap", x, background);
  const [count, features] = x.shape;
  if (weight.rank !== 2 || weight.shape[1] !== features || (bias && bias.size !== weight.shape[0]))
    throw new ManabiError(
      `linearShap: weight ${showShape(weight.shape)} and bias ${bias ? showShape(bias.shape) : "null"} must be [outputs, ${features}] and [outputs] for x ${showShape(x.shape)}`,
    );
  const { featurePerturbation = "interventional", names } = options;
  const w = await toMatrix(weight);
  const rows = await toMatrix(x);
  const known = await toMatrix(background);
  const offset = bias ? Float64Array.from(await bias.data(), Number) : new Float64Array(w.rows);
  const mean = known.mean("column");
  const shares =
    featurePerturbation === "interventional"
      ? null
      : correlatedShares(w, covariance(known, mean), options.permutations ?? 1000, options.seed ?? 0);
  const targets = w.rows;
  const values = new Float64Array(count * targets * features);
  const base = new Float64Array(count * targets);
  const outputs = new Float64Array(count * targets);
  for (let i = 0; i < count; i++) {
    const row = rows.getRow(i);
    const centred = row.map((value, j) => value - mean[j]);
    for (let t = 0; t < targets; t++) {
      const at = i * targets + t;
      base[at] = offset[t] + inner(w.getRow(t), mean);
      outputs[at] = offset[t] + inner(w.getRow(t), row);
      for (let j = 0; j < features; j++)
        values[at * features + j] = shares ? inner(shares[t].getRow(j), centred) : w.get(t, j) * centred[j];
    }
  }
  const shared = {
    count,
    names: playerNames("linearShap", names, features, "feature"),
    data: Float64Array.from(rows.to1DArray()),
  };
  return perTarget("linearShap", shared, { targets, values, base, outputs }, tolerances.exact);
}

const inner = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, i) => sum + value * b[i], 0);

async function toMatrix(t: Tensor): Promise<Matrix> {
  return Matrix.from1DArray(t.shape[0], t.shape[1], Array.from(await t.data(), Number));
}

/** Of the columns, over n - 1. */
function covariance(rows: Matrix, mean: readonly number[]): Matrix {
  if (rows.rows < 2)
    throw new ManabiError(
      `linearShap: a background of ${rows.rows} row has no covariance; give more rows, many more than features`,
    );
  const centred = rows.clone().subRowVector([...mean]);
  return centred
    .transpose()
    .mmul(centred)
    .div(rows.rows - 1);
}

/**
 * For each output the matrix [features, features] that maps x - mean to the values: the average over coalitions of what
 * a feature changes in the conditional expectation of the output.
 */
function correlatedShares(weight: Matrix, cov: Matrix, permutations: number, seed: number): Matrix[] {
  const features = cov.rows;
  const shares = Array.from({ length: weight.rows }, () => Matrix.zeros(features, features));
  const add = (feature: number, share: number, withIt: Matrix, without: Matrix) => {
    for (const [t, own] of shares.entries())
      for (let j = 0; j < features; j++)
        own.set(feature, j, own.get(feature, j) + share * (withIt.get(t, j) - without.get(t, j)));
  };
  if (features <= mostEnumerated) {
    const slopes = Array.from({ length: 2 ** features }, (_, bits) =>
      conditionalSlopes(
        weight,
        cov,
        Array.from({ length: features }, (_, j) => j).filter((j) => (bits >> j) & 1),
      ),
    );
    const shareOf = coalitionWeights(features);
    for (const [bits, without] of slopes.entries())
      for (let j = 0; j < features; j++)
        if (!((bits >> j) & 1)) add(j, shareOf[bitCount(bits)], slopes[bits | (1 << j)], without);
    return shares;
  }
  const rng = new Rng(seedKey(seed));
  for (let n = 0; n < permutations; n++) {
    const order = [...rng.permutation(features)];
    for (const walk of [order, order.toReversed()]) {
      let without = conditionalSlopes(weight, cov, []);
      for (const [k, feature] of walk.entries()) {
        const withIt = conditionalSlopes(weight, cov, walk.slice(0, k + 1));
        add(feature, 1 / (2 * permutations), withIt, without);
        without = withIt;
      }
    }
  }
  return shares;
}

/**
 * E[weight x | x of the known features] is linear in x - mean of the known: its slopes, [outputs, features], 0 for the
 * unknown. For a normal distribution those of the unknown u given the known k are cov_uk cov_kk^-1; the pseudo-inverse
 * takes features that are constant or copies of each other.
 */
function conditionalSlopes(weight: Matrix, cov: Matrix, known: readonly number[]): Matrix {
  const slopes = Matrix.zeros(weight.rows, cov.rows);
  if (known.length === 0) return slopes;
  const unknown = Array.from({ length: cov.rows }, (_, j) => j).filter((j) => !known.includes(j));
  const all = Array.from({ length: weight.rows }, (_, t) => t);
  let own = weight.selection(all, [...known]);
  if (unknown.length > 0) {
    const regression = cov.selection(unknown, [...known]).mmul(inverseOf(cov.selection([...known], [...known])));
    own = own.add(weight.selection(all, unknown).mmul(regression));
  }
  for (const t of all) for (const [k, j] of known.entries()) slopes.set(t, j, own.get(t, k));
  return slopes;
}

/** By way of correlations, so that the scales of the features do not decide what counts as singular. */
function inverseOf(cov: Matrix): Matrix {
  const scales = cov.diagonal().map((variance) => (variance > 0 ? 1 / Math.sqrt(variance) : 0));
  const scaled = (m: Matrix) => m.mulRowVector(scales).mulColumnVector(scales);
  return scaled(pseudoInverse(scaled(cov), 1e-10));
}
