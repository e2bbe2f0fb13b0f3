import { type Command, Option } from "commander";
import { type BackendName, prepareBackend, setBackend, setProcessor, setThreads } from "../backends/select.ts";
import { type MatrixPrecision, setMatrixPrecision } from "../graph/precision.ts";
import { wholeNumber } from "./shell.ts";

/** What a command computes with. */
export interface BackendOptions {
  readonly backend?: BackendName | "auto";
  readonly threads?: string;
  readonly precision?: MatrixPrecision;
  readonly processor?: string;
}

const threadsHelp = "threads of the native and the wasm backend (default: all cores)";

/** Adds `--backend`, `--threads`, `--precision` and `--processor`. */
export const withBackend = (command: Command): Command =>
  command
    .addOption(
      new Option("--backend <name>", "what computes: native is fast, webgpu is a GPU, wasm and reference need nothing")
        .choices(["auto", "native", "wasm", "webgpu", "reference"])
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
export async function chooseBackend({
  backend = "auto",
  threads,
  precision,
  processor,
}: BackendOptions): Promise<void> {
  if (processor !== undefined) setProcessor(processor);
  if (precision !== undefined) setMatrixPrecision(precision);
  if (backend !== "auto") await prepareBackend(backend);
  setBackend(backend);
  if (threads === undefined) return;
  setThreads(wholeNumber("--threads", threads));
}
