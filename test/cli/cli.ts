import { runCli } from "../../src/cli/program.ts";

export interface CliResult {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line of manabi in this process. */
export async function cli(...words: string[]): Promise<CliResult> {
  let [out, err] = ["", ""];
  const code = await runCli(words, {
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
  });
  return { code, out, err };
}
