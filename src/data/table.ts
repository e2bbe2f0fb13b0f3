import { ManabiError, unknownName } from "../core/errors.ts";
import { Rng, seedKey } from "../core/rng.ts";
import type { JsonRow } from "./json-rows.ts";

/** A column of a table. */
export interface Column {
  readonly name: string;
  /** The words that its numbers stand for; null for a column of numbers. */
  readonly categories: readonly string[] | null;
}

/** Rows of numbers with a label each. */
export interface LabelledTable {
  readonly columns: readonly Column[];
  /** [rows, columns] */
  readonly rows: readonly Float64Array<ArrayBuffer>[];
  readonly labels: Int32Array<ArrayBuffer>;
  /** Class names, by label. */
  readonly classes: readonly string[];
}

/**
 * Rows of values by column name, such as a JSON file has them, as a table whose class is the column `target`. Columns of
 * text become numbers, in the order of the alphabet; rows in which a value is missing are left out. Throws where there is
 * no such column, or nothing is left.
 */
export function labelledTable(rows: readonly JsonRow[], target: string): LabelledTable {
  const names = Object.keys(rows[0] ?? {});
  if (!names.includes(target)) throw unknownName("column", target, names);
  const whole = rows.filter((row) => names.every((name) => hasValue(row[name])));
  if (!whole.length) throw new ManabiError(`table: all ${rows.length} rows lack a value`);
  const words = (name: string) => [...new Set(whole.map((row) => String(row[name])))].sort();
  const columns = names
    .filter((name) => name !== target)
    .map((name) => ({ name, categories: whole.every((row) => typeof row[name] === "number") ? null : words(name) }));
  const classes = words(target);
  const read = ({ name, categories }: Column, row: JsonRow) =>
    categories ? categories.indexOf(String(row[name])) : Number(row[name]);
  return {
    columns,
    rows: whole.map((row) => Float64Array.from(columns, (column) => read(column, row))),
    labels: Int32Array.from(whole, (row) => classes.indexOf(String(row[target]))),
    classes,
  };
}

const hasValue = (value: unknown): boolean =>
  typeof value === "number" ? Number.isFinite(value) : typeof value === "string" && !["", ".", "NA"].includes(value);

/** The train and test parts of a table, drawn at random. */
export function splitTable(
  { columns, rows, labels, classes }: LabelledTable,
  { testFraction = 0.2, seed = 0 }: { readonly testFraction?: number; readonly seed?: number } = {},
): { readonly train: LabelledTable; readonly test: LabelledTable } {
  const order = new Rng(seedKey(seed)).permutation(rows.length);
  const bound = Math.round(rows.length * (1 - testFraction));
  const part = (places: Uint32Array): LabelledTable => ({
    ...{ columns, classes },
    rows: Array.from(places, (i) => rows[i]),
    labels: Int32Array.from(places, (i) => labels[i]),
  });
  return { train: part(order.subarray(0, bound)), test: part(order.subarray(bound)) };
}
