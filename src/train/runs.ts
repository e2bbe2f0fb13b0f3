/** Listing and comparing runs, as data. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { ManabiError } from "../core/errors.ts";
import type { ArgValue } from "./args.ts";
import { currentStatus, type Metric, type RunStatus, readRunRecord } from "./run-record.ts";

/** One run in a list. */
export interface RunSummary {
  readonly folder: string;
  readonly recipe: string;
  readonly title: string;
  readonly status: RunStatus;
  /** ISO time at which it was begun. */
  readonly started: string;
  /** Seconds of training over all sessions. */
  readonly seconds: number;
  readonly step: number;
  readonly epoch: number;
  readonly metric: Metric | null;
  readonly best: { readonly value: number; readonly step: number; readonly epoch: number } | null;
  /** The last value of everything logged; null for one that was not finite. */
  readonly metrics: Readonly<Record<string, number | null>>;
  readonly args: Readonly<Record<string, ArgValue>>;
}

/** The run in a folder. Throws as `readRunRecord`. */
export async function readRun(folder: string): Promise<RunSummary> {
  const record = await readRunRecord(folder);
  const { recipe, title, time, step, epoch, metric, best, metrics, args, sessions } = record;
  const status = currentStatus(record);
  return {
    folder,
    recipe,
    title,
    status,
    started: sessions[0].started,
    seconds: time,
    step,
    epoch,
    metric,
    best,
    metrics,
    args,
  };
}

/** The runs in a folder, newest first, and the damaged ones with the reason. A missing folder has none. */
export async function listRuns(
  root: string,
): Promise<{ runs: RunSummary[]; damaged: { folder: string; reason: string }[] }> {
  const entries = await readdir(root, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  const runs: RunSummary[] = [];
  const damaged: { folder: string; reason: string }[] = [];
  for (const entry of entries) {
    if (!entry.isDirectory() || entry.name.startsWith(".")) continue;
    const folder = join(root, entry.name);
    try {
      runs.push(await readRun(folder));
    } catch (error) {
      if (!(error instanceof ManabiError)) throw error;
      damaged.push({ folder, reason: error.message });
    }
  }
  runs.sort((a, b) => (a.started < b.started ? 1 : -1));
  return { runs, damaged };
}

/** One line of a comparison: a value per run, undefined where a run has none. */
export interface ComparedRow<T> {
  readonly name: string;
  readonly values: readonly (T | undefined)[];
}

export interface RunComparison {
  readonly runs: readonly RunSummary[];
  /** The arguments that are not the same in all runs. */
  readonly args: readonly ComparedRow<ArgValue>[];
  /** The last value of everything that any run logged, and the best value of each metric. */
  readonly metrics: readonly ComparedRow<number | null>[];
  readonly best: readonly ComparedRow<number>[];
}

/** Puts runs side by side. */
export function compareRuns(runs: readonly RunSummary[]): RunComparison {
  const rows = <T>(pick: (run: RunSummary) => Readonly<Record<string, T>>): ComparedRow<T>[] =>
    [...new Set(runs.flatMap((run) => Object.keys(pick(run))))].map((name) => ({
      name,
      values: runs.map((run) => pick(run)[name]),
    }));
  const args = rows((run) => run.args).filter(({ values }) => values.some((value) => value !== values[0]));
  const best = rows(
    (run): Record<string, number> => (run.metric && run.best ? { [run.metric.name]: run.best.value } : {}),
  );
  return { runs, args, metrics: rows((run) => run.metrics), best };
}
