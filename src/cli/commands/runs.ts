import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { ManabiError, nearest } from "../../core/errors.ts";
import { showDuration, showNumber } from "../../train/progress.ts";
import { compareRuns, listRuns, type RunSummary, readRun } from "../../train/runs.ts";
import { outputOf, printJson, type Shell, table } from "../shell.ts";

interface Options {
  readonly root: string;
  readonly json?: boolean;
}

/** `manabi runs`: what has been trained here, and what made the difference. */
export const runsCommand = (shell: Shell): Command =>
  new Command("runs")
    .description("list runs, or put some side by side")
    .argument("[runs...]", "folders or names of the runs to compare")
    .option("--root <folder>", "where runs are", "runs")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  manabi runs\n  manabi runs mnist-resnet-20260101-120000-ab12 mnist-resnet-20260101-130000-cd34",
    )
    .action(async (names: string[], options: Options) => {
      if (names.length) await compare(shell, names, options);
      else await list(shell, options);
    });

async function list(shell: Shell, { root, json }: Options): Promise<void> {
  const { runs, damaged } = await listRuns(root);
  const output = outputOf(shell, { json });
  for (const { folder, reason } of damaged) output.warn(`${folder} is left out: ${reason}`);
  if (json) return printJson(shell, runs);
  if (!runs.length) return output.info(`No runs in ${root} yet; start one with: manabi train mnist-resnet`);
  output.info(
    table(
      ["run", "status", "started", "time", "epoch", "best"],
      runs.map((run) => [
        run.folder,
        run.status,
        run.started.slice(0, 16).replace("T", " "),
        showDuration(run.seconds),
        String(run.epoch),
        showBest(run),
      ]),
      ["time", "epoch"],
    ),
  );
}

const showBest = ({ metric, best }: RunSummary): string =>
  metric && best ? `${metric.name} ${showNumber(best.value)}` : "";

async function compare(shell: Shell, names: readonly string[], { root, json }: Options): Promise<void> {
  const comparison = compareRuns(await Promise.all(names.map(async (name) => readRun(await findRun(name, root)))));
  if (json) return printJson(shell, comparison);
  const output = outputOf(shell, { json });
  const { runs } = comparison;
  const titles = runs.map((_, i) => `run ${i + 1}`);
  const show = (value: unknown): string => (typeof value === "number" ? showNumber(value) : String(value ?? "–"));
  for (const [i, run] of runs.entries()) output.info(`run ${i + 1}: ${run.folder} (${run.recipe}, ${run.status})`);
  const rows = [
    ...comparison.args.map(({ name, values }) => [name, ...values.map(show)]),
    ...comparison.best.map(({ name, values }) => [`best ${name}`, ...values.map(show)]),
    ...comparison.metrics.map(({ name, values }) => [name, ...values.map(show)]),
    ["epochs", ...runs.map((run) => String(run.epoch))],
    ["time", ...runs.map((run) => showDuration(run.seconds))],
  ];
  output.info(`\n${table(["", ...titles], rows, titles)}`);
}

/** The folder of a run that is named by its folder, or by its name under `root`. Throws with the nearest names. */
export async function findRun(name: string, root: string): Promise<string> {
  for (const folder of [name, join(root, name)]) if (existsSync(join(folder, "run.json"))) return folder;
  const { runs } = await listRuns(root);
  const near = nearest(
    name,
    runs.map((run) => run.folder.slice(root.length + 1)),
  );
  throw new ManabiError(
    `${name} is no run folder: it has no run.json${near.length ? `; did you mean ${near.join(", ")}?` : ""}`,
  );
}
