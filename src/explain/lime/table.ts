import { deviation, max, mean, min, quantileSorted } from "d3-array";
import { ManabiError } from "../../core/errors.ts";

/** What LIME needs to know of a column of the training table. */
export type Column = NumericColumn | BinnedColumn | CategoricalColumn;

/** Numbers that are varied as they are. */
export interface NumericColumn {
  readonly kind: "numeric";
  readonly name: string;
  readonly mean: number;
  /** Standard deviation of the population; 1 where all values are equal. */
  readonly deviation: number;
}

/** Numbers of which it only matters in what range they are. */
export interface BinnedColumn {
  readonly kind: "binned";
  readonly name: string;
  /** A value belongs to the first bin whose bound is not below it, or to the last bin. */
  readonly bounds: readonly number[];
  /** One more than there are bounds. */
  readonly bins: readonly Bin[];
}

export interface Bin {
  /** "0.30 < petal width <= 1.30" */
  readonly condition: string;
  /** Share of the table's rows. */
  readonly frequency: number;
  /** Of the values in the bin; 0 where there are none. */
  readonly mean: number;
  readonly deviation: number;
  readonly low: number;
  readonly high: number;
}

/** Numbers that stand for things. */
export interface CategoricalColumn {
  readonly kind: "categorical";
  readonly name: string;
  readonly values: readonly number[];
  /** Share of the table's rows of each value. */
  readonly frequencies: readonly number[];
  /** What value i is called; null where the numbers are all there is. */
  readonly labels: readonly string[] | null;
}

export interface TableOptions {
  /** Names of the columns. */
  readonly names?: readonly string[];
  /** Columns whose numbers stand for things, by index: what value i is called, or null. */
  readonly categorical?: Readonly<Record<number, readonly string[] | null>>;
  /** How the other columns are divided; null leaves them as they are. */
  readonly bins?: "quartile" | "decile" | null;
}

/** Statistics of a training table (rows of as many numbers), from which LIME draws rows like those in it. */
export function describeTable(rows: readonly ArrayLike<number>[], options: TableOptions = {}): Column[] {
  const { names, categorical = {}, bins = "quartile" } = options;
  const width = rows[0]?.length ?? 0;
  if (width === 0) throw new ManabiError("describeTable: the table is empty; give rows of the training set");
  if (names && names.length !== width)
    throw new ManabiError(`describeTable: there are ${names.length} names for ${width} columns`);
  for (const [i, row] of rows.entries()) checkRow(`describeTable: row ${i}`, row, width);
  for (const c of Object.keys(categorical))
    if (!(Number(c) in rows[0]))
      throw new ManabiError(`describeTable: there is no column ${c}, only 0 to ${width - 1}`);
  return Array.from({ length: width }, (_, c) => {
    const values = rows.map((row) => row[c]);
    const name = names?.[c] ?? `column ${c}`;
    if (c in categorical) return categoricalColumn(name, values, categorical[c]);
    return bins ? binnedColumn(name, values, bins) : numericColumn(name, values);
  });
}

/** Throws where a row is not `width` finite numbers. */
export function checkRow(what: string, row: ArrayLike<number>, width: number): void {
  if (row.length !== width) throw new ManabiError(`${what} has ${row.length} numbers, the table ${width} columns`);
  const bad = Array.from(row).findIndex((value) => !Number.isFinite(value));
  if (bad >= 0)
    throw new ManabiError(`${what} has ${row[bad]} in column ${bad}; replace or remove what is missing beforehand`);
}

/** The standard deviation of a population; 0 of no or one value. */
const spread = (values: readonly number[]): number =>
  (deviation(values) ?? 0) * Math.sqrt(1 - 1 / Math.max(1, values.length));

const numericColumn = (name: string, values: readonly number[]): NumericColumn => ({
  kind: "numeric",
  name,
  mean: mean(values) as number,
  deviation: spread(values) || 1,
});

function categoricalColumn(
  name: string,
  values: readonly number[],
  labels: readonly string[] | null,
): CategoricalColumn {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  const sorted = [...counts].sort(([a], [b]) => a - b);
  return {
    kind: "categorical",
    name,
    values: sorted.map(([value]) => value),
    frequencies: sorted.map(([, count]) => count / values.length),
    labels,
  };
}

function binnedColumn(name: string, values: readonly number[], bins: "quartile" | "decile"): BinnedColumn {
  const parts = bins === "quartile" ? 4 : 10;
  const sorted = [...values].sort((a, b) => a - b);
  const quantiles = Array.from({ length: parts - 1 }, (_, i) => quantileSorted(sorted, (i + 1) / parts) as number);
  const bounds = [...new Set(quantiles)];
  const conditions = describeBins(name, bounds);
  return {
    kind: "binned",
    name,
    bounds,
    bins: conditions.map((condition, b) => {
      const inside = values.filter((value) => binOf(bounds, value) === b);
      return {
        condition,
        frequency: inside.length / values.length,
        mean: mean(inside) ?? 0,
        deviation: spread(inside),
        low: bounds[b - 1] ?? (min(values) as number),
        high: bounds[b] ?? (max(values) as number),
      };
    }),
  };
}

/** The bin that a value belongs to. */
export function binOf(bounds: readonly number[], value: number): number {
  const bin = bounds.findIndex((bound) => value <= bound);
  return bin < 0 ? bounds.length : bin;
}

/** Bins in words, with as many decimals as tell the bounds apart, two at least. */
function describeBins(name: string, bounds: readonly number[]): string[] {
  let decimals = 2;
  while (decimals < 12 && new Set(bounds.map((b) => b.toFixed(decimals))).size < bounds.length) decimals++;
  const shown = bounds.map((bound) => bound.toFixed(decimals));
  return [
    `${name} <= ${shown[0]}`,
    ...shown.slice(1).map((high, i) => `${shown[i]} < ${name} <= ${high}`),
    `${name} > ${shown[shown.length - 1]}`,
  ];
}

/** What a column of a row says: a range, a category, or the column's name where only the number matters. */
export function conditionOf(column: Column, value: number): string {
  if (column.kind === "numeric") return column.name;
  if (column.kind === "binned") return column.bins[binOf(column.bounds, value)].condition;
  return `${column.name} = ${column.labels?.[value] ?? value}`;
}
