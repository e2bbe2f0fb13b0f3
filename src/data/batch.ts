import type { HostArray } from "../core/dtype.ts";
import { arrayType } from "../core/dtype.ts";
import { ManabiError, ShapeError, showShape } from "../core/errors.ts";
import type { Key } from "../core/rng.ts";
import { fold, seedKey } from "../core/rng.ts";
import type { Dataset, Field, Sample } from "./dataset.ts";
import { UnreadableSample } from "./dataset.ts";
import { ImageMemory } from "./memory.ts";
import { applyBatchTransforms } from "./transforms/batch.ts";
import type { BatchTransform } from "./transforms/batch-literals.ts";
import type { Fusion } from "./transforms/fused.ts";
import { fillFused, fuseAll } from "./transforms/fused.ts";
import { applyTransforms, viewKey } from "./transforms/index.ts";
import type { Transform } from "./transforms/literals.ts";

/** How samples become batches; plain data, the same on every thread. */
export interface BatchPlan {
  readonly seed: number;
  /** What is done to the image of a sample; several lists make as many images of it. */
  readonly views: readonly (readonly Transform[])[];
  readonly batchTransforms: readonly BatchTransform[];
  /** False leaves the samples apart, for a collate function of the user. */
  readonly stacked: boolean;
}

/** Which batch to make: its place and the samples in it. */
export interface BatchJob {
  readonly epoch: number;
  readonly batch: number;
  readonly indices: Uint32Array;
}

/** A sample that could not be read, by name. */
export interface Skipped {
  readonly sample: string;
  readonly reason: string;
}

/** A batch as one array per field with the batch as first axis (none if nothing could be read), or sample by sample. */
export interface Batch {
  readonly arrays: readonly HostArray[];
  readonly samples: readonly Sample[];
  readonly skipped: readonly Skipped[];
}

interface NamedSample {
  readonly name: string;
  readonly fields: Sample;
}

// Every use of random numbers has a key of its own under (seed, epoch), so none depends on what others drew.
const ORDER = 0;
const SAMPLES = 1;
const BATCHES = 2;

const epochKey = (seed: number, epoch: number, use: number): Key => fold(fold(seedKey(seed), epoch), use);

/** The key that orders the samples of an epoch. */
export const orderKey = (seed: number, epoch: number): Key => epochKey(seed, epoch, ORDER);

/** Makes batches of one data set. */
export class BatchMaker {
  readonly #dataset: Dataset;
  readonly #plan: BatchPlan;
  readonly #fusions: readonly Fusion[] | null;

  constructor(dataset: Dataset, plan: BatchPlan) {
    this.#dataset = dataset;
    this.#plan = plan;
    this.#fusions = dataset instanceof ImageMemory && plan.stacked ? fuseAll(plan.views, dataset.block) : null;
  }

  async make({ epoch, batch, indices }: BatchJob): Promise<Batch> {
    const { seed, batchTransforms, stacked } = this.#plan;
    const samplesKey = epochKey(seed, epoch, SAMPLES);
    const skipped: Skipped[] = [];
    let arrays: HostArray[];
    if (this.#fusions && this.#dataset instanceof ImageMemory) {
      arrays = fillFused(this.#fusions, this.#dataset, indices, samplesKey);
    } else {
      const read = await Promise.all(Array.from(indices, (index) => this.#read(index, samplesKey, skipped)));
      const samples = read.flatMap((sample) => sample ?? []);
      if (!stacked) return { arrays: [], samples: samples.map(({ fields }) => fields), skipped };
      arrays = collate(samples);
    }
    if (batchTransforms.length && arrays.length) {
      const key = fold(epochKey(seed, epoch, BATCHES), batch);
      arrays = applyBatchTransforms(batchTransforms, arrays, this.#dataset.classes.length, key);
    }
    return { arrays, samples: [], skipped };
  }

  async #read(index: number, samplesKey: Key, skipped: Skipped[]): Promise<[NamedSample] | null> {
    const name = this.#dataset.describe(index);
    try {
      const sample = await this.#dataset.get(index);
      return [{ name, fields: this.#transform(sample, fold(samplesKey, index)) }];
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (error instanceof UnreadableSample) {
        skipped.push({ sample: name, reason });
        return null;
      }
      throw new ManabiError(reason.includes(name) ? reason : `${name}: ${reason}`, { cause: error });
    }
  }

  #transform(sample: Sample, key: Key): Sample {
    const { views } = this.#plan;
    if (views.length === 1 && !views[0].length) return sample;
    const [image, ...rest] = sample;
    if (typeof image === "number") throw new ManabiError("transforms need an image as first field, got a number");
    return [...views.map((transforms, view) => applyTransforms(transforms, image, viewKey(key, view))), ...rest];
  }
}

/** Stacks samples field by field: arrays of equal shape along a new first axis, numbers to i32 [batch]. */
function collate(samples: readonly NamedSample[]): HostArray[] {
  if (!samples.length) return [];
  return samples[0].fields.map((first, f) => {
    const column = samples.map(({ fields }) => fields[f]);
    if (typeof first !== "number") return stack(first, column, samples, f);
    return { dtype: "i32", shape: [column.length], data: Int32Array.from(column, (v) => Number(v)) };
  });
}

function stack(first: HostArray, column: readonly Field[], samples: readonly NamedSample[], f: number): HostArray {
  const size = first.data.length;
  const data = new (arrayType(first.dtype))(column.length * size);
  for (const [i, value] of column.entries()) {
    if (typeof value === "number" || value.dtype !== first.dtype || showShape(value.shape) !== showShape(first.shape)) {
      const got = typeof value === "number" ? "a number" : `${value.dtype} ${showShape(value.shape)}`;
      throw new ShapeError(
        `a batch needs equal shapes: field ${f} of ${samples[i].name} is ${got}, of ${samples[0].name} ${first.dtype} ${showShape(first.shape)}; add a resize or crop`,
      );
    }
    data.set(value.data, i * size);
  }
  return { dtype: first.dtype, shape: [column.length, ...first.shape], data };
}
