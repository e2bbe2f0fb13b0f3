/** Scores of classifiers, on host arrays. */
import { type HostArray, loadValues, type TypedArray } from "../core/dtype.ts";
import { ManabiError, ShapeError, showShape } from "../core/errors.ts";

/** Rows, columns and values of a score matrix [n, classes]; throws `ShapeError` for anything else. */
function matrix(op: string, { shape, dtype, data }: HostArray): [rows: number, columns: number, values: TypedArray] {
  if (shape.length !== 2 || shape[1] === 0)
    throw new ShapeError(`${op}: scores are [n, classes], got ${showShape(shape)}`);
  return [shape[0], shape[1], loadValues(data, dtype)];
}

/** The class with the largest score in each row of `scores` [n, classes]; the first one among equals. */
export function argmaxRows(scores: HostArray): Int32Array<ArrayBuffer> {
  const [n, classes, values] = matrix("argmaxRows", scores);
  const out = new Int32Array(n);
  for (let i = 0; i < n; i++) {
    const row = i * classes;
    let best = 0;
    for (let c = 1; c < classes; c++) if (values[row + c] > values[row + best]) best = c;
    out[i] = best;
  }
  return out;
}

/** The share of rows of `scores` [n, classes] whose label [n] is among the `k` largest scores. Among equal scores the
 *  lower class comes first; a NaN counts as a miss. */
export function topKAccuracy(scores: HostArray, labels: ArrayLike<number>, k: number): number {
  const [n, classes, values] = matrix("topKAccuracy", scores);
  if (labels.length !== n) throw new ShapeError(`topKAccuracy: ${n} rows of scores, ${labels.length} labels`);
  let hits = 0;
  for (let i = 0; i < n; i++) {
    const row = values.subarray(i * classes, (i + 1) * classes);
    const label = checkClass("topKAccuracy", labels[i], classes);
    let before = 0;
    for (let c = 0; c < classes; c++) if (row[c] > row[label] || (row[c] === row[label] && c < label)) before++;
    if (before < k && !Number.isNaN(row[label])) hits++;
  }
  return hits / n;
}

/** The share of rows of `scores` [n, classes] whose largest score is that of the label [n]. */
export const accuracy = (scores: HostArray, labels: ArrayLike<number>): number => topKAccuracy(scores, labels, 1);

function checkClass(op: string, label: number, classes: number): number {
  if (Number.isInteger(label) && label >= 0 && label < classes) return label;
  throw new ManabiError(`${op}: class ${label} is not one of 0..${classes - 1}`);
}

/** How well one class was found; ratios without any case are 0, as in scikit-learn. */
export interface ClassScore {
  readonly label: string;
  /** Of those predicted as this class, the share that is of it. */
  readonly precision: number;
  /** Of those of this class, the share that was found. */
  readonly recall: number;
  /** Harmonic mean of precision and recall. */
  readonly f1: number;
  /** Cases of this class. */
  readonly support: number;
}

const ratio = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);

/** Counts of true class (row) against predicted class (column). */
export class ConfusionMatrix {
  readonly labels: readonly string[];
  readonly counts: readonly number[][];

  constructor(labels: readonly string[]) {
    this.labels = labels;
    this.counts = labels.map(() => labels.map(() => 0));
  }

  /** Adds predictions and true classes, both [n]. */
  add(predicted: ArrayLike<number>, truth: ArrayLike<number>): void {
    const classes = this.labels.length;
    if (predicted.length !== truth.length)
      throw new ShapeError(`ConfusionMatrix.add: ${predicted.length} predictions, ${truth.length} labels`);
    for (let i = 0; i < predicted.length; i++) {
      const row = checkClass("ConfusionMatrix.add", truth[i], classes);
      this.counts[row][checkClass("ConfusionMatrix.add", predicted[i], classes)]++;
    }
  }

  get total(): number {
    return this.counts.flat().reduce((a, b) => a + b, 0);
  }

  /** The share of cases on the diagonal. */
  get accuracy(): number {
    return ratio(
      this.counts.reduce((sum, row, c) => sum + row[c], 0),
      this.total,
    );
  }

  /** Precision, recall, F1 and support of every class. */
  perClass(): ClassScore[] {
    return classScores(this.labels, this.counts);
  }
}

/** Precision, recall, F1 and support of every class of a confusion matrix (rows true, columns predicted). */
export function classScores(labels: readonly string[], counts: readonly (readonly number[])[]): ClassScore[] {
  return labels.map((label, c) => {
    const hits = counts[c][c];
    const support = counts[c].reduce((a, b) => a + b, 0);
    const predicted = counts.reduce((sum, row) => sum + row[c], 0);
    const [precision, recall] = [ratio(hits, predicted), ratio(hits, support)];
    return { label, precision, recall, f1: ratio(2 * precision * recall, precision + recall), support };
  });
}

/** The unweighted mean of precision, recall and F1 over all classes. */
export function macroAverage(scores: readonly ClassScore[]): Omit<ClassScore, "label"> {
  const mean = (pick: (score: ClassScore) => number) =>
    ratio(
      scores.reduce((a, s) => a + pick(s), 0),
      scores.length,
    );
  const support = scores.reduce((a, s) => a + s.support, 0);
  return { precision: mean((s) => s.precision), recall: mean((s) => s.recall), f1: mean((s) => s.f1), support };
}

/** The wrong pairs of classes that occur most, most frequent first. */
export function mostConfused(
  labels: readonly string[],
  counts: readonly (readonly number[])[],
  limit = 10,
): { truth: string; predicted: string; count: number }[] {
  return counts
    .flatMap((row, t) => row.map((count, p) => ({ truth: labels[t], predicted: labels[p], count, wrong: t !== p })))
    .filter(({ count, wrong }) => wrong && count > 0)
    .sort((a, b) => b.count - a.count)
    .slice(0, limit)
    .map(({ truth, predicted, count }) => ({ truth, predicted, count }));
}

/** A mean that grows with each value; the weight is the number of cases behind it. NaN while empty. */
export class RunningMean {
  #sum = 0;
  #weight = 0;

  add(value: number, weight = 1): void {
    this.#sum += value * weight;
    this.#weight += weight;
  }

  get value(): number {
    return this.#sum / this.#weight;
  }

  reset(): void {
    this.#sum = 0;
    this.#weight = 0;
  }
}
