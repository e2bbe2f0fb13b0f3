import { join } from "node:path";
import { Command } from "commander";
import { setMatrixPrecision } from "../../graph/precision.ts";
import { helpText } from "../../train/args.ts";
import type { Output } from "../../train/output.ts";
import { showDuration } from "../../train/progress.ts";
import { execute, type Outcome, type Recipe, resume } from "../../train/recipe.ts";
import { metricTitle, metricValue, splitName } from "../../train/report/format.ts";
import { readRunRecord } from "../../train/run-record.ts";
import { type BackendOptions, chooseBackend, withBackend } from "../backend.ts";
import { announceCompiling } from "../compiling.ts";
import { generalRecipe, loadRecipe, recipeArgs, recipeNames, recipeWords } from "../recipes.ts";
import { outputOf, type PrintOptions, type Shell, UsageError, wholeNumber } from "../shell.ts";

interface Options extends BackendOptions, PrintOptions {
  readonly resume?: string;
  readonly out?: string;
  readonly smoke?: boolean;
  readonly saveEvery?: string;
  readonly help?: boolean;
}

/** `manabi train`: runs a recipe in a run folder, from start to end or on from where it was stopped. */
export const trainCommand = (shell: Shell): Command => {
  const command = new Command("train")
    .description("train a model by a recipe, or on a folder of your own pictures")
    .usage("[recipe] [options] [--<argument of the recipe> <value> ...]")
    .argument("[recipe]", `${recipeNames.join(", ")}, or a file; "${generalRecipe}" when it is left out`)
    .argument("[words...]")
    .configureHelp({ visibleArguments: ({ registeredArguments }) => registeredArguments.slice(0, 1) })
    .allowUnknownOption()
    .helpOption(false)
    .option("-h, --help", "the options, and those of the recipe where one is named")
    .option("--resume <run>", "go on with the run in this folder")
    .option("--out <folder>", "the run's folder (default: a new one in runs/)")
    .option("--save-every <steps>", "save a checkpoint also within epochs")
    .option("--smoke", "a size that takes seconds, to try things out")
    .option("--quiet", "print warnings only")
    .option("--json", "print one JSON object a line on stdout")
    .action((recipe: string | undefined, words: string[], options: Options) =>
      train(shell, command, recipe, words, options),
    );
  return withBackend(command);
};

async function train(
  shell: Shell,
  command: Command,
  first: string | undefined,
  words: readonly string[],
  options: Options,
): Promise<void> {
  const { name: given, rest } = recipeWords(first, words);
  if (options.help) return help(shell, command, given);
  if (given === null && rest.length === 0 && options.resume === undefined)
    throw new UsageError(
      `say what to train: --data <folder>, or a recipe (${recipeNames.join(", ")}); see manabi train --help`,
    );
  const output = outputOf(shell, options);
  await chooseBackend(options);
  announceCompiling(output);
  const outcome = await (options.resume === undefined
    ? start(given ?? generalRecipe, rest, options, output)
    : goOn(options.resume, given, rest, options, output, command.getOptionValueSource("precision") === "cli"));
  if (outcome.status === "done") tellResult(outcome, output);
  shell.exitCode = outcome.exitCode;
}

async function start(name: string, words: readonly string[], options: Options, output: Output): Promise<Outcome> {
  const recipe = await loadRecipe(name);
  const args = recipeArgs("train", recipe, words, options.smoke);
  return execute(recipe, args, { name, folder: options.out, output, saveEvery: saveEvery(options) });
}

async function goOn(
  folder: string,
  given: string | null,
  words: readonly string[],
  options: Options,
  output: Output,
  newPrecision: boolean,
): Promise<Outcome> {
  const { out, smoke } = options;
  if (words.length) throw new UsageError(`a resumed run keeps its arguments; leave out ${words.join(" ")}`);
  if (out !== undefined || smoke)
    throw new UsageError(`--resume goes on in ${folder}; leave out ${smoke ? "--smoke" : "--out"}`);
  const record = await readRunRecord(folder);
  // A run of an older version has none on record.
  if (!newPrecision) setMatrixPrecision(record.sessions[record.sessions.length - 1].environment.precision ?? "highest");
  if (given !== null && given !== record.recipe)
    throw new UsageError(`${folder} is a run of ${record.recipe}, not of ${given}`);
  return resume(await loadRecipe(given ?? record.recipe), folder, { output, saveEvery: saveEvery(options) });
}

const saveEvery = ({ saveEvery }: Options): number | undefined =>
  saveEvery === undefined ? undefined : wholeNumber("--save-every", saveEvery);

function help(shell: Shell, command: Command, name: string | null): Promise<void> | void {
  if (name !== null) return recipeHelp(shell, name);
  shell.stdout.write(`${command.helpInformation()}
Examples:
  manabi train mnist-resnet
  manabi train mnist-resnet --epochs 2 --lr 0.05 --out runs/quick
  manabi train --data photos --model resnet18 --epochs 20
  manabi train --data photos --model resnet50 --weights imagenet --mode features
  manabi train --data cifar10 --model resnet18
  manabi train --resume runs/quick
  manabi train mnist-resnet --help
`);
}

async function recipeHelp(shell: Shell, name: string): Promise<void> {
  const recipe: Recipe = await loadRecipe(name);
  shell.stdout.write(`${recipe.title}

Usage: manabi train ${name} [options]

Arguments of the recipe:
${helpText(recipe.args)}

Options of every recipe: --resume, --out, --save-every, --smoke, --backend, --threads, --quiet, --json; see manabi train --help
`);
}

/** The last lines: how good it became, how long it took, where to look. */
function tellResult({ run }: Outcome, output: Output): void {
  const { metric, best, metrics, time, epoch } = run.record;
  if (metric && best) {
    const { set, base } = splitName(metric.name);
    const last = metrics[metric.name] ?? Number.NaN;
    const kept = last === best.value ? "" : `, best ${metricValue(base, best.value)} after epoch ${best.epoch}`;
    output.info(`${set} ${metricTitle(base).toLowerCase()} ${metricValue(base, last)}${kept}`);
  }
  output.info(`${epoch} epochs in ${showDuration(time)}`);
  output.info(`report: ${join(run.folder, "report.html")}`);
}
