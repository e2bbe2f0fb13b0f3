import { extname } from "node:path";
import { Command } from "commander";
import type { ProgramProfile } from "../../bench/profile.ts";
import { rooflinePage } from "../../bench/roofline/page.ts";
import { showFlops, showRate, showSeconds, showShare } from "../../bench/roofline/units.ts";
import { traceOf } from "../../bench/trace.ts";
import { writeAtomic } from "../../io/atomic.ts";
import type { ProgramRun } from "../../ops/jit.ts";
import { packageVersion } from "../../train/environment.ts";
import { magnitude } from "../../train/report/format.ts";
import { withThreads } from "../backend.ts";
import { findTarget, prepareMeasuring, profileTarget, type RecipeProfile } from "../profiling.ts";
import { generalRecipe, recipeNames, recipeWords } from "../recipes.ts";
import { printJson, type Shell, showBytes, table, UsageError, wholeNumber } from "../shell.ts";

interface Options {
  readonly threads?: string;
  readonly runs: string;
  readonly top: string;
  readonly smoke?: boolean;
  readonly out?: string;
  readonly json?: boolean;
}

/** `manabi profile`: where does the time of a training step go, and how far is it from what the machine can do? */
export const profileCommand = (shell: Shell): Command =>
  withThreads(new Command("profile"))
    .description("tell where the time of a recipe's training step goes, and how near the machine's limits it is")
    .usage("[recipe] [options] [--<argument of the recipe> <value> ...]")
    .argument("[recipe]", `${recipeNames.join(", ")}, or a file; "${generalRecipe}" when it is left out`)
    .argument("[words...]")
    .configureHelp({ visibleArguments: ({ registeredArguments }) => registeredArguments.slice(0, 1) })
    .allowUnknownOption()
    .option("--runs <n>", "runs of the step that are timed", "10")
    .option("--top <n>", "kernels to print of each program", "20")
    .option("--smoke", "the recipe's smoke size")
    .option("--out <file>", "write a trace for chrome://tracing and Perfetto, and beside it a page with the roofline")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      `
Examples:
  manabi profile mnist-resnet
  manabi profile mnist-resnet --batch-size 256 --threads 1 --out step.json      (and step.html)
  manabi profile --data photos --model resnet50 --batch-size 8 --json`,
    )
    .action((first: string | undefined, words: string[], options: Options) => run(shell, first, words, options));

async function run(shell: Shell, first: string | undefined, words: readonly string[], options: Options): Promise<void> {
  const { name, rest } = recipeWords(first, words);
  if (name === null && rest.length === 0)
    throw new UsageError(
      `say what to profile: a recipe (${recipeNames.join(", ")}), or --data <folder>; see manabi profile --help`,
    );
  const count = wholeNumber("--runs", options.runs);
  const top = wholeNumber("--top", options.top);
  const { out } = options;
  if (out !== undefined && extname(out) !== ".json")
    throw new UsageError(`--out is "${out}"; the trace is a .json file, and the page beside it gets .html`);
  const target = await findTarget("profile", name ?? generalRecipe, rest, options.smoke);
  const output = await prepareMeasuring(shell, options);
  const { profile, runs } = await profileTarget(target, count, output);
  const files = out === undefined ? [] : await writeFiles(out, profile, runs);
  if (options.json) return printJson(shell, { ...profile, files });
  for (const program of profile.programs) output.info(`${describe(program, top)}\n`);
  output.info(`most memory held by the process: ${showBytes(profile.peakBytes)}`);
  for (const file of files) output.info(`written: ${file}`);
}

/** The trace, and beside it the page. */
async function writeFiles(out: string, profile: RecipeProfile, runs: readonly ProgramRun[]): Promise<string[]> {
  const page = `${out.slice(0, -".json".length)}.html`;
  await writeAtomic(out, JSON.stringify(traceOf(profile.command, runs)));
  await writeAtomic(page, rooflinePage(await packageVersion(), profile.machine, profile));
  return [out, page];
}

/** A program as text: totals, then a table of its kernels. */
function describe(program: ProgramProfile, top: number): string {
  const { name, parameters, runs, seconds, flops, bytes, roofline, arenaBytes, variables, variableBytes } = program;
  const shown = program.kernels.slice(0, top);
  const rest = program.kernels.slice(top);
  const right = ["#", "calls", "time", "share", "FLOP/s", "bytes/s", "of the roof"];
  const rows = shown.map((k, i) => [
    String(i + 1),
    k.name,
    k.shape,
    String(k.calls),
    showSeconds(k.seconds),
    showShare(k.share),
    k.flopsPerSecond ? magnitude(k.flopsPerSecond) : "-",
    k.bytesPerSecond ? magnitude(k.bytesPerSecond) : "-",
    showShare(k.roofline),
  ]);
  return [
    `${name}(${parameters.join(", ")}): ${showSeconds(seconds)}, median of ${runs} runs`,
    `${showFlops(flops / seconds)}, ${showRate(bytes / seconds)}, ${showShare(roofline)} of the roofline`,
    `memory: ${showBytes(arenaBytes)} of temporaries, ${showBytes(variableBytes)} in ${variables} variables\n`,
    table(["#", "kernel", "shape", ...right.slice(1)], rows, right),
    ...(rest.length ? [`${rest.length} more: ${showShare(rest.reduce((sum, k) => sum + k.share, 0))}`] : []),
  ].join("\n");
}
