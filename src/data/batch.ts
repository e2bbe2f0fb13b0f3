import type { HostArray } from "../core/dtype.ts";
import { arrayType } from "../core/dtype.ts";
import { ManabiError, ShapeError, showShape } from "../core/errors.ts";
import type { Key } from "../core/rng.ts";
import { fold, seedKey } from "../core/rng.ts";
import type { Dataset, Field, Sample } from "./dataset.ts";
import { ImageMemory } from "./memory.ts";
import type { Fusion } from "./transforms/fused.ts";
import { fillFused, fuse } from "./transforms/fused.ts";
import { applyTransforms } from "./transforms/index.ts";
import type { Transform } from "./transforms/literals.ts";

/** How samples become batches; plain data, the same on every thread. */
export interface BatchPlan {
  readonly seed: number;
  readonly transforms: readonly Transform[];
}

/** Which batch to make: its place and the samples in it. */
export interface BatchJob {
  readonly epoch: number;
  readonly batch: number;
  readonly indices: Uint32Array;
}

/** The sample that could not be read, by name. */
export interface Skipped {
  readonly sample: string;
  readonly reason: string;
}

export interface Batch {
  /** One array per field, each with the batch as first axis. */
  readonly arrays: HostArray[];
  readonly skipped: readonly Skipped[];
}

/** A sample that cannot be decoded: left out of its batch, and reported, where the data set allows it. */
export class UnreadableSample extends ManabiError {
  override name = "UnreadableSample";
}

// Every use of random numbers has a key of its own under (seed, epoch), so none depends on what others drew.
const ORDER = 0;
const SAMPLES = 1;

const epochKey = (seed: number, epoch: number): Key => fold(seedKey(seed), epoch);

/** The key that orders the samples of an epoch. */
export const orderKey = (seed: number, epoch: number): Key => fold(epochKey(seed, epoch), ORDER);

/** Makes batches of one data set. */
export class BatchMaker {
  readonly #dataset: Dataset;
  readonly #plan: BatchPlan;
  readonly #fusion: Fusion | null;

  constructor(dataset: Dataset, plan: BatchPlan) {
    this.#dataset = dataset;
    this.#plan = plan;
    this.#fusion = dataset instanceof ImageMemory ? fuse(plan.transforms, dataset.block) : null;
  }

  async make({ epoch, indices }: BatchJob): Promise<Batch> {
    const samplesKey = fold(epochKey(this.#plan.seed, epoch), SAMPLES);
    if (this.#fusion && this.#dataset instanceof ImageMemory)
      return { arrays: fillFused(this.#fusion, this.#dataset, indices, samplesKey), skipped: [] };
    const skipped: Skipped[] = [];
    const read = await Promise.all(Array.from(indices, (index) => this.#read(index, samplesKey, skipped)));
    const kept = read.flatMap((sample) => sample ?? []);
    return { arrays: collate(kept), skipped };
  }

  async #read(index: number, samplesKey: Key, skipped: Skipped[]): Promise<[NamedSample] | null> {
    const name = this.#dataset.describe(index);
    try {
      const sample = await this.#dataset.get(index);
      return [{ name, fields: this.#transform(sample, fold(samplesKey, index)) }];
    } catch (error) {
      if (error instanceof UnreadableSample) {
        skipped.push({ sample: name, reason: error.message });
        return null;
      }
      const message = error instanceof Error ? error.message : String(error);
      throw new ManabiError(message.includes(name) ? message : `${name}: ${message}`, { cause: error });
    }
  }

  #transform(sample: Sample, key: Key): Sample {
    const { transforms } = this.#plan;
    if (!transforms.length) return sample;
    const [image, ...rest] = sample;
    if (typeof image === "number") throw new ManabiError("transforms need an image as first field, got a number");
    return [applyTransforms(transforms, image, key), ...rest];
  }
}

interface NamedSample {
  readonly name: string;
  readonly fields: Sample;
}

/** Stacks samples field by field: arrays of equal shape along a new first axis, numbers to i32 [batch]. */
export function collate(samples: readonly NamedSample[]): HostArray[] {
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
