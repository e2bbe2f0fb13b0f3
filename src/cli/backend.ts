import { type Command, Option } from "commander";
import { type BackendName, setBackend, setProcessor, setThreads } from "../backends/select.ts";
import { type MatrixPrecision, setMatrixPrecision } from "../graph/precision.ts";
import { wholeNumber } from "./shell.ts";

/** What a command computes with. */
export interface BackendOptions {
  readonly backend?: BackendName | "auto";
  readonly threads?: string;
  readonly precision?: MatrixPrecision;
  readonly processor?: string;
}

const threadsHelp = "threads of the native and wasm backends (default: all cores)";

/** Adds `--backend`, `--threads`, `--precision` and `--processor`. */
export const withBackend = (command: Command): Command =>
  command
    .addOption(
      new Option(
        "--backend <name>",
        "what computes: native is fast, wasm needs no compiler, reference is the plain oracle",
      )
        .choices(["auto", "native", "wasm", "reference"])
        .default("auto"),
    )
    .option("--threads <n>", threadsHelp)
    .addOption(
      new Option("--precision <name>", "of matrix products: high is close to f32, medium rounds to bf16")
        .choices(["highest", "high", "medium"])
        .default("high"),
    )
    .option("--processor <name>", "compile for this one (-march of the C compiler), such as x86-64-v3");

/** Adds `--threads`, for commands that need the native backend. */
export const withThreads = (command: Command): Command => command.option("--threads <n>", threadsHelp);

/** Adds `--backend` and `--threads`, for commands that measure one backend. */
export const withBackendOf = (command: Command): Command =>
  withThreads(
    command.addOption(
      new Option("--backend <name>", "what is measured").choices(["native", "wasm", "webgpu"]).default("native"),
    ),
  );

/** Puts the options into force. */
export function chooseBackend({ backend = "auto", threads, precision, processor }: BackendOptions): void {
  if (processor !== undefined) setProcessor(processor);
  if (precision !== undefined) setMatrixPrecision(precision);
  setBackend(backend);
  if (threads === undefined) return;
  const count = wholeNumber("--threads", threads);
  if (backend !== "reference") setThreads(count);
}
