import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { observeRuns, type ProgramRun } from "../ops/jit.ts";
import type { ArgSpec, ArgValues } from "../train/args.ts";
import type { Output } from "../train/output.ts";
import type { Recipe } from "../train/recipe.ts";
import { Run } from "../train/run.ts";

export interface CaptureOptions {
  readonly name: string;
  /** Runs of each program that are timed, after `warmup` that are not. */
  readonly steps: number;
  readonly warmup: number;
  /** Where the recipe's own words go. */
  readonly output: Output;
}

/** Ends a recipe from within a step. */
class EnoughSeen extends Error {
  override name = "EnoughSeen";
}

/**
 * Starts a recipe as it is, in a folder that is removed afterwards, and watches its jitted functions until one that
 * updates variables, so a training step, has been timed `steps` times; the recipe is then left. Whatever else the
 * recipe computes until then is among the runs.
 */
export async function captureRuns<S extends ArgSpec>(
  recipe: Recipe<S>,
  args: ArgValues<S>,
  { name, steps, warmup, output }: CaptureOptions,
): Promise<ProgramRun[]> {
  await recipe.check?.(args);
  const folder = await mkdtemp(join(tmpdir(), "manabi-profile-"));
  const seen = new Map<object, number>();
  const kept: ProgramRun[] = [];
  try {
    const run = await Run.create({ recipe: name, title: recipe.title, args, output, folder: join(folder, "run") });
    observeRuns((program) => {
      const count = (seen.get(program.executable) ?? 0) + 1;
      seen.set(program.executable, count);
      if (count > warmup) kept.push(program);
      output.working(`step ${count}`);
      if (program.updates > 0 && count >= warmup + steps) throw new EnoughSeen();
    });
    try {
      await recipe.run(args, run);
    } catch (error) {
      if (!(error instanceof EnoughSeen)) throw error;
    } finally {
      observeRuns(null);
      await run.finish("interrupted");
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return kept;
}
