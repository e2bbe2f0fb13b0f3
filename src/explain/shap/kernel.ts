import { CholeskyDecomposition, Matrix } from "ml-matrix";
import { ManabiError } from "../../core/errors.ts";
import { Rng, seedKey } from "../../core/rng.ts";
import { lassoPath } from "../lime/selection.ts";
import type { BlackBox } from "../scores.ts";
import { CoalitionSet, playerData, type ShapOptions, scoreCoalitions } from "./coalitions.ts";
import type { Masker } from "./masker.ts";
import { perTarget, type ShapValues, tolerances } from "./shap-values.ts";

export interface KernelShapOptions extends ShapOptions {
  /** Coalitions to score besides the empty one and that of all players; default 2 players + 2048. From 2^players - 2 on
   *  all are scored and the values are exact. */
  readonly budget?: number;
  /** Keeps this many players at most, the first on the path of the lasso, for explanations of few players; the others get
   *  0 and what they had goes to those kept. Default: all. */
  readonly features?: number;
}

/**
 * KernelSHAP (Lundberg and Lee 2017): Shapley values as the weighted least squares fit of an additive model to the scores
 * of coalitions, under the constraint that the values add up, which is met by elimination of one of them. Coalitions of
 * few and of nearly all players, whose weight is largest, are scored completely as far as the budget goes; the rest are
 * drawn at random with their complements (paired sampling, Covert and Lee 2021). One entry per target.
 */
export async function kernelShap<Batch>(
  score: BlackBox<Batch>,
  masker: Masker<Batch>,
  options: KernelShapOptions = {},
): Promise<ShapValues[]> {
  const players = masker.names.length;
  const { budget = 2 * players + 2048, features = players, seed = 0 } = options;
  if (!Number.isInteger(budget) || budget < 2 * players)
    throw new ManabiError(
      `kernelShap: a budget of ${budget} coalitions for ${players} players; take an integer of at least ${2 * players}, twice their number`,
    );
  if (!Number.isInteger(features) || features < 1)
    throw new ManabiError(`kernelShap: features is ${features}; keep an integer number of players, at least 1`);
  const set = new CoalitionSet(players);
  const weights = chooseCoalitions(set, budget, new Rng(seedKey(seed)));
  const scores = await scoreCoalitions(score, masker, set.toCoalitions(), options);
  const { columns: targets } = scores;
  const size = masker.examples * targets;
  const base = new Float64Array(size);
  const outputs = new Float64Array(size);
  const responses = new Matrix(set.size - 2, size);
  for (let i = 0; i < masker.examples; i++)
    for (let t = 0; t < targets; t++) {
      const value = (place: number) => scores.data[(i * set.size + place) * targets + t];
      const at = i * targets + t;
      base[at] = value(0);
      outputs[at] = value(1);
      for (let place = 2; place < set.size; place++) responses.set(place - 2, at, value(place) - base[at]);
    }
  const totals = outputs.map((output, at) => output - base[at]);
  const sampled = { set, weights, responses, totals };
  const values =
    features < players ? fitSparse(sampled, features) : fitAdditive(sampled, everyPlayer(players), [...totals.keys()]);
  const shared = { count: masker.examples, names: masker.names, data: await playerData(masker) };
  return perTarget("kernelShap", shared, { targets, values, base, outputs }, tolerances.exact);
}

/** Coalitions and what they are worth. */
interface Sampled {
  /** Those from place 2 on count. */
  readonly set: CoalitionSet;
  /** Of each of them. */
  readonly weights: readonly number[];
  /** Their scores less that of the empty coalition, a column per example and target. */
  readonly responses: Matrix;
  /** The score of all players less that of none, per column. */
  readonly totals: Float64Array<ArrayBuffer>;
}

const everyPlayer = (players: number): number[] => Array.from({ length: players }, (_, p) => p);

/** Adds coalitions to `set` and returns the weight of each from place 2 on. */
function chooseCoalitions(set: CoalitionSet, budget: number, rng: Rng): number[] {
  const { players } = set;
  const weights: number[] = [];
  const add = (present: Uint8Array, weight: number) => {
    const place = set.add(present) - 2;
    weights[place] = (weights[place] ?? 0) + weight;
  };
  // A class holds the coalitions of s players and, unless s is half of all, of all but s.
  const classes = Array.from({ length: Math.floor(players / 2) }, (_, i) => {
    const s = i + 1;
    const twice = 2 * s === players ? 1 : 2;
    return { s, coalitions: twice * binomial(players, s), mass: (twice * (players - 1)) / (s * (players - s)) };
  });
  let left = budget;
  let mass = classes.reduce((sum, c) => sum + c.mass, 0);
  while (classes.length > 0 && (left * classes[0].mass) / mass >= classes[0].coalitions * (1 - 1e-9)) {
    const { s, coalitions, mass: own } = classes.shift() as (typeof classes)[number];
    for (const members of combinations(players, s)) {
      add(coalitionOf(players, members), own / coalitions);
      if (2 * s !== players) add(complement(coalitionOf(players, members)), own / coalitions);
    }
    left -= coalitions;
    mass -= own;
  }
  if (classes.length === 0) return weights;
  // Random ones share the mass that is left.
  const complete = weights.length;
  const last = set.size + left;
  for (let draws = 0; set.size + 1 < last && draws < 4 * budget; draws++) {
    let at = rng.uniform(0, mass);
    const { s } = classes.find((c) => (at -= c.mass) <= 0) ?? classes[classes.length - 1];
    const present = coalitionOf(players, rng.permutation(players).subarray(0, s));
    add(present, 1);
    add(complement(present), 1);
  }
  const drawn = weights.slice(complete).reduce((sum, w) => sum + w, 0);
  return weights.map((w, i) => (i < complete ? w : (w * mass) / drawn));
}

