import { maxIndex } from "d3-array";
import { scoreInCalls } from "../calls.ts";
import { type BlackBox, type SamplingOptions, type Target, targetScores } from "../scores.ts";
import type { Neighbourhood } from "./moments.ts";
import { type FeatureWeight, fitSurrogate, type Surrogate, type SurrogateOptions } from "./surrogate.ts";

export interface LimeOptions extends SamplingOptions, SurrogateOptions {
  /** What is explained, each on its own from the same samples; default: the class of the highest score. */
  readonly targets?: readonly Target[];
  /** Examples to score, the explained one among them. */
  readonly samples?: number;
  /** Width of the kernel that turns distances into weights. */
  readonly kernelWidth?: number;
}

/** Why a target's score is what it is, by a linear model of the surroundings. */
export interface Explanation<W extends FeatureWeight = FeatureWeight> extends Surrogate<W> {
  readonly target: Target;
  /** The model's score of the explained example. */
  readonly score: number;
}

/** Scores of samples for one target. */
export interface TargetScores {
  readonly target: Target;
  readonly scores: Float64Array<ArrayBuffer>;
}

/** Scores of `count` samples, of which sample 0 is the explained example. */
export async function scoreSamples<Batch>(
  blackBox: BlackBox<Batch>,
  count: number,
  make: (samples: Int32Array) => Batch,
  { targets, batchSize = 64, onProgress, signal }: LimeOptions,
): Promise<TargetScores[]> {
  let found: TargetScores[] | null = null;
  for await (const call of scoreInCalls(blackBox, count, make, { batchSize, onProgress, signal })) {
    found ??= (targets ?? [highest(call.data.subarray(0, call.columns))]).map((target) => ({
      target,
      scores: new Float64Array(count),
    }));
    const chosen = targetScores(
      call,
      found.map(({ target }) => target),
      call.first,
    );
    for (const [t, { scores }] of found.entries())
      for (let i = 0; i < call.used; i++) scores[call.first + i] = chosen.data[i * chosen.columns + t];
  }
  return found ?? [];
}

/** The class of the highest score; 0 where none is a number, which reading it then tells. */
const highest = (row: Float64Array): number => Math.max(0, maxIndex(row));

/** A surrogate for each target, with its weights completed by what is known of the features. */
export function explain<W extends FeatureWeight>(
  neighbourhood: Neighbourhood,
  scored: readonly TargetScores[],
  options: LimeOptions,
  complete: (weight: FeatureWeight) => W,
): Explanation<W>[] {
  return scored.map(({ target, scores }) => {
    const surrogate = fitSurrogate(neighbourhood, scores, options);
    return { target, score: scores[0], ...surrogate, weights: surrogate.weights.map(complete) };
  });
}
