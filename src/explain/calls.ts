import { ManabiError } from "../core/errors.ts";
import { type BlackBox, readScores, type SamplingOptions, type ScoreTable } from "./scores.ts";

/** What one call of a black box gave. */
export interface ScoredCall extends ScoreTable {
  /** The sample of the first row. */
  readonly first: number;
  /** Rows that count; the others fill the call up. */
  readonly used: number;
}

/**
 * Scores of `count` samples, call by call. The calls are of one size, so that a model is compiled once; where `count` does
 * not divide, sample 0 fills up the last one.
 */
export async function* scoreInCalls<Batch>(
  blackBox: BlackBox<Batch>,
  count: number,
  make: (samples: Int32Array<ArrayBuffer>) => Batch,
  { batchSize, onProgress, signal }: SamplingOptions & { readonly batchSize: number },
): AsyncGenerator<ScoredCall> {
  if (!(batchSize >= 1)) throw new ManabiError(`batchSize is ${batchSize}; a call needs one example at least`);
  const size = Math.ceil(count / Math.ceil(count / batchSize));
  for (let first = 0; first < count; first += size) {
    signal?.throwIfAborted();
    const samples = Int32Array.from({ length: size }, (_, i) => (first + i < count ? first + i : 0));
    const table = await readScores(await blackBox(make(samples)), size);
    const used = Math.min(size, count - first);
    yield { ...table, first, used };
    onProgress?.(first + used, count);
  }
}
