import { ManabiError, showShape } from "../core/errors.ts";
import { Tensor } from "../ops/tensor.ts";

/** What is explained where gradients are needed: a batch [n, ...] -> scores [n, k], such as logits. */
export type ScoreFunction = (batch: Tensor) => Tensor;

/** Scores of n examples as a function gives them: a tensor [n, k] or [n], or n rows of k numbers. */
export type Scores = Tensor | readonly ArrayLike<number>[];

/** What is explained where scores are enough: any function that scores many examples in one call. `Batch` is a tensor
 *  [n, ...] for images and tables, a list of n texts for texts. */
export type BlackBox<Batch = Tensor> = (batch: Batch) => Scores | Promise<Scores>;

/** What of the scores is explained: a class, or any number made of one example's scores. */
export type Target = number | ((scores: ArrayLike<number>) => number);

/** How methods that ask a black box often do so. */
export interface SamplingOptions {
  /** Examples per call of the black box. */
  readonly batchSize?: number;
  /** The same seed gives the same explanation. */
  readonly seed?: number;
  /** Told after each call how many of all examples have been scored. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Ends the sampling with its reason. */
  readonly signal?: AbortSignal;
}

/** The target's score of each of `count` examples. Throws where the scores are not `count` rows of finite numbers, or
 *  have no such class. */
export async function readTarget(scores: Scores, count: number, target: Target): Promise<Float64Array<ArrayBuffer>> {
  return (await readTargets(scores, count, [target])).data;
}

/** The scores of several targets, of every class where none are named: [count, targets]. Throws as `readTarget`. */
export async function readTargets(
  scores: Scores,
  count: number,
  targets: readonly Target[] | undefined,
): Promise<ScoreTable> {
  return targetScores(await readScores(scores, count), targets);
}

/** The scores of several targets, of every class where none are named, from those of all classes. Throws as `readTarget`;
 *  the first row is the example of number `first`. */
export function targetScores(table: ScoreTable, targets: readonly Target[] | undefined, first = 0): ScoreTable {
  const chosen = targets ? chooseTargets(table, targets) : table;
  checkFinite(chosen.data, first, chosen.columns);
  return chosen;
}

function chooseTargets({ columns, data }: ScoreTable, targets: readonly Target[]): ScoreTable {
  const count = data.length / columns;
  const values = new Float64Array(count * targets.length);
  for (let i = 0; i < count; i++) {
    const row = data.subarray(i * columns, (i + 1) * columns);
    for (const [t, target] of targets.entries()) values[i * targets.length + t] = scoreOf(row, target);
  }
  return { columns: targets.length, data: values };
}

/** The target's score in those of one example. Throws where there is no such class. */
export function scoreOf(row: ArrayLike<number>, target: Target): number {
  if (typeof target !== "number") return target(row);
  checkClass(target, row.length);
  return row[target];
}

/** Throws where scores of `columns` classes have no class `target`. */
export function checkClass(target: number, columns: number): void {
  if (Number.isInteger(target) && target >= 0 && target < columns) return;
  throw new ManabiError(`target: there is no class ${target}; the scores have ${columns} (0 to ${columns - 1})`);
}

/** Throws where a score is NaN or infinite: [examples, columns], of which the first example has the number `first`. */
export function checkFinite(scores: ArrayLike<number>, first = 0, columns = 1): void {
  const bad = Array.prototype.findIndex.call(scores, (value) => !Number.isFinite(value));
  if (bad < 0) return;
  throw new ManabiError(
    `scores: that of example ${first + Math.floor(bad / columns)} is ${scores[bad]}; explanations compare finite numbers, so look at what the model returns for this example`,
  );
}

/** A row of numbers for each example: [examples, columns]. */
export interface ScoreTable {
  readonly columns: number;
  readonly data: Float64Array<ArrayBuffer>;
}

/** Scores as a matrix [count, columns]. */
export async function readScores(scores: Scores, count: number): Promise<ScoreTable> {
  if (scores instanceof Tensor) {
    if (scores.rank < 1 || scores.rank > 2 || scores.shape[0] !== count)
      throw new ManabiError(
        `scores: expected [${count}, classes] for ${count} examples, the function returned ${showShape(scores.shape)}`,
      );
    return { columns: scores.shape[1] ?? 1, data: Float64Array.from(await scores.data(), Number) };
  }
  const columns = scores[0]?.length ?? 0;
  if (scores.length !== count || columns === 0)
    throw new ManabiError(
      `scores: expected a row for each of ${count} examples, the function returned ${scores.length} rows of ${columns}`,
    );
  const data = new Float64Array(count * columns);
  for (const [i, row] of scores.entries()) {
    if (row.length !== columns)
      throw new ManabiError(`scores: row ${i} has ${row.length} numbers, row 0 has ${columns}; all need as many`);
    data.set(row, i * columns);
  }
  return { columns, data };
}
