import { ManabiError } from "../../core/errors.ts";
import { fold, Rng, seedKey } from "../../core/rng.ts";
import { tensor } from "../../ops/tensor.ts";
import type { BlackBox } from "../scores.ts";
import { type Explanation, explain, type LimeOptions, scoreSamples } from "./sampling.ts";
import { checkSamples, type FeatureWeight, proximity } from "./surrogate.ts";
import { type BinnedColumn, binOf, type Column, checkRow, conditionOf } from "./table.ts";

export interface LimeTabularOptions extends LimeOptions {
  /** Where columns that are not divided are varied: around their means in the table, or around the row. */
  readonly around?: "table" | "row";
}

/** How much a column counts. */
export interface ColumnWeight extends FeatureWeight {
  readonly name: string;
  /** The row's value. */
  readonly value: number;
  /** What the weight belongs to: "petal width <= 0.30", "colour = red", or the column's name, whose weight then is that of
   *  one standard deviation. */
  readonly condition: string;
}

/**
 * Why a row of a table gets its score: rows like those of the training table, as `describeTable` gives its columns, are
 * drawn, and a linear model of what they have in common with the explained one is fitted to their scores, rows near to it
 * counting more (LIME, Ribeiro et al. 2016; kernel width 0.75 times the root of the number of columns, 5,000 samples, ten
 * columns). The black box is given f32 [n, columns]. One explanation per target.
 */
export async function limeTabular(
  blackBox: BlackBox,
  table: readonly Column[],
  row: ArrayLike<number>,
  options: LimeTabularOptions = {},
): Promise<Explanation<ColumnWeight>[]> {
  const columns = table.length;
  if (columns === 0) throw new ManabiError("limeTabular: the table has no columns");
  const { samples = 5000, batchSize = 1024, features = 10, seed = 0, around = "table" } = options;
  const { kernelWidth = 0.75 * Math.sqrt(columns) } = options;
  checkRow("limeTabular: the row", row, columns);
  checkSamples(samples, columns);
  const values = new Float32Array(samples * columns);
  const data = new Float64Array(samples * columns);
  for (const [c, column] of table.entries()) {
    const draw = drawer(column, row[c], around, new Rng(fold(seedKey(seed), c)));
    for (let i = 0; i < samples; i++) {
      const [value, feature] = i === 0 ? [row[c], own(column, row[c])] : draw();
      values[i * columns + c] = value;
      data[i * columns + c] = feature;
    }
  }
  const make = (rows: Int32Array) => {
    const batch = new Float32Array(rows.length * columns);
    for (const [k, i] of rows.entries()) batch.set(values.subarray(i * columns, (i + 1) * columns), k * columns);
    return tensor(batch, [rows.length, columns]);
  };
  const scored = await scoreSamples(blackBox, samples, make, { ...options, batchSize });
  const neighbourhood = {
    data,
    examples: samples,
    columns,
    proximity: proximity(distances(data, columns), kernelWidth),
  };
  return explain(neighbourhood, scored, { ...options, features }, ({ feature, weight }) => ({
    feature,
    weight,
    name: table[feature].name,
    value: row[feature],
    condition: conditionOf(table[feature], row[feature]),
  }));
}

/** A column of the explained row in the terms of the explanation: 1 where these are whether a row is like it. */
const own = (column: Column, value: number): number =>
  column.kind === "numeric" ? (value - column.mean) / column.deviation : 1;

/** Draws values of a column, each with what it is in the terms of the explanation. */
function drawer(
  column: Column,
  value: number,
  around: "table" | "row",
  rng: Rng,
): () => readonly [value: number, feature: number] {
  if (column.kind === "numeric") {
    const center = around === "row" ? value : column.mean;
    return () => {
      const drawn = center + column.deviation * rng.normal();
      return [drawn, (drawn - column.mean) / column.deviation];
    };
  }
  if (column.kind === "categorical")
    return () => {
      const drawn = column.values[pick(column.frequencies, rng)];
      return [drawn, Number(drawn === value)];
    };
  const frequencies = column.bins.map(({ frequency }) => frequency);
  const bin = binOf(column.bounds, value);
  return () => {
    const drawn = pick(frequencies, rng);
    return [drawInBin(column.bins[drawn], rng), Number(drawn === bin)];
  };
}

/** An index with probability `shares[index]`; these add up to 1. */
function pick(shares: readonly number[], rng: Rng): number {
  let left = rng.uniform();
  for (const [i, share] of shares.entries()) if ((left -= share) < 0) return i;
  return shares.findLastIndex((share) => share > 0); // where rounding left a rest
}

/** A normal draw within the bin, by rejection: the deviation of what is in an interval is half of its length at most, so
 *  that nearly every second draw falls into it at worst. */
function drawInBin({ mean, deviation, low, high }: BinnedColumn["bins"][number], rng: Rng): number {
  if (deviation === 0) return mean;
  for (;;) {
    const value = mean + deviation * rng.normal();
    if (value >= low && value <= high) return value;
  }
}

/** Euclidean distances of rows from the first. */
const distances = (data: Float64Array, columns: number): Float64Array<ArrayBuffer> =>
  Float64Array.from({ length: data.length / columns }, (_, i) => {
    let sum = 0;
    for (let c = 0; c < columns; c++) sum += (data[i * columns + c] - data[c]) ** 2;
    return Math.sqrt(sum);
  });
