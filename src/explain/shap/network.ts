import { ManabiError, showShape } from "../../core/errors.ts";
import { sizeOf } from "../../core/shape.ts";
import { oneHot } from "../../ops/creation.ts";
import { jit } from "../../ops/jit.ts";
import { type Tensor, tensor } from "../../ops/tensor.ts";
import { batchSizeOf, concatenated, rows, spans } from "../batches.ts";
import { checkClass, readTargets, type SamplingOptions, type ScoreFunction, type ScoreTable } from "../scores.ts";
import { checkBackground, playerNames } from "./masker.ts";
import { perTarget, type ShapValues } from "./shap-values.ts";

export interface NetworkShapOptions extends SamplingOptions {
  /** Classes that are explained, each on its own; default: all. */
  readonly targets?: readonly number[];
  /** Names of the features, which are all numbers of an example. */
  readonly names?: readonly string[];
}

/** What one pass through the network explains: examples against references, pair by pair. */
export interface Pairs {
  /** [pairs, ...] */
  readonly own: Tensor;
  readonly reference: Tensor;
  /** Where between reference (0) and example (1) to look: [pairs, 1, ..]. */
  readonly position: Tensor;
  /** 1 at the explained class, [pairs, classes]. */
  readonly cotangent: Tensor;
}

/** Which rows of the background each example is compared with, and where between them. */
export interface Samples {
  readonly rows: Int32Array<ArrayBuffer>;
  readonly positions: Float64Array<ArrayBuffer>;
  /** Whether they are random draws, whose standard errors are of interest. */
  readonly drawn: boolean;
}

interface Method {
  readonly name: string;
  /** Contributions of every number of the examples, [pairs, ...]. */
  readonly attribute: (fn: ScoreFunction, pairs: Pairs) => Tensor;
  /** Of `perTarget`. */
  readonly tolerance: number | null;
}

/** Means over `samples` of what `attribute` gives for x [n, ...] against `background` [rows, ...]; an entry per target. */
export async function explainNetwork(
  method: Method,
  fn: ScoreFunction,
  x: Tensor,
  background: Tensor,
  samples: Samples,
  options: NetworkShapOptions,
): Promise<ShapValues[]> {
  const batchSize = batchSizeOf(options, x);
  const features = sizeOf(x.shape.slice(1));
  const scores = await scoresOf(fn, x, batchSize);
  const known = await scoresOf(fn, background, batchSize);
  const targets = checkedTargets(options.targets, scores.columns);
  const cotangents = targets.map((k) => oneHot(tensor(Int32Array.of(k)), scores.columns, { dtype: x.dtype }));
  const { sums, squares } = await sumContributions(method, fn, x, background, samples, cotangents, batchSize, options);
  const n = samples.rows.length;
  const values = sums.map((sum) => sum / n);
  const standardErrors =
    squares && n > 1 ? squares.map((sum, i) => Math.sqrt(Math.max(0, sum / n - values[i] ** 2) / (n - 1))) : null;
  const shared = {
    count: x.shape[0],
    names: playerNames(method.name, options.names, features, "feature"),
    data: Float64Array.from(await x.data(), Number),
  };
  const expected = meanRow(known);
  const outputs = pickColumns(scores, targets);
  const base = outputs.map((_, i) => expected[targets[i % targets.length]]);
  const found = { targets: targets.length, values, standardErrors, base, outputs };
  return perTarget(method.name, shared, found, method.tolerance);
}

interface Contributions {
  /** [examples, targets, features] */
  readonly sums: Float64Array<ArrayBuffer>;
  /** Sums of squares, for random draws. */
  readonly squares: Float64Array<ArrayBuffer> | null;
}

/** Contributions to every target, whose cotangents are [1, classes], summed over the samples. */
async function sumContributions(
  method: Method,
  fn: ScoreFunction,
  x: Tensor,
  background: Tensor,
  samples: Samples,
  cotangents: readonly Tensor[],
  batchSize: number,
  { onProgress, signal }: NetworkShapOptions,
): Promise<Contributions> {
  const size = x.size * cotangents.length;
  const features = sizeOf(x.shape.slice(1));
  const sums = new Float64Array(size);
  const squares = samples.drawn ? new Float64Array(size) : null;
  const pass = jit(passOf(method, fn, samples.drawn));
  const batches = grid(x.shape[0], samples.rows.length, batchSize);
  for (const [done, { examples, used, draws, weights }] of batches.entries()) {
    const own = x.take(tensor(examples));
    const reference = background.take(tensor(draws.map((d) => samples.rows[d])));
    const position = tensor(Float64Array.from(draws, (d) => samples.positions[d])).cast(x.dtype);
    for (const [t, cotangent] of cotangents.entries()) {
      signal?.throwIfAborted();
      const results = pass(own, reference, position, tensor(weights).cast(x.dtype), cotangent);
      for (const [r, into] of [sums, squares].entries()) {
        if (!into) continue;
        const parts = await results[r].data();
        for (let i = 0; i < used; i++)
          for (let j = 0; j < features; j++)
            into[(examples[i] * cotangents.length + t) * features + j] += Number(parts[i * features + j]);
      }
    }
    onProgress?.(done + 1, batches.length);
  }
  return { sums, squares };
}

