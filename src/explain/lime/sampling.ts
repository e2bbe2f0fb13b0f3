import { maxIndex } from "d3-array";
import { ManabiError } from "../../core/errors.ts";
import { type BlackBox, readScores, readTarget, type SamplingOptions, type Target } from "../scores.ts";
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

/**
 * Scores of `count` samples, of which sample 0 is the explained example. The calls are of one size, so that a model is
 * compiled once; where `count` does not divide, sample 0 fills up the last one.
 */
export async function scoreSamples<Batch>(
  blackBox: BlackBox<Batch>,
  count: number,
  make: (samples: Int32Array) => Batch,
  { targets, batchSize = 64, onProgress, signal }: LimeOptions,
): Promise<TargetScores[]> {
  if (!(batchSize >= 1)) throw new ManabiError(`batchSize is ${batchSize}; a call needs one example at least`);
  const size = Math.ceil(count / Math.ceil(count / batchSize));
  let found: TargetScores[] | null = null;
  for (let first = 0; first < count; first += size) {
    signal?.throwIfAborted();
    const samples = Int32Array.from({ length: size }, (_, i) => (first + i < count ? first + i : 0));
    const { columns, data } = await readScores(await blackBox(make(samples)), size);
    const rows = Array.from(samples, (_, i) => data.subarray(i * columns, (i + 1) * columns));
    found ??= (targets ?? [highest(rows[0])]).map((target) => ({ target, scores: new Float64Array(count) }));
    const used = Math.min(size, count - first);
    for (const { target, scores } of found) scores.set((await readTarget(rows, size, target)).subarray(0, used), first);
    onProgress?.(first + used, count);
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
