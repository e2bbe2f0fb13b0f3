import { readdir, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { FormatError, ManabiError } from "../core/errors.ts";
import { copyAtomic, makeFolder, removeLeftovers } from "./atomic.ts";
import { type Parts, readCheckpoint, readNotes, type SaveOptions, saveCheckpoint } from "./checkpoint.ts";

export interface CheckpointFolderOptions {
  /** How many of the newest checkpoints to keep. Default 3. */
  readonly keep?: number;
  /** Whether a higher or a lower score is better. Default "max". */
  readonly goal?: "max" | "min";
}

export interface BestCheckpoint {
  readonly path: string;
  readonly step: number;
  readonly score: number;
}

const bestName = "best.safetensors";
const stepName = (step: number): string => `step-${String(step).padStart(9, "0")}.safetensors`;

/** Checkpoints by step, oldest first; other files are ignored. */
async function listSteps(folder: string): Promise<{ path: string; step: number }[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return names
    .map((name) => ({
      path: join(folder, name),
      step: Number(/^step-(\d+)\.safetensors$/.exec(name)?.[1] ?? Number.NaN),
    }))
    .filter(({ step }) => !Number.isNaN(step))
    .sort((a, b) => a.step - b.step);
}

/** The newest checkpoint of a folder that reads back whole, or null when there is none at all; a corrupt one is
 *  passed to `warn` and the one before it taken. Throws `FormatError` when every one is corrupt. */
export async function latestCheckpoint(
  folder: string,
  warn: (message: string) => void = console.warn,
): Promise<string | null> {
  const steps = await listSteps(folder);
  for (const { path } of steps.reverse()) {
    try {
      await readCheckpoint(path);
      return path;
    } catch (error) {
      if (!(error instanceof ManabiError)) throw error;
      warn(`skipping a checkpoint: ${error.message}`);
    }
  }
  if (steps.length === 0) return null;
  throw new FormatError(`${folder}: none of the ${steps.length} checkpoints can be read; start a new run`);
}

/** A folder that keeps the newest checkpoints (`step-000001200.safetensors`) and the best one (`best.safetensors`). */
export class CheckpointFolder {
  readonly path: string;
  readonly keep: number;
  readonly goal: "max" | "min";
  best: BestCheckpoint | null = null;

  private constructor(path: string, { keep = 3, goal = "max" }: CheckpointFolderOptions) {
    if (!Number.isInteger(keep) || keep < 1)
      throw new ManabiError(`checkpoints: keep is ${keep}; at least 1 is needed`);
    this.path = path;
    this.keep = keep;
    this.goal = goal;
  }

  /** Creates or reopens a folder; what a killed process left half done is finished or removed. */
  static async open(path: string, options: CheckpointFolderOptions = {}): Promise<CheckpointFolder> {
    const folder = new CheckpointFolder(path, options);
    await makeFolder(path);
    await removeLeftovers(path);
    for (const name of (await readdir(path)).sort())
      if (name === bestName || name.startsWith("step-")) await folder.#consider(join(path, name));
    return folder;
  }

  /** Saves a checkpoint, updates the best one by `score` (NaN is never best), removes the oldest; returns its path. */
  async save(step: number, parts: Parts, options: SaveOptions & { readonly score?: number } = {}): Promise<string> {
    const { score, notes, check } = options;
    const path = join(this.path, stepName(step));
    const scored: SaveOptions["notes"] = score === undefined ? {} : { score: String(score) };
    await saveCheckpoint(path, parts, { check, notes: { ...notes, ...scored, step: String(step) } });
    if (score !== undefined) await this.#promote(path, step, score);
    await this.prune(step);
    return path;
  }

  /** Removes all but the newest checkpoints up to `step`, and those beyond it: they are of an abandoned course, for the
   *  run has gone back to an earlier checkpoint. */
  async prune(step: number): Promise<void> {
    const steps = await listSteps(this.path);
    const kept = new Set(steps.filter((entry) => entry.step <= step).slice(-this.keep));
    for (const entry of steps) if (!kept.has(entry)) await rm(entry.path, { force: true });
  }

  /** The newest good checkpoint, as `latestCheckpoint`. */
  latest(warn?: (message: string) => void): Promise<string | null> {
    return latestCheckpoint(this.path, warn);
  }

  /** Takes a checkpoint found on disk into account: the process may have been killed between saving and promoting. */
  async #consider(path: string): Promise<void> {
    const notes = await readNotes(path).catch((error) => {
      if (error instanceof ManabiError) return null; // a corrupt file is reported when it is asked for
      throw error;
    });
    if (notes?.score !== undefined) await this.#promote(path, Number(notes.step), Number(notes.score));
  }

  async #promote(path: string, step: number, score: number): Promise<void> {
    const better = this.best === null || (this.goal === "max" ? score > this.best.score : score < this.best.score);
    if (!better || Number.isNaN(score)) return;
    const best = join(this.path, bestName);
    if (basename(path) !== bestName) await copyAtomic(path, best);
    this.best = { path: best, step, score };
  }
}