/**
 * Additive values [columns, players] of the players `kept`, whose sums are the totals of the columns `at`, that fit the
 * responses best. The last one is eliminated: its value is the total less the others'.
 */
function fitAdditive(
  { set, weights, responses, totals }: Sampled,
  kept: readonly number[],
  at: readonly number[],
): Float64Array<ArrayBuffer> {
  const last = kept[kept.length - 1];
  const free = kept.slice(0, -1);
  const values = new Float64Array(at.length * set.players);
  const fitted = free.length > 0 ? solve() : null;
  for (const [i, column] of at.entries()) {
    let rest = totals[column];
    for (const [f, p] of free.entries()) {
      const value = (fitted as Matrix).get(f, i);
      values[i * set.players + p] = value;
      rest -= value;
    }
    values[i * set.players + last] = rest;
  }
  return values;

  function solve(): Matrix {
    const design = new Matrix(weights.length, free.length);
    const targets = new Matrix(weights.length, at.length);
    for (let r = 0; r < weights.length; r++) {
      const row = set.row(r + 2);
      for (const [f, p] of free.entries()) design.set(r, f, row[p] - row[last]);
      for (const [i, column] of at.entries()) targets.set(r, i, responses.get(r, column) - row[last] * totals[column]);
    }
    const weighted = design.transpose().mulRowVector([...weights]);
    const gram = new CholeskyDecomposition(weighted.mmul(design));
    const pivots = gram.lowerTriangularMatrix.diagonal();
    if (!(Math.min(...pivots) > 1e-7 * Math.max(...pivots)))
      throw new ManabiError(
        `kernelShap: the ${weights.length} coalitions drawn do not determine the values of ${kept.length} players; raise the budget, or join players into groups`,
      );
    return gram.solve(weighted.mmul(targets));
  }
}

/**
 * As `fitAdditive`, with the players of each column chosen by the lasso. The constraint is met half way there, as in the
 * package `shap`: each coalition counts once from nothing and once from all players, weighted by how many are missing.
 */
function fitSparse(sampled: Sampled, features: number): Float64Array<ArrayBuffer> {
  const { set, weights, responses, totals } = sampled;
  const { players } = set;
  const design = new Matrix(2 * weights.length, players + 1);
  const values = new Float64Array(totals.length * players);
  for (const [column, total] of totals.entries()) {
    for (const [r, weight] of weights.entries()) {
      const row = set.row(r + 2);
      const size = row.reduce((sum, flag) => sum + flag, 0);
      const [fromNone, fromAll] = [Math.sqrt(weight * (players - size)), Math.sqrt(weight * size)];
      for (let p = 0; p < players; p++) {
        design.set(2 * r, p, fromNone * row[p]);
        design.set(2 * r + 1, p, fromAll * (row[p] - 1));
      }
      design.set(2 * r, players, fromNone * responses.get(r, column));
      design.set(2 * r + 1, players, fromAll * (responses.get(r, column) - total));
    }
    const found = lassoPath({ products: design.transpose().mmul(design) }, features);
    const kept = found.length > 0 ? found : [0]; // a score that never changes
    values.set(fitAdditive(sampled, kept, [column]), column * players);
  }
  return values;
}

function binomial(n: number, k: number): number {
  let result = 1;
  for (let i = 1; i <= k; i++) result = (result * (n - k + i)) / i;
  return Math.round(result);
}

/** All sets of k of the numbers below n, in lexicographic order. */
function* combinations(n: number, k: number): Generator<readonly number[]> {
  const chosen = Array.from({ length: k }, (_, i) => i);
  for (;;) {
    yield chosen;
    let i = k - 1;
    while (i >= 0 && chosen[i] === n - k + i) i--;
    if (i < 0) return;
    chosen[i]++;
    for (let j = i + 1; j < k; j++) chosen[j] = chosen[j - 1] + 1;
  }
}

function coalitionOf(players: number, members: Iterable<number>): Uint8Array {
  const present = new Uint8Array(players);
  for (const p of members) present[p] = 1;
  return present;
}

const complement = (present: Uint8Array): Uint8Array => present.map((flag) => 1 - flag);
