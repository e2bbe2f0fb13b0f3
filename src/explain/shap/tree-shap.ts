import { ManabiError } from "../../core/errors.ts";
import type { SamplingOptions } from "../scores.ts";
import { playerNames } from "./masker.ts";
import { perTarget, type ShapValues, tolerances } from "./shap-values.ts";
import { predictTrees, readRows, type TreeEnsemble } from "./trees/ensemble.ts";
import { addInterventional } from "./trees/interventional.ts";
import { addMeanValue, addPathDependent, checkCover } from "./trees/path-dependent.ts";

export interface TreeShapOptions extends Pick<SamplingOptions, "onProgress" | "signal"> {
  /** Rows that stand in for absent features, each set by hand (interventional). Left out, absent features send an example
   *  down both branches, by how many training examples went there (path-dependent). */
  readonly background?: readonly ArrayLike<number>[];
}

/**
 * Shapley values of tree ensembles in polynomial time (Lundberg et al. 2018, 2020) for rows of numbers; one entry per
 * output of the ensemble. Exact for the chosen meaning of an absent feature. The outputs are those of `predictTrees`: for
 * boosted classifiers the score before the logistic function.
 */
export async function treeShap(
  ensemble: TreeEnsemble,
  rows: readonly ArrayLike<number>[],
  options: TreeShapOptions = {},
): Promise<ShapValues[]> {
  const { features, outputs: targets, trees, scale, offset } = ensemble;
  const { background, onProgress, signal } = options;
  if (rows.length === 0) throw new ManabiError("treeShap: there are no rows to explain");
  if (background?.length === 0)
    throw new ManabiError("treeShap: the background has no rows; give some, or leave it out to go by the trees' cover");
  const read = readRows("treeShap", ensemble, rows);
  const known = background && readRows("treeShap", ensemble, background);
  if (!known) checkCover(trees);
  const expected = known ? meanPrediction(ensemble, known) : coverMean(ensemble);
  const width = targets * features;
  const values = new Float64Array(rows.length * width);
  let paused = performance.now();
  for (const [i, row] of read.entries()) {
    if (performance.now() - paused > 50) {
      await new Promise((resolve) => setTimeout(resolve)); // lets signals and other work in
      paused = performance.now();
    }
    signal?.throwIfAborted();
    const out = values.subarray(i * width, (i + 1) * width);
    for (const tree of trees)
      if (!known) addPathDependent(tree, row, targets, scale, out);
      else for (const other of known) addInterventional(tree, row, other, targets, scale / known.length, out);
    onProgress?.(i + 1, rows.length);
  }
  const base = new Float64Array(rows.length * targets);
  for (let i = 0; i < rows.length; i++)
    for (let t = 0; t < targets; t++) base[i * targets + t] = offset[t] + expected[t];
  const data = new Float64Array(rows.length * features);
  for (const [i, row] of rows.entries()) data.set(row, i * features);
  const names = playerNames("treeShap", ensemble.names, features, "feature");
  const outputs = predictTrees(ensemble, rows);
  return perTarget(
    "treeShap",
    { count: rows.length, names, data },
    { targets, values, base, outputs },
    tolerances.exact,
  );
}

/** Of the sum of the trees, without the offset: [outputs]. */
function coverMean({ trees, outputs, scale }: TreeEnsemble): Float64Array {
  const mean = new Float64Array(outputs);
  for (const tree of trees) addMeanValue(tree, outputs, mean);
  return mean.map((value) => scale * value);
}

function meanPrediction(ensemble: TreeEnsemble, rows: readonly ArrayLike<number>[]): Float64Array {
  const { outputs, offset } = ensemble;
  const predictions = predictTrees(ensemble, rows);
  return new Float64Array(outputs).map((_, t) => {
    let sum = 0;
    for (let i = 0; i < rows.length; i++) sum += predictions[i * outputs + t];
    return sum / rows.length - offset[t];
  });
}
