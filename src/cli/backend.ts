import { type Command, Option } from "commander";
import { type BackendName, setBackend, setThreads } from "../backends/select.ts";
import { wholeNumber } from "./shell.ts";

/** What a command computes with. */
export interface BackendOptions {
  readonly backend?: BackendName | "auto";
  readonly threads?: string;
}

const threadsHelp = "threads of the native backend (default: all cores)";

/** Adds `--backend` and `--threads`. */
export const withBackend = (command: Command): Command =>
  command
    .addOption(
      new Option("--backend <name>", "what computes: native is fast, reference needs no compiler")
        .choices(["auto", "native", "reference"])
        .default("auto"),
    )
    .option("--threads <n>", threadsHelp);

/** Adds `--threads`, for commands that need the native backend. */
export const withThreads = (command: Command): Command => command.option("--threads <n>", threadsHelp);

/** Puts the options into force. */
export function chooseBackend({ backend = "auto", threads }: BackendOptions): void {
  setBackend(backend);
  if (threads === undefined) return;
  const count = wholeNumber("--threads", threads);
  if (backend !== "reference") setThreads(count);
}
