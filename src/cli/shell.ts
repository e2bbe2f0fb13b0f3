import { ManabiError } from "../core/errors.ts";
import { Output, type OutputMode, type TextStream } from "../train/output.ts";

/** The process as a command sees it; tests give one of their own. */
export interface Shell {
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  /** What the process will exit with: 0 fine, 1 error, 2 wrong usage, 130 interrupted. */
  exitCode: number;
}

/** A command line that cannot be understood: exit code 2. */
export class UsageError extends ManabiError {
  override name = "UsageError";
}

/** Options that say how much is printed. */
export interface PrintOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** Where the text of a command goes. With `--json` stdout is for programs alone. */
export function outputOf({ stdout, stderr }: Shell, { json = false, quiet = false }: PrintOptions): Output {
  if (json && quiet) throw new UsageError("--json and --quiet exclude each other");
  const mode: OutputMode = json ? "json" : quiet ? "quiet" : "text";
  return new Output({ mode, stdout, stderr });
}

/** A value for programs on stdout. */
export const printJson = ({ stdout }: Shell, value: unknown): void =>
  void stdout.write(`${JSON.stringify(value, null, 2)}\n`);

/** Rows as aligned columns under a header; columns named in `right` are numbers. */
export function table(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly string[] = [],
): string {
  const widths = header.map((title, c) => Math.max(title.length, ...rows.map((row) => row[c].length)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, c) => (right.includes(header[c]) ? cell.padStart(widths[c]) : cell.padEnd(widths[c])))
      .join("  ")
      .trimEnd();
  return [line(header), line(widths.map((w) => "─".repeat(w))), ...rows.map(line)].join("\n");
}

/** The value of an option that takes a whole number of at least 1. */
export function wholeNumber(option: string, value: string): number {
  const number = Number(value);
  if (Number.isInteger(number) && number >= 1) return number;
  throw new UsageError(`${option} is "${value}"; give a whole number of at least 1`);
}

/** Bytes as text: "11.5 MB". */
export function showBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  while (bytes >= 1000 && at < units.length - 1) {
    bytes /= 1000;
    at++;
  }
  return `${at === 0 ? bytes : bytes.toFixed(bytes < 10 ? 1 : 0)} ${units[at]}`;
}

/** A share as text: 0.98765 is "98.77 %". */
export const showPercent = (share: number): string => `${(100 * share).toFixed(2)} %`;
