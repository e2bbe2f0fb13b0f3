import { Command } from "commander";
import { showShape, unknownName } from "../../core/errors.ts";
import {
  createModel,
  findModel,
  findWeights,
  formatSummary,
  modelNames,
  models,
  summarize,
  weightNames,
} from "../../models/index.ts";
import { magnitude } from "../../train/report/format.ts";
import { outputOf, printJson, type Shell, showPercent, table, UsageError } from "../shell.ts";

interface Options {
  readonly json?: boolean;
}

/** `manabi models`: what can be trained, and how large it is. */
export const modelsCommand = (shell: Shell): Command =>
  new Command("models")
    .description("list the models with parameters and FLOPs, or show the layers of one")
    .argument("[name]", "the model whose layers to show")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExamples:\n  manabi models\n  manabi models resnet18")
    .action((name: string | undefined, options: Options) =>
      name === undefined ? list(shell, options) : show(shell, name, options),
    );

async function list(shell: Shell, { json }: Options): Promise<void> {
  const rows = await Promise.all(
    modelNames().map(async (name) => {
      const { variant, family } = findModel(name);
      const { parameters, flops } = summarize(await createModel(name), [1, ...variant.input]);
      const weights = (await weightNames(name)).sort();
      return { name, family: family.title, input: variant.input, parameters, flops, weights };
    }),
  );
  if (json) return printJson(shell, rows);
  const output = outputOf(shell, { json });
  output.info(
    table(
      ["model", "family", "input", "parameters", "FLOPs"],
      rows.map(({ name, family, input, parameters, flops }) => [
        name,
        family,
        showShape(input),
        parameters.toLocaleString("en-US"),
        magnitude(flops),
      ]),
      ["parameters", "FLOPs"],
    ),
  );
  output.info("\nFLOPs are multiply-adds of one forward pass of one input.");
  for (const { title, paper } of Object.values(models)) output.info(`${title}: ${paper}`);
  output.info("\nPublished weights (top-1 as published, ImageNet-1k), for manabi predict --model:\n");
  const known = await Promise.all(rows.flatMap(({ weights }) => weights).map(findWeights));
  output.info(
    table(
      ["weights", "top-1", "input", "licence", "source"],
      known.map(({ name, top1, input, licence, manifest }) => [
        name,
        top1 === null ? "" : showPercent(top1),
        `${input.height}x${input.width}`,
        licence,
        manifest.sources[0].title,
      ]),
      ["top-1"],
    ),
  );
}

async function show(shell: Shell, name: string, { json }: Options): Promise<void> {
  if (!modelNames().includes(name)) throw new UsageError(unknownName("model", name, modelNames()).message);
  const { variant } = findModel(name);
  const summary = summarize(await createModel(name), [1, ...variant.input]);
  if (json) return printJson(shell, { name, input: variant.input, ...summary });
  outputOf(shell, { json }).info(formatSummary(name, summary));
}
