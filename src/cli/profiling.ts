import { threadCount } from "../backends/select.ts";
import { captureRuns } from "../bench/capture.ts";
import { type MachinePeaks, measureMachine } from "../bench/machine.ts";
import { peakMemory } from "../bench/memory.ts";
import { type ProgramProfile, profilePrograms } from "../bench/profile.ts";
import { ManabiError } from "../core/errors.ts";
import type { ProgramRun } from "../ops/jit.ts";
import type { ArgSpec, ArgValues } from "../train/args.ts";
import { Output } from "../train/output.ts";
import type { Recipe } from "../train/recipe.ts";
import { type BackendOptions, chooseBackend } from "./backend.ts";
import { announceCompiling } from "./compiling.ts";
import { loadRecipe, recipeArgs } from "./recipes.ts";
import type { Shell } from "./shell.ts";

/** Runs of a program before those that are timed. */
const warmup = 3;

/** Chooses what is measured, the native backend unless told. Returns where to tell things; with `json` that is stderr
 *  alone, since stdout is for the result. */
export async function prepareMeasuring(
  { stdout, stderr }: Shell,
  { backend = "native", threads, json }: Pick<BackendOptions, "backend" | "threads"> & { readonly json?: boolean },
): Promise<Output> {
  const output = new Output({ stdout: json ? stderr : stdout, stderr });
  announceCompiling(output);
  await chooseBackend({ backend, threads });
  return output;
}

/** The machine's peaks, with progress, and a word where other work spoils them. */
export function measurePeaks(output: Output): MachinePeaks {
  const threads = threadCount();
  const peaks = measureMachine(threads, (what) => output.status(`measuring ${what} ...`));
  if (peaks.load > threads / 2)
    output.warn(
      `the load average is ${peaks.load.toFixed(1)}: other processes are at work, and what is measured may be too low`,
    );
  return peaks;
}

/** A recipe with its arguments, and the command line that says so. */
export interface Target {
  readonly name: string;
  readonly title: string;
  readonly command: string;
  readonly recipe: Recipe;
  readonly args: ArgValues<ArgSpec>;
}

/** The recipe that the words after `command` name. */
export async function findTarget(
  command: string,
  name: string,
  words: readonly string[],
  smoke = false,
): Promise<Target> {
  const recipe = await loadRecipe(name);
  const args = recipeArgs(command, recipe, words, smoke);
  const line = ["manabi", command, name, ...words, ...(smoke ? ["--smoke"] : [])].join(" ");
  return { name, title: recipe.title, command: line, recipe, args };
}

export interface RecipeProfile extends Omit<Target, "recipe"> {
  readonly machine: MachinePeaks;
  readonly programs: readonly ProgramProfile[];
  /** Most bytes of main memory that the process held. */
  readonly peakBytes: number;
}

/** Runs a recipe until `count` runs of its training step have been timed, then measures the machine. */
export async function profileTarget(
  { recipe, ...target }: Target,
  count: number,
  output: Output,
): Promise<{ readonly profile: RecipeProfile; readonly runs: readonly ProgramRun[] }> {
  const { name, args } = target;
  output.status(`running ${name} until ${count} steps are timed ...`);
  const runs = await captureRuns(recipe, args, { name, steps: count, warmup, output });
  if (runs.length === 0)
    throw new ManabiError(
      `${name} ended before a jitted function had run more than ${warmup} times; give it more to do`,
    );
  // Before the machine is measured, whose arrays would count as memory of the recipe.
  const peakBytes = peakMemory();
  const machine = measurePeaks(output);
  return { profile: { ...target, machine, programs: profilePrograms(runs, machine), peakBytes }, runs };
}
