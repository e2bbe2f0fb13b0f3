import { scoreInCalls } from "../calls.ts";
import { type BlackBox, type SamplingOptions, type ScoreTable, type Target, targetScores } from "../scores.ts";
import type { MaskedRows, Masker } from "./masker.ts";

export interface ShapOptions extends SamplingOptions {
  /** What is explained, each on its own; default: every class. */
  readonly targets?: readonly Target[];
}

/** Coalitions of players, 1 for those that are in: [count, players]. */
export interface Coalitions {
  readonly count: number;
  readonly players: number;
  readonly present: Uint8Array<ArrayBuffer>;
}

/** Values of coalitions: [examples, coalitions, columns], an entry of `columns` per target. */
export type CoalitionScores = ScoreTable;

/** The mean score of every example with every coalition, over the masker's variants. */
export async function scoreCoalitions<Batch>(
  score: BlackBox<Batch>,
  masker: Masker<Batch>,
  coalitions: Coalitions,
  { targets, batchSize = masker.batchSize, onProgress, signal }: ShapOptions,
): Promise<CoalitionScores> {
  const { variants, examples } = masker;
  const total = examples * coalitions.count * variants;
  const make = (samples: Int32Array) => masker.mask(maskedRows(samples, variants, coalitions));
  let means: CoalitionScores | null = null;
  for await (const call of scoreInCalls(score, total, make, { batchSize, onProgress, signal })) {
    const { columns, data } = targetScores(call, targets, call.first);
    means ??= { columns, data: new Float64Array(examples * coalitions.count * columns) };
    for (let i = 0; i < call.used; i++) {
      const at = Math.floor((call.first + i) / variants) * columns;
      for (let t = 0; t < columns; t++) means.data[at + t] += data[i * columns + t] / variants;
    }
  }
  return means as CoalitionScores;
}

/** Rows for samples that are numbered by example, then coalition, then variant. */
function maskedRows(samples: Int32Array, variants: number, coalitions: Coalitions): MaskedRows {
  const { players, present: flags } = coalitions;
  const count = samples.length;
  const present = new Uint8Array(count * players);
  const example = new Int32Array(count);
  const variant = new Int32Array(count);
  for (const [i, sample] of samples.entries()) {
    const scored = Math.floor(sample / variants);
    const coalition = scored % coalitions.count;
    variant[i] = sample % variants;
    example[i] = Math.floor(scored / coalitions.count);
    present.set(flags.subarray(coalition * players, (coalition + 1) * players), i * players);
  }
  return { count, present, example, variant };
}

/** A set of distinct coalitions that grows; starts with the empty one at 0 and the one of all players at 1. */
export class CoalitionSet {
  readonly players: number;
  readonly #rows: Uint8Array[] = [];
  readonly #places = new Map<string, number>();

  constructor(players: number) {
    this.players = players;
    this.add(new Uint8Array(players));
    this.add(new Uint8Array(players).fill(1));
  }

  get size(): number {
    return this.#rows.length;
  }

  /** The place of a coalition, which is copied where it is new. */
  add(present: Uint8Array): number {
    const key = String.fromCharCode(...packed(present));
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    this.#places.set(key, this.#rows.length);
    this.#rows.push(present.slice());
    return this.#rows.length - 1;
  }

  row(place: number): Uint8Array {
    return this.#rows[place];
  }

  toCoalitions(): Coalitions {
    const present = new Uint8Array(this.size * this.players);
    for (const [i, row] of this.#rows.entries()) present.set(row, i * this.players);
    return { count: this.size, players: this.players, present };
  }
}

/** 15 flags in each number. */
function packed(flags: Uint8Array): number[] {
  const words = Array.from({ length: Math.ceil(flags.length / 15) }, () => 0);
  for (const [i, flag] of flags.entries()) if (flag) words[Math.floor(i / 15)] |= 1 << (i % 15);
  return words;
}

/** The players' numbers [examples, players] on the host. */
export async function playerData<Batch>({ data }: Masker<Batch>): Promise<Float64Array<ArrayBuffer> | null> {
  return data && Float64Array.from(await data.data(), Number);
}
