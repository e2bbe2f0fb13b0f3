import { type BlackBox, readTargets, type SamplingOptions, type ScoreTable, type Target } from "../scores.ts";
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

/**
 * The mean score of every example with every coalition, over the masker's variants. The black box is called with as many
 * rows each time, so that a model compiled for a shape is compiled once; the last call is filled up with its last row.
 */
export async function scoreCoalitions<Batch>(
  score: BlackBox<Batch>,
  masker: Masker<Batch>,
  coalitions: Coalitions,
  { targets, batchSize = masker.batchSize, onProgress, signal }: ShapOptions,
): Promise<CoalitionScores> {
  const { variants, examples } = masker;
  const total = examples * coalitions.count * variants;
  const size = Math.ceil(total / Math.ceil(total / batchSize));
  let means: CoalitionScores | null = null;
  for (let first = 0; first < total; first += size) {
    signal?.throwIfAborted();
    const { columns, data } = await readTargets(await score(masker.mask(rowsFrom(first))), size, targets);
    means ??= { columns, data: new Float64Array(examples * coalitions.count * columns) };
    const used = Math.min(size, total - first);
    for (let i = 0; i < used; i++) {
      const at = Math.floor((first + i) / variants) * columns;
      for (let t = 0; t < columns; t++) means.data[at + t] += data[i * columns + t] / variants;
    }
    onProgress?.(first + used, total);
  }
  return means as CoalitionScores;

  function rowsFrom(first: number): MaskedRows {
    const { players } = coalitions;
    const present = new Uint8Array(size * players);
    const example = new Int32Array(size);
    const variant = new Int32Array(size);
    for (let i = 0; i < size; i++) {
      const row = Math.min(first + i, total - 1);
      const scored = Math.floor(row / variants);
      const coalition = scored % coalitions.count;
      variant[i] = row % variants;
      example[i] = Math.floor(scored / coalitions.count);
      present.set(coalitions.present.subarray(coalition * players, (coalition + 1) * players), i * players);
    }
    return { count: size, present, example, variant };
  }
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
