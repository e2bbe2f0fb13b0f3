import { extname } from "node:path";
import { Command } from "commander";
import { machineRows } from "../../bench/roofline/machine-rows.ts";
import { rooflinePage } from "../../bench/roofline/page.ts";
import { writeAtomic } from "../../io/atomic.ts";
import { packageVersion } from "../../train/environment.ts";
import { withThreads } from "../backend.ts";
import { findTarget, measurePeaks, prepareMeasuring, profileTarget } from "../profiling.ts";
import { recipeNames } from "../recipes.ts";
import { printJson, type Shell, table, UsageError, wholeNumber } from "../shell.ts";

interface Options {
  readonly threads?: string;
  readonly recipe?: string;
  readonly runs: string;
  readonly out: string;
  readonly json?: boolean;
}

/** `manabi bench machine`: what can this machine do at most, and where do a recipe's kernels stand? */
export const machineCommand = (shell: Shell): Command =>
  withThreads(new Command("machine"))
    .description("measure the peaks of this machine and draw its roofline")
    .usage("[options] [--<argument of the recipe> <value> ...]")
    .argument("[words...]")
    .configureHelp({ visibleArguments: () => [] })
    .allowUnknownOption()
    .option(
      "--recipe <name>",
      `place the kernels of a recipe's training step on it: ${recipeNames.join(", ")}, or a file`,
    )
    .option("--runs <n>", "runs of the step that are timed", "10")
    .option("--out <file>", "the page with the picture", "roofline.html")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      `
Examples:
  manabi bench machine
  manabi bench machine --recipe mnist-resnet --batch-size 256 --out mnist.html`,
    )
    .action((words: string[], options: Options) => run(shell, words, options));

async function run(shell: Shell, words: readonly string[], options: Options): Promise<void> {
  const { recipe, out } = options;
  const count = wholeNumber("--runs", options.runs);
  if (recipe === undefined && words.length)
    throw new UsageError(`"${words[0]}" is an option of no recipe; name one with --recipe (${recipeNames.join(", ")})`);
  if (extname(out) !== ".html") throw new UsageError(`--out is "${out}"; the page is a .html file`);
  const target = recipe === undefined ? null : await findTarget("bench machine --recipe", recipe, words);
  const output = await prepareMeasuring(shell, options);
  const profile = target && (await profileTarget(target, count, output)).profile;
  const machine = profile?.machine ?? measurePeaks(output);
  await writeAtomic(out, rooflinePage(await packageVersion(), machine, profile));
  if (options.json) return printJson(shell, { machine, recipe: profile, files: [out] });
  const { cpu, threads, load } = machine;
  const rows = machineRows(machine).map(({ what, one, all }) => [what, one, all]);
  output.info(`${cpu}, ${threads} ${threads === 1 ? "thread" : "threads"}, load average ${load.toFixed(1)}\n`);
  output.info(table(["what", "one core", "all cores"], rows, ["one core", "all cores"]));
  output.info(`\nwritten: ${out}`);
}
