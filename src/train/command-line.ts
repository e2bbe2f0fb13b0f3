import { relative } from "node:path";

/** The command line of this process, with the program by its short name. */
export function processCommand(): string {
  const [, script = "", ...words] = process.argv;
  const program = /[\\/]cli[\\/]main\.[jt]s$|[\\/]manabi$/.test(script)
    ? "manabi"
    : `node ${relative(process.cwd(), script)}`;
  return [program, ...words.map(quote)].join(" ");
}

/** A word as a shell takes it. */
export const quote = (word: string): string =>
  /^[\w./:=,@-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