/** All pairs of g examples with m references in one pass; the contributions, and where asked for their squares, summed
 *  over the references with `weight` [m]: [g, ...]. */
function passOf(method: Method, fn: ScoreFunction, withSquares: boolean) {
  return (own: Tensor, reference: Tensor, position: Tensor, weight: Tensor, cotangent: Tensor): Tensor[] => {
    const [g, m] = [own.shape[0], reference.shape[0]];
    const shape = own.shape.slice(1);
    const perReference = [m, ...shape.map(() => 1)];
    const paired = (t: Tensor, axis: number) =>
      t
        .unsqueeze(axis)
        .broadcastTo([g, m, ...t.shape.slice(1)])
        .flatten(0, 1);
    const parts = method.attribute(asTable(fn), {
      own: paired(own, 1),
      reference: paired(reference, 0),
      position: paired(position.reshape(perReference), 0),
      cotangent: cotangent.broadcastTo([g * m, cotangent.shape[1]]),
    });
    const total = (t: Tensor) =>
      t
        .reshape([g, m, ...shape])
        .mul(weight.reshape(perReference))
        .sum(1);
    return withSquares ? [total(parts), total(parts.square())] : [total(parts)];
  };
}

/** Throws unless background [rows, ...] has rows like those of x [n, ...]. */
export function checkNetworkInput(method: string, x: Tensor, background: Tensor): void {
  const [own, other] = [x.shape.slice(1).join(","), background.shape.slice(1).join(",")];
  if (x.rank < 2 || own !== other)
    throw new ManabiError(
      `${method}: examples [n, ...] and background [rows, ...] must agree after the first axis; they are ${showShape(x.shape)} and ${showShape(background.shape)}`,
    );
  checkBackground(method, x, background);
}

/** A function whose scores are [n, classes], of one class where it returned [n]. */
const asTable =
  (fn: ScoreFunction): ScoreFunction =>
  (batch) => {
    const scores = fn(batch);
    return scores.rank === 1 ? scores.unsqueeze(1) : scores;
  };

function meanRow({ columns, data }: ScoreTable): Float64Array {
  const mean = new Float64Array(columns);
  for (const [i, value] of data.entries()) mean[i % columns] += (value * columns) / data.length;
  return mean;
}

const pickColumns = ({ columns, data }: ScoreTable, picked: readonly number[]): Float64Array<ArrayBuffer> =>
  Float64Array.from({ length: (data.length / columns) * picked.length }, (_, i) => {
    const row = Math.floor(i / picked.length);
    return data[row * columns + picked[i % picked.length]];
  });

async function scoresOf(fn: ScoreFunction, x: Tensor, batchSize: number): Promise<ScoreTable> {
  const tables: ScoreTable[] = [];
  for (const [from, to] of spans(x.shape[0], batchSize))
    tables.push(await readTargets(fn(rows(x, from, to)), to - from, undefined));
  return { columns: tables[0].columns, data: concatenated(tables.map(({ data }) => data)) };
}

function checkedTargets(targets: readonly number[] | undefined, classes: number): readonly number[] {
  for (const target of targets ?? []) checkClass(target, classes);
  return targets ?? Array.from({ length: classes }, (_, k) => k);
}

interface Batch {
  readonly examples: Int32Array<ArrayBuffer>;
  /** How many of them are not fillers. */
  readonly used: number;
  readonly draws: Int32Array<ArrayBuffer>;
  /** 0 for fillers, else 1. */
  readonly weights: Float64Array<ArrayBuffer>;
}

/** Every example with every draw, in batches of one size, about `size` pairs, filled up at the ends. */
function grid(examples: number, draws: number, size: number): Batch[] {
  const split = (n: number, most: number) => {
    const parts = Math.ceil(n / most);
    const width = Math.ceil(n / parts);
    return Array.from({ length: parts }, (_, p) => ({
      indices: Int32Array.from({ length: width }, (_, i) => Math.min(p * width + i, n - 1)),
      used: Math.min(width, n - p * width),
    }));
  };
  const perBatch = Math.max(1, Math.floor(size / draws));
  return split(examples, perBatch).flatMap((e) =>
    split(draws, size).map((d) => ({
      examples: e.indices,
      used: e.used,
      draws: d.indices,
      weights: Float64Array.from(d.indices, (_, i) => Number(i < d.used)),
    })),
  );
}
