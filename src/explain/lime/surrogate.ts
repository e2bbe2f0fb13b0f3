import { CholeskyDecomposition, Matrix } from "ml-matrix";
import { ManabiError, unknownName } from "../../core/errors.ts";
import { type Moments, moments, type Neighbourhood } from "./moments.ts";
import { forwardSelection, lassoPath } from "./selection.ts";

/** How the columns of an explanation are chosen: those that raise R² the most one after the other, those of the largest
 *  weight times value in a fit of all, those on the path of the lasso, or all. `auto` is `forward` for six columns and
 *  fewer and `highestWeights` otherwise. */
export type FeatureSelection = "auto" | "forward" | "highestWeights" | "lassoPath" | "none";

export interface SurrogateOptions {
  /** How many columns the explanation has at most. */
  readonly features?: number;
  readonly selection?: FeatureSelection;
  /** Penalty on the squares of the weights. */
  readonly ridge?: number;
}

/** How much one feature counts. */
export interface FeatureWeight {
  /** The column of the feature, or the number of the word or superpixel. */
  readonly feature: number;
  /** How much the score falls without it. */
  readonly weight: number;
}

/** A linear model of the scores around one example. */
export interface Surrogate<W extends FeatureWeight = FeatureWeight> {
  /** The largest first, by magnitude. */
  readonly weights: readonly W[];
  readonly intercept: number;
  /** What the linear model says of the explained example. */
  readonly localPrediction: number;
  /** How well it describes the neighbourhood: the weighted R², 1 at best. Below about 0.5 the weights say little. */
  readonly fidelity: number;
}

/** sqrt(exp(-distance² / width²)), the proximity of LIME. */
export function proximity(distances: ArrayLike<number>, width: number): Float64Array<ArrayBuffer> {
  if (!(width > 0)) throw new ManabiError(`kernelWidth is ${width}; it must be above 0`);
  return Float64Array.from(distances, (distance) => Math.exp(-((distance / width) ** 2) / 2));
}

/**
 * Distances of rows of zeros and ones [examples, columns] from a row of ones: one minus the cosine of the angle, and 1
 * for rows of zeros alone.
 */
export function cosineDistances(data: ArrayLike<number>, columns: number): Float64Array<ArrayBuffer> {
  return Float64Array.from({ length: data.length / columns }, (_, i) => {
    let ones = 0;
    for (let c = 0; c < columns; c++) ones += data[i * columns + c];
    return 1 - Math.sqrt(ones / columns);
  });
}

/**
 * Fits a ridge regression to scores of a neighbourhood, each example weighted by its proximity, on the selected columns
 * (the surrogate of LIME, Ribeiro et al. 2016; the weights are those of the package `lime`). Where the scores do not
 * differ, all weights are 0 and the fidelity is 1. Throws where there are not more examples than columns.
 */
export function fitSurrogate(
  neighbourhood: Neighbourhood,
  scores: Float64Array,
  options: SurrogateOptions = {},
): Surrogate {
  const { features = Number.POSITIVE_INFINITY, selection = "auto", ridge = 1 } = options;
  const { examples, columns, data } = neighbourhood;
  checkSamples(examples, columns);
  if (!(features >= 1)) throw new ManabiError(`features is ${features}; an explanation needs one at least`);
  const known = moments(neighbourhood, scores);
  const chosen = select(known, data, Math.min(features, columns), selection);
  const weights = solveRidge(known, chosen, ridge);
  const offset = chosen.reduce((sum, c, i) => sum + known.means[c] * weights[i], 0);
  const intercept = known.meanScore - offset;
  return {
    weights: chosen
      .map((feature, i) => ({ feature, weight: weights[i] }))
      .sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight)),
    intercept,
    localPrediction: chosen.reduce((sum, c, i) => sum + data[c] * weights[i], intercept),
    fidelity: fidelity(known, chosen, weights),
  };
}

/** Throws where there are too few examples to tell the columns apart. */
export function checkSamples(samples: number, columns: number): void {
  if (!Number.isInteger(samples)) throw new ManabiError(`samples is ${samples}; it must be an integer`);
  if (samples > columns) return;
  throw new ManabiError(
    `samples is ${samples}, which cannot tell ${columns} features apart; take more samples than features, better ten times as many`,
  );
}

function select(known: Moments, row: ArrayLike<number>, features: number, selection: FeatureSelection): number[] {
  switch (selection) {
    case "none":
      return Array.from({ length: known.means.length }, (_, c) => c);
    case "forward":
      return forwardSelection(known, features);
    case "highestWeights":
      return highestWeights(known, row, features);
    case "lassoPath":
      return lassoPath(known, features);
    case "auto":
      return select(known, row, features, features <= 6 ? "forward" : "highestWeights");
    default:
      throw unknownName("selection", selection, ["auto", "forward", "highestWeights", "lassoPath", "none"]);
  }
}

/** The columns whose weight, in a nearly free fit of all, times the explained example's value is largest. */
function highestWeights(known: Moments, row: ArrayLike<number>, count: number): number[] {
  const all = Array.from({ length: known.means.length }, (_, c) => c);
  const sizes = solveRidge(known, all, 0.01).map((weight, c) => Math.abs(weight * row[c]));
  return all.sort((a, b) => sizes[b] - sizes[a]).slice(0, count);
}

/** Weights of the columns with the given penalty. */
function solveRidge({ products }: Moments, columns: readonly number[], ridge: number): number[] {
  if (columns.length === 0) return [];
  const system = products.selection([...columns], [...columns]);
  for (const i of columns.keys()) system.set(i, i, system.get(i, i) + ridge);
  const sides = products.selection([...columns], [products.columns - 1]);
  const factors = new CholeskyDecomposition(system);
  if (!factors.isPositiveDefinite())
    throw new ManabiError(
      `ridge is ${ridge}; features that occur together need a penalty above 0 to share their weight`,
    );
  return factors.solve(Matrix.checkMatrix(sides)).to1DArray();
}

/** The weighted R² of a fit, from its sum of squared residuals. */
function fidelity({ products }: Moments, columns: readonly number[], weights: readonly number[]): number {
  const last = products.columns - 1;
  const total = products.get(last, last);
  if (total === 0) return 1;
  let residual = total;
  for (const [i, a] of columns.entries()) {
    residual -= 2 * weights[i] * products.get(a, last);
    for (const [j, b] of columns.entries()) residual += weights[i] * weights[j] * products.get(a, b);
  }
  return 1 - residual / total;
}
