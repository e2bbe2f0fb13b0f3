import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { FormatError, ManabiError } from "../core/errors.ts";
import { isRunning, writeAtomic } from "../io/atomic.ts";
import type { ArgValue } from "./args.ts";
import type { Environment } from "./environment.ts";

export type RunStatus = "running" | "done" | "interrupted" | "failed";

/** The value by which runs and checkpoints are compared. */
export interface Metric {
  /** As given to `run.log`, for example "test/accuracy". */
  readonly name: string;
  readonly goal: "max" | "min";
}

/** One process that worked on a run. */
export interface Session {
  /** ISO times. */
  readonly started: string;
  ended: string | null;
  readonly command: string;
  readonly pid: number;
  readonly host: string;
  readonly environment: Environment;
}

/** The file `run.json`. */
export interface RunRecord {
  readonly version: 1;
  readonly id: string;
  readonly recipe: string;
  readonly title: string;
  readonly args: Readonly<Record<string, ArgValue>>;
  readonly metric: Metric | null;
  status: RunStatus;
  error: string | null;
  /** Finished steps and epochs, and seconds of training over all sessions. */
  step: number;
  epoch: number;
  time: number;
  /** The last value of everything logged. */
  metrics: Readonly<Record<string, number | null>>;
  best: { readonly value: number; readonly step: number; readonly epoch: number } | null;
  readonly sessions: Session[];
}

const fileName = "run.json";

/** Writes `run.json`, atomically. */
export const writeRunRecord = (folder: string, record: RunRecord): Promise<void> =>
  writeAtomic(join(folder, fileName), `${JSON.stringify(record, null, 2)}\n`);

/** Reads `run.json`. Throws `ManabiError` when the folder holds no run, `FormatError` when the file is damaged. */
export async function readRunRecord(folder: string): Promise<RunRecord> {
  const path = join(folder, fileName);
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT" && error.code !== "ENOTDIR") throw error;
    throw new ManabiError(`${folder} is no run folder: it has no ${fileName}`);
  });
  let record: Partial<RunRecord>;
  try {
    record = JSON.parse(text);
  } catch {
    throw new FormatError(`${path}: not valid JSON`);
  }
  if (record.version !== 1) throw new FormatError(`${path}: version ${record.version}; this manabi reads version 1`);
  if (!isRunRecord(record)) throw new FormatError(`${path}: not the record of a run`);
  return record;
}

const isRunRecord = (record: Partial<RunRecord>): record is RunRecord =>
  typeof record.id === "string" &&
  typeof record.recipe === "string" &&
  typeof record.status === "string" &&
  typeof record.args === "object" &&
  typeof record.metrics === "object" &&
  Array.isArray(record.sessions) &&
  record.sessions.length > 0;

/** The status as it is now: a run whose process is gone was interrupted. On another machine one cannot tell. */
export function currentStatus(record: RunRecord): RunStatus {
  const { host, pid } = record.sessions[record.sessions.length - 1];
  return record.status === "running" && host === hostname() && !isRunning(pid) ? "interrupted" : record.status;
}

/** Throws when another process of this machine works on the run. Our own process id in the record is a leftover: in a
 *  container every process may get the same one. */
export function refuseRunning(folder: string, record: RunRecord): void {
  const { host, pid } = record.sessions[record.sessions.length - 1];
  if (currentStatus(record) === "running" && host === hostname() && pid !== process.pid)
    throw new ManabiError(`${folder} is still running as process ${pid}; stop that one first`);
}
