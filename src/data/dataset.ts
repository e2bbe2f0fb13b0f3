import type { HostArray } from "../core/dtype.ts";
import { ManabiError } from "../core/errors.ts";
import { Rng, seedKey } from "../core/rng.ts";
import type { DatasetSpec } from "./dataset-spec.ts";

/** One value of a sample: an array, or a class index. */
export type Field = HostArray | number;

/** The fields of one sample; for classification `[image, label]`, the image u8 [height, width, channels]. */
export type Sample = readonly Field[];

/** A random-access collection of samples. */
export interface Dataset<T = Sample> {
  readonly length: number;
  /** Class names, by label. Empty when the samples carry no class. */
  readonly classes: readonly string[];
  /** The label of every sample, or null when there is none. */
  readonly labels: Int32Array | null;
  /** Plain data from which a worker thread can open the same set, or null when only the making thread can. */
  readonly spec: DatasetSpec | null;
  get(index: number): T | Promise<T>;
  /** What to call sample `index` in a message: its path, or its place in its file. */
  describe(index: number): string;
}

/** A sample that cannot be decoded: left out of its batch and reported, where the data set allows it. */
export class UnreadableSample extends ManabiError {
  override name = "UnreadableSample";
}

/** A data set that can make a view of itself more cheaply than a wrapper would. */
interface Selectable<T> extends Dataset<T> {
  select(indices: Uint32Array): Dataset<T>;
}

/** The train and test parts of a known data set. */
export interface Splits {
  readonly train: Dataset;
  readonly test: Dataset;
  readonly classes: readonly string[];
}

const pickLabels = (labels: Int32Array | null, indices: ArrayLike<number>): Int32Array | null =>
  labels && Int32Array.from(indices, (i) => labels[i]);

/** Throws when `index` is not a sample of a set of `length`. */
export function checkIndex(index: number, length: number): void {
  if (!Number.isInteger(index) || index < 0 || index >= length)
    throw new RangeError(`sample ${index} does not exist; the data set has ${length} samples`);
}

/** The samples of `dataset` at `indices`, in that order. */
export function subset<T>(dataset: Dataset<T>, indices: ArrayLike<number>): Dataset<T> {
  const chosen = Uint32Array.from(indices);
  for (let i = 0; i < chosen.length; i++) checkIndex(indices[i], dataset.length);
  if ("select" in dataset) return (dataset as Selectable<T>).select(chosen);
  return {
    length: chosen.length,
    classes: dataset.classes,
    labels: pickLabels(dataset.labels, chosen),
    spec: dataset.spec && { kind: "subset", of: dataset.spec, indices: chosen },
    get: (index) => {
      checkIndex(index, chosen.length);
      return dataset.get(chosen[index]);
    },
    describe: (index) => dataset.describe(chosen[index]),
  };
}

/** The first `count` samples of `dataset`, or all of it where it has no more or `count` is 0. */
export function take<T>(dataset: Dataset<T>, count: number): Dataset<T> {
  return count === 0 || count >= dataset.length ? dataset : subset(dataset, [...Array(count).keys()]);
}

/** The samples of all `parts`, one after another; the parts must have the same classes. */
export function concat<T>(...parts: Dataset<T>[]): Dataset<T> {
  if (!parts.length) throw new ManabiError("concat: needs at least one data set");
  const [{ classes }] = parts;
  for (const part of parts)
    if (part.classes.join("\n") !== classes.join("\n"))
      throw new ManabiError(
        `concat: the parts have different classes (${classes.join(", ")}; ${part.classes.join(", ")}); labels would not agree`,
      );
  const starts = [0];
  for (const part of parts) starts.push(starts[starts.length - 1] + part.length);
  const length = starts[parts.length];
  const find = (index: number): [Dataset<T>, number] => {
    checkIndex(index, length);
    const part = starts.findLastIndex((start, i) => i < parts.length && start <= index);
    return [parts[part], index - starts[part]];
  };
  const specs = parts.flatMap((part) => (part.spec ? [part.spec] : []));
  const labels = parts.flatMap((part) => (part.labels ? [part.labels] : []));
  return {
    length,
    classes,
    labels: labels.length === parts.length ? Int32Array.from(labels.flatMap((l) => [...l])) : null,
    spec: specs.length === parts.length ? { kind: "concat", parts: specs } : null,
    get: (index) => {
      const [part, i] = find(index);
      return part.get(i);
    },
    describe: (index) => {
      const [part, i] = find(index);
      return part.describe(i);
    },
  };
}

/** Every sample passed through `fn`. Functions cannot be sent to a worker, so the result is read on the main thread. */
export function map<T, U>(dataset: Dataset<T>, fn: (sample: T, index: number) => U | Promise<U>): Dataset<U> {
  return {
    length: dataset.length,
    classes: dataset.classes,
    labels: dataset.labels,
    spec: null,
    get: (index) => {
      const sample = dataset.get(index);
      return sample instanceof Promise ? sample.then((s) => fn(s, index)) : fn(sample, index);
    },
    describe: (index) => dataset.describe(index),
  };
}

/** How `split` divides a data set. */
export interface SplitOptions {
  readonly seed?: number;
  /** Keep the share of every class in every part; the default when the set has labels. */
  readonly stratified?: boolean;
}

/** Random disjoint parts of `dataset` by `fractions` (sum at most 1), each in the set's own order. */
export function split<T>(
  dataset: Dataset<T>,
  fractions: readonly number[],
  { seed = 0, stratified = dataset.labels !== null }: SplitOptions = {},
): Dataset<T>[] {
  const sum = fractions.reduce((a, b) => a + b, 0);
  if (fractions.some((f) => !(f >= 0)) || sum > 1 + 1e-9)
    throw new ManabiError(`split: fractions ${fractions.join(", ")} must be at least 0 and sum to at most 1`);
  if (stratified && !dataset.labels) throw new ManabiError("split: a set without labels cannot be stratified");
  const rng = new Rng(seedKey(seed));
  const groups = stratified && dataset.labels ? byLabel(dataset.labels) : [[...Array(dataset.length).keys()]];
  const parts: number[][] = fractions.map(() => []);
  for (const group of groups) {
    rng.shuffle(group);
    let share = 0;
    let from = 0;
    for (const [i, part] of parts.entries()) {
      share += fractions[i];
      const to = Math.round(share * group.length);
      part.push(...group.slice(from, to));
      from = to;
    }
  }
  return parts.map((indices) =>
    subset(
      dataset,
      indices.sort((a, b) => a - b),
    ),
  );
}

function byLabel(labels: Int32Array): number[][] {
  const groups = new Map<number, number[]>();
  for (const [i, label] of labels.entries()) {
    const group = groups.get(label);
    if (group) group.push(i);
    else groups.set(label, [i]);
  }
  return [...groups.entries()].sort(([a], [b]) => a - b).map(([, group]) => group);
}
