import { ManabiError } from "../../core/errors.ts";
import type { BlackBox } from "../scores.ts";
import { type Coalitions, playerData, type ShapOptions, scoreCoalitions } from "./coalitions.ts";
import type { Masker } from "./masker.ts";
import { perTarget, type ShapValues, tolerances } from "./shap-values.ts";

/** More have more than 65,536 coalitions. */
const mostPlayers = 16;

/**
 * Shapley values by their definition (Shapley 1953): what a player adds to a coalition, averaged over all coalitions of
 * the others with weight |S|! (p - |S| - 1)! / p!. One entry per target. Scores 2^p coalitions of each example times the
 * variants of the masker; throws for more than 16 players.
 */
export async function exactShap<Batch>(
  score: BlackBox<Batch>,
  masker: Masker<Batch>,
  options: ShapOptions = {},
): Promise<ShapValues[]> {
  const players = masker.names.length;
  if (players > mostPlayers)
    throw new ManabiError(
      `exactShap: ${players} players have 2^${players} coalitions, and at most ${mostPlayers} players are computed exactly; join players into groups, or use kernelShap or permutationShap`,
    );
  const scores = await scoreCoalitions(score, masker, allCoalitions(players), options);
  const count = 2 ** players;
  const targets = scores.columns;
  const value = (example: number, coalition: number, target: number) =>
    scores.data[(example * count + coalition) * targets + target];
  const weights = coalitionWeights(players);
  const values = new Float64Array(masker.examples * targets * players);
  const base = new Float64Array(masker.examples * targets);
  const outputs = new Float64Array(masker.examples * targets);
  for (let i = 0; i < masker.examples; i++)
    for (let t = 0; t < targets; t++) {
      const at = i * targets + t;
      base[at] = value(i, 0, t);
      outputs[at] = value(i, count - 1, t);
      for (let coalition = 0; coalition < count; coalition++)
        for (let p = 0; p < players; p++) {
          const bit = 1 << p;
          if (coalition & bit) continue;
          const added = value(i, coalition | bit, t) - value(i, coalition, t);
          values[at * players + p] += weights[bitCount(coalition)] * added;
        }
    }
  const shared = { count: masker.examples, names: masker.names, data: await playerData(masker) };
  return perTarget("exactShap", shared, { targets, values, base, outputs }, tolerances.exact);
}

/** All 2^players coalitions; bit p of a coalition's place says whether player p is in. */
function allCoalitions(players: number): Coalitions {
  const count = 2 ** players;
  const present = new Uint8Array(count * players);
  for (let i = 0; i < count; i++) for (let p = 0; p < players; p++) present[i * players + p] = (i >> p) & 1;
  return { count, players, present };
}

/** Weight of a coalition of s of the other players: s! (p - s - 1)! / p!. */
export function coalitionWeights(players: number): Float64Array<ArrayBuffer> {
  const weights = new Float64Array(players);
  weights[0] = 1 / players;
  for (let s = 1; s < players; s++) weights[s] = (weights[s - 1] * s) / (players - s);
  return weights;
}

export function bitCount(bits: number): number {
  let count = 0;
  for (let rest = bits; rest; rest &= rest - 1) count++;
  return count;
}
