import { availableParallelism } from "node:os";
import { setImmediate as macrotask } from "node:timers/promises";
import type { HostArray } from "../core/dtype.ts";
import { ManabiError } from "../core/errors.ts";
import { Rng, seedKey } from "../core/rng.ts";
import type { Tensor } from "../ops/tensor.ts";
import { fromHost } from "../ops/tensor.ts";
import type { Batch, BatchJob, BatchPlan, Skipped } from "./batch.ts";
import { BatchMaker, orderKey } from "./batch.ts";
import type { Dataset, Sample } from "./dataset.ts";
import { WorkerPool } from "./pool.ts";
import { needsDecoding } from "./spec.ts";
import { checkBatchTransforms } from "./transforms/batch.ts";
import type { BatchTransform } from "./transforms/batch-literals.ts";
import { areCheap, checkTransforms } from "./transforms/index.ts";
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
  /** In place of `transforms`: as many images of every sample as there are lists, each with random numbers of its own. */
  readonly views?: readonly (readonly Transform[])[];
  /** What is done to every batch, in order: mixup, cutmix. */
  readonly batchTransforms?: readonly BatchTransform[];
  /** Threads that read, decode and transform; 0 does it on the calling thread. Content does not depend on it. */
  readonly workers?: number;
  /** Batches prepared ahead of the one in use. */
  readonly prefetch?: number;
  /** Joins the samples of a batch, on the calling thread, instead of stacking them field by field. */
  readonly collate?: (samples: readonly Sample[]) => HostArray[];
  /** Told once of each sample that could not be read and was left out; prints a warning by default. */
  readonly onSkip?: (skipped: Skipped) => void;
}

/** Where a loader stands: the next batch is number `batch` of `epoch`. */
export interface LoaderState {
  readonly epoch: number;
  readonly batch: number;
}

/** How long the event loop may wait for a turn while batches are read one after another. */
const TURN_MS = 50;

const warn = ({ sample, reason }: Skipped): void => console.warn(`skipped ${sample}: ${reason}`);

function count(name: string, value: number, least: number): number {
  if (Number.isInteger(value) && value >= least) return value;
  throw new ManabiError(`DataLoader: ${name} is ${value}; it must be an integer of at least ${least}`);
}

/** Threads pay where files are decoded or transforms are dear; one core is left to the one who asks. */
function defaultWorkers({ spec }: Dataset, { views }: BatchPlan): number {
  if (!spec || (!needsDecoding(spec) && views.every(areCheap))) return 0;
  return Math.min(8, Math.max(1, availableParallelism() - 1));
}

/**
 * Batches of a data set. Their order and content are a function of (seed, epoch, sample) alone. Worker threads stay
 * between epochs and do not keep the process alive; `close` ends them when many loaders are made.
 *
 *     const loader = new DataLoader(train, { batchSize: 128, shuffle: true, transforms: [normalize(mean, std)] });
 *     for await (const [images, labels] of loader.epoch(0)) { ... }
 */
export class DataLoader {
  readonly dataset: Dataset;
  readonly batchSize: number;
  readonly seed: number;
  readonly shuffle: boolean;
  readonly dropLast: boolean;
  readonly workers: number;
  readonly prefetch: number;
  readonly #maker: BatchMaker;
  readonly #pool: WorkerPool | null;
  readonly #collate: LoaderOptions["collate"];
  readonly #onSkip: (skipped: Skipped) => void;
  readonly #skipped = new Set<string>();
  #cursor: LoaderState = { epoch: 0, batch: 0 };
  #resume: LoaderState | null = null;

