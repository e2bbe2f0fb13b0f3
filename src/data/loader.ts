import { setImmediate as macrotask } from "node:timers/promises";
import type { HostArray } from "../core/dtype.ts";
import { ManabiError } from "../core/errors.ts";
import { Rng, seedKey } from "../core/rng.ts";
import type { Batch, BatchJob } from "./batch.ts";
import { BatchMaker, orderKey } from "./batch.ts";
import type { Dataset } from "./dataset.ts";
import { checkTransforms } from "./transforms/index.ts";
import type { Transform } from "./transforms/literals.ts";

export interface LoaderOptions {
  readonly batchSize: number;
  /** Decides the order and every random transform; the same seed gives the same batches. */
  readonly seed?: number;
  /** A new random order every epoch. */
  readonly shuffle?: boolean;
  /** Leave out the last batch of an epoch when it is not full. */
  readonly dropLast?: boolean;
  /** What is done to the image of every sample, in order. */
  readonly transforms?: readonly Transform[];
}

/** Where a loader stands: the next batch is number `batch` of `epoch`. */
export interface LoaderState {
  readonly epoch: number;
  readonly batch: number;
}

/** How long the event loop may wait for a turn while batches are read one after another. */
const TURN_MS = 50;

/**
 * Batches of a data set. Their order and content are a function of (seed, epoch, sample) alone.
 *
 *     const loader = new DataLoader(train, { batchSize: 128, shuffle: true, transforms: [normalize(mean, std)] });
 *     for await (const [images, labels] of loader.batches(0)) { ... }
 */
export class DataLoader {
  readonly dataset: Dataset;
  readonly batchSize: number;
  readonly seed: number;
  readonly shuffle: boolean;
  readonly dropLast: boolean;
  readonly #maker: BatchMaker;
  #cursor: LoaderState = { epoch: 0, batch: 0 };
  #resume: LoaderState | null = null;

  constructor(dataset: Dataset, options: LoaderOptions) {
    const { batchSize, seed = 0, shuffle = false, dropLast = false, transforms = [] } = options;
    if (!Number.isInteger(batchSize) || batchSize < 1)
      throw new ManabiError(`DataLoader: batchSize is ${batchSize}; it must be a positive integer`);
    seedKey(seed); // throws when it is not a seed
    checkTransforms(transforms);
    this.dataset = dataset;
    this.batchSize = batchSize;
    this.seed = seed;
    this.shuffle = shuffle;
    this.dropLast = dropLast;
    this.#maker = new BatchMaker(dataset, { seed, transforms });
  }

  /** Batches in an epoch. */
  get length(): number {
    const { length } = this.dataset;
    return this.dropLast ? Math.floor(length / this.batchSize) : Math.ceil(length / this.batchSize);
  }

  /** The place of the next batch: counted as soon as a batch is handed out. */
  state(): LoaderState {
    return this.#cursor;
  }

  /** Makes the next `batches(state.epoch)` begin with batch `state.batch`, as if the ones before had been read. */
  restore(state: LoaderState): void {
    if (!Number.isInteger(state.batch) || state.batch < 0 || state.batch > this.length)
      throw new ManabiError(`DataLoader: cannot go to batch ${state.batch}; an epoch has ${this.length} batches`);
    this.#cursor = state;
    this.#resume = state;
  }

  /** The samples of `epoch` in the order in which they are read. */
  order(epoch: number): Uint32Array {
    const { length } = this.dataset;
    if (this.shuffle) return new Rng(orderKey(this.seed, epoch)).permutation(length);
    return Uint32Array.from({ length }, (_, i) => i);
  }

  /** The batches of `epoch`, one array per field: images f32 [b, c, h, w] after `normalize`, labels i32 [b]. */
  async *batches(epoch: number): AsyncGenerator<HostArray[], void, void> {
    const first = this.#resume?.epoch === epoch ? this.#resume.batch : 0;
    this.#resume = null;
    const order = this.order(epoch);
    let turn = performance.now();
    for (let batch = first; batch < this.length; batch++) {
      const indices = order.subarray(batch * this.batchSize, (batch + 1) * this.batchSize);
      const { arrays } = await this.#make({ epoch, batch, indices });
      if (performance.now() - turn > TURN_MS) {
        await macrotask(); // signals and timers get their turn even when nothing else waits
        turn = performance.now();
      }
      this.#cursor = { epoch, batch: batch + 1 };
      if (arrays.length) yield arrays;
    }
  }

  #make(job: BatchJob): Promise<Batch> {
    return this.#maker.make(job);
  }
}
