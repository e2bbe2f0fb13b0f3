import { ManabiError } from "../../core/errors.ts";
import { Rng, seedKey } from "../../core/rng.ts";
import type { BlackBox } from "../scores.ts";
import { CoalitionSet, playerData, type ShapOptions, scoreCoalitions } from "./coalitions.ts";
import type { Masker } from "./masker.ts";
import { perTarget, type ShapValues, tolerances } from "./shap-values.ts";

export interface PermutationShapOptions extends ShapOptions {
  /** Random orders of the players; each is walked forwards and backwards. */
  readonly permutations?: number;
}

/** Places of the coalitions before and after each player joins: coalition `path[k]` without and `path[k + 1]` with
 *  player `order[k]`. */
interface Walk {
  readonly order: ArrayLike<number>;
  readonly path: readonly number[];
}

/**
 * Shapley values from random orders in which the players join (Castro et al. 2009), each also walked backwards
 * (antithetic, Mitchell et al. 2022), which makes them exact where players interact in pairs at most. They add up
 * whatever the number of orders. One entry per target, with standard errors from the spread over orders.
 */
export async function permutationShap<Batch>(
  score: BlackBox<Batch>,
  masker: Masker<Batch>,
  options: PermutationShapOptions = {},
): Promise<ShapValues[]> {
  const { permutations = 10, seed = 0 } = options;
  if (!Number.isInteger(permutations) || permutations < 1)
    throw new ManabiError(`permutationShap: permutations is ${permutations}; it must be an integer of at least 1`);
  const players = masker.names.length;
  const set = new CoalitionSet(players);
  const rng = new Rng(seedKey(seed));
  const pairs = Array.from({ length: permutations }, () => {
    const order = rng.permutation(players);
    return [walk(order, set), walk(order.slice().reverse(), set)];
  });
  const scores = await scoreCoalitions(score, masker, set.toCoalitions(), options);
  const { columns: targets } = scores;
  const size = masker.examples * targets;
  const values = new Float64Array(size * players);
  const squares = new Float64Array(size * players);
  const base = new Float64Array(size);
  const outputs = new Float64Array(size);
  const estimate = new Float64Array(players);
  for (let at = 0; at < size; at++) {
    const [example, target] = [Math.floor(at / targets), at % targets];
    const value = (place: number) => scores.data[(example * set.size + place) * targets + target];
    base[at] = value(0);
    outputs[at] = value(1);
    for (const [n, pair] of pairs.entries()) {
      estimate.fill(0);
      for (const { order, path } of pair)
        for (let k = 0; k < players; k++) estimate[order[k]] += (value(path[k + 1]) - value(path[k])) / 2;
      for (let p = 0; p < players; p++) accumulate(values, squares, at * players + p, estimate[p], n + 1);
    }
  }
  const standardErrors =
    permutations === 1 ? null : squares.map((sum) => Math.sqrt(sum / (permutations - 1) / permutations));
  const shared = { count: masker.examples, names: masker.names, data: await playerData(masker) };
  return perTarget("permutationShap", shared, { targets, values, standardErrors, base, outputs }, tolerances.exact);
}

function walk(order: ArrayLike<number>, set: CoalitionSet): Walk {
  const present = new Uint8Array(set.players);
  const path = [0];
  for (let k = 0; k < order.length; k++) {
    present[order[k]] = 1;
    path.push(set.add(present));
  }
  return { order, path };
}

/** Takes the n-th value at `at` into its mean and its sum of squared deviations (Welford 1962). */
export function accumulate(means: Float64Array, squares: Float64Array, at: number, value: number, n: number): void {
  const before = value - means[at];
  means[at] += before / n;
  squares[at] += before * (value - means[at]);
}