  constructor(dataset: Dataset, options: LoaderOptions) {
    const { seed = 0, transforms, batchTransforms = [], collate } = options;
    if (transforms && options.views) throw new ManabiError("DataLoader: give transforms or views, not both");
    const views = options.views ?? [transforms ?? []];
    seedKey(seed); // throws when it is not a seed
    if (views.length === 0) throw new ManabiError("DataLoader: views is empty; give a list of transforms per view");
    views.forEach(checkTransforms);
    checkBatchTransforms(batchTransforms);
    if (collate && batchTransforms.length)
      throw new ManabiError("DataLoader: batchTransforms work on stacked batches; they cannot be used with collate");
    if (views.length > 1 && batchTransforms.length)
      throw new ManabiError("DataLoader: batchTransforms work on one image per sample; they cannot be used with views");
    const plan: BatchPlan = { seed, views, batchTransforms, stacked: !collate };
    this.dataset = dataset;
    this.batchSize = count("batchSize", options.batchSize, 1);
    this.seed = seed;
    this.shuffle = options.shuffle ?? false;
    this.dropLast = options.dropLast ?? false;
    this.workers = count("workers", options.workers ?? defaultWorkers(dataset, plan), 0);
    this.prefetch = count("prefetch", options.prefetch ?? 2 * this.workers, 0);
    if (this.workers && !dataset.spec)
      throw new ManabiError(
        "DataLoader: this data set cannot be opened by worker threads (it holds functions); use workers: 0, or moduleDataset",
      );
    this.#maker = new BatchMaker(dataset, plan);
    this.#pool = this.workers && dataset.spec ? new WorkerPool(this.workers, { spec: dataset.spec, plan }) : null;
    this.#collate = collate;
    this.#onSkip = options.onSkip ?? warn;
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
  restore({ epoch, batch }: LoaderState): void {
    count("epoch", epoch, 0);
    if (count("batch", batch, 0) > this.length)
      throw new ManabiError(`DataLoader: cannot go to batch ${batch}; an epoch has ${this.length} batches`);
    this.#cursor = { epoch, batch };
    this.#resume = this.#cursor;
  }

  /** The samples of `epoch` in the order in which they are read. */
  order(epoch: number): Uint32Array {
    const { length } = this.dataset;
    if (this.shuffle) return new Rng(orderKey(this.seed, epoch)).permutation(length);
    return Uint32Array.from({ length }, (_, i) => i);
  }

  /** The batches of `epoch` in host memory, one array per field: images f32 [b, c, h, w] after `normalize`, labels i32 [b]. */
  async *batches(epoch: number): AsyncGenerator<HostArray[], void, void> {
    let next = this.#resume?.epoch === epoch ? this.#resume.batch : 0;
    this.#resume = null;
    const order = this.order(count("epoch", epoch, 0));
    const owner = {};
    const ahead: Promise<Batch>[] = [];
    let turn = performance.now();
    try {
      for (let batch = next; batch < this.length; batch++) {
        for (; next < this.length && ahead.length <= this.prefetch; next++) {
          const indices = order.slice(next * this.batchSize, (next + 1) * this.batchSize);
          const made = this.#make({ epoch, batch: next, indices }, owner);
          made.catch(() => {}); // heard when its turn comes, not before
          ahead.push(made);
        }
        const { arrays, samples, skipped } = (await ahead.shift()) as Batch;
        this.#report(skipped);
        if (performance.now() - turn > TURN_MS) {
          await macrotask(); // signals and timers get their turn even when nothing else waits
          turn = performance.now();
        }
        this.#cursor = { epoch, batch: batch + 1 };
        if (samples.length && this.#collate) yield this.#collate(samples);
        else if (arrays.length) yield [...arrays];
      }
    } finally {
      this.#pool?.abandon(owner);
    }
  }

  /** The batches of `epoch` as tensors; see `batches`. */
  async *epoch(epoch: number): AsyncGenerator<Tensor[], void, void> {
    for await (const arrays of this.batches(epoch)) yield arrays.map(fromHost);
  }

  /** Ends the worker threads; they start again if the loader is used again. */
  async close(): Promise<void> {
    await this.#pool?.close();
  }

  #make(job: BatchJob, owner: object): Promise<Batch> {
    if (!this.#pool) return this.#maker.make(job);
    const { batch, indices } = job;
    const others = indices.length > 1 ? ` and ${indices.length - 1} more` : "";
    return this.#pool.run(job, owner, `batch ${batch} (${this.dataset.describe(indices[0])}${others})`);
  }

  #report(skipped: readonly Skipped[]): void {
    for (const one of skipped) {
      if (this.#skipped.has(one.sample)) continue;
      this.#skipped.add(one.sample);
      this.#onSkip(one);
    }
  }
}
