import { ManabiError } from "../core/errors.ts";
import { type ArgSpec, ArgsError, type ArgValues, checkArgs } from "./args.ts";
import { onInterrupt } from "./interrupt.ts";
import { Run, RunInterrupted, type RunOptions, type SessionOptions } from "./run.ts";
import { type Metric, readRunRecord } from "./run-record.ts";

/** A method in one file: typed arguments, a smoke size for tests, and the training loop. */
export interface Recipe<S extends ArgSpec = ArgSpec> {
  /** Name on the command line; null: the name of the file. */
  readonly name: string | null;
  readonly title: string;
  readonly args: S;
  /** Arguments of a run that takes seconds, for tests and for trying out. */
  readonly smoke: Partial<ArgValues<S>>;
  /** The value by which the best checkpoint is chosen and runs are compared. */
  readonly metric: Metric | null;
  /** Throws when the arguments cannot work, before a run folder is made. */
  check?(args: ArgValues<S>): Promise<void>;
  run(args: ArgValues<S>, run: Run): Promise<void>;
}

export interface RecipeDefinition<S extends ArgSpec> {
  readonly name?: string;
  readonly title: string;
  readonly args: S;
  readonly smoke: Partial<ArgValues<NoInfer<S>>>;
  readonly metric?: Metric;
  check?(args: ArgValues<NoInfer<S>>): Promise<void>;
  run(args: ArgValues<NoInfer<S>>, run: Run): Promise<void>;
}

/** Defines a recipe; the types of `smoke` and of the arguments of `run` follow from `args`. Throws `ArgsError` when a
 *  default or a smoke value does not fit its own argument. */
export function recipe<const S extends ArgSpec>(definition: RecipeDefinition<S>): Recipe<S> {
  const { name = null, metric = null } = definition;
  checkArgs(definition.args, {});
  checkArgs(definition.args, definition.smoke);
  return { ...definition, name, metric };
}

export interface ExecuteOptions extends SessionOptions, Pick<RunOptions, "root" | "folder"> {
  /** Name for the run's folder and record where the recipe has none of its own. */
  readonly name?: string;
}

/** How an executed recipe ended; failures are thrown. */
export interface Outcome {
  readonly status: "done" | "interrupted";
  readonly run: Run;
  /** For the process: 0, or 130 after Ctrl-C. */
  readonly exitCode: number;
}

/** Runs a recipe in a new run folder, from start to end or to Ctrl-C. */
export async function execute<S extends ArgSpec>(
  recipe: Recipe<S>,
  args: Partial<ArgValues<S>>,
  options: ExecuteOptions = {},
): Promise<Outcome> {
  const { name = recipe.name, ...rest } = options;
  if (name === null) throw new ManabiError(`the recipe "${recipe.title}" has no name; give one`);
  const values = checkArgs(recipe.args, args);
  await recipe.check?.(values);
  return attend(
    await Run.create({ ...rest, recipe: name, title: recipe.title, args: values, metric: recipe.metric }),
    (run) => recipe.run(values, run),
  );
}

/** Goes on with an interrupted or failed run of this recipe, with the arguments it was started with. */
export async function resume<S extends ArgSpec>(
  recipe: Recipe<S>,
  folder: string,
  options: SessionOptions = {},
): Promise<Outcome> {
  const record = await readRunRecord(folder);
  let values: ArgValues<S>;
  try {
    values = checkArgs(recipe.args, record.args);
  } catch (error) {
    if (!(error instanceof ArgsError)) throw error;
    throw new ManabiError(`${folder} was started with other arguments than this recipe takes: ${error.message}`);
  }
  return attend(await Run.resume(folder, options), (run) => recipe.run(values, run));
}

/** Watches over a run: Ctrl-C, the final state of its folder, what to tell the user. */
async function attend(run: Run, work: (run: Run) => Promise<void>): Promise<Outcome> {
  const { output } = run;
  const undo = onInterrupt(() => {
    run.stop();
    output.warn("stopping after this step; press Ctrl-C again to exit at once");
  });
  try {
    const status = await work(run).then(
      () => "done" as const,
      (error) => {
        if (error instanceof RunInterrupted) return "interrupted" as const;
        throw error;
      },
    );
    await run.finish(status);
    if (status === "interrupted") {
      const saved = run.lastCheckpoint ? `saved at step ${run.step}` : "stopped; nothing was saved, it will start anew";
      output.warn(`${saved}; to go on: ${run.resumeCommand}`);
    }
    return { status, run, exitCode: status === "done" ? 0 : 130 };
  } catch (error) {
    if (run.record.status === "running") await run.finish("failed", error);
    throw error;
  } finally {
    undo();
  }
}
