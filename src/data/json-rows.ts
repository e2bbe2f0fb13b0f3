import { readFile } from "node:fs/promises";
import { FormatError } from "../core/errors.ts";

/** A row of a JSON file: values by column name. */
export type JsonRow = Readonly<Record<string, unknown>>;

/** The rows of a JSON file that holds a list of objects. */
export async function readRows(path: string): Promise<JsonRow[]> {
  let rows: unknown;
  try {
    rows = JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    if (cause instanceof SyntaxError) throw new FormatError(`${path}: not valid JSON`, { cause });
    throw new FormatError(`${path}: cannot be read`, { cause });
  }
  if (!Array.isArray(rows) || rows.some((row) => typeof row !== "object" || row === null))
    throw new FormatError(`${path}: expected a JSON list of objects`);
  return rows;
}
