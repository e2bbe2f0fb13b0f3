import { Command } from "commander";
import { showShape, unknownName } from "../../core/errors.ts";
import type { Shape } from "../../core/shape.ts";
import {
  createModel,
  findModel,
  findWeights,
  formatSummary,
  modelNames,
  models,
  type Summary,
  summarize,
  weightNames,
} from "../../models/index.ts";
import { magnitude } from "../../train/report/format.ts";
import { outputOf, printJson, type Shell, showBytes, showPercent, table, UsageError } from "../shell.ts";

interface Options {
  readonly json?: boolean;
}

interface Row extends Pick<Summary, "parameters" | "flops" | "weightBytes" | "activationBytes"> {
  readonly name: string;
  readonly family: string;
  readonly input: Shape;
  /** Names of published weights. */
  readonly published: readonly string[];
}

/** `manabi models`: what can be trained, and how large it is. */
export const modelsCommand = (shell: Shell): Command =>
  new Command("models")
    .description("list the models with parameters, FLOPs and memory, or show the layers of one")
    .argument("[name]", "the model whose layers to show")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExamples:\n  manabi models\n  manabi models resnet18")
    .action((name: string | undefined, options: Options) =>
      name === undefined ? list(shell, options) : show(shell, name, options),
    );

async function list(shell: Shell, { json }: Options): Promise<void> {
  const output = outputOf(shell, { json });
  const rows: Row[] = [];
  for (const name of modelNames()) {
    output.working(`counting: ${name}`);
    const { variant, family } = findModel(name);
    const summary = summarize(await createModel(name), [1, ...variant.input]);
    const { parameters, flops, weightBytes, activationBytes } = summary;
    const counts = { parameters, flops, weightBytes, activationBytes };
    rows.push({ name, family: family.title, input: variant.input, ...counts, published: await weightNames(name) });
  }
  if (json) return printJson(shell, rows);
  output.info(
    table(
      ["model", "family", "input", "parameters", "FLOPs", "weights", "activations"],
      rows.map(({ name, family, input, parameters, flops, weightBytes, activationBytes }) => [
        name,
        family,
        showShape(input),
        parameters.toLocaleString("en-US"),
        magnitude(flops),
        showBytes(weightBytes),
        showBytes(activationBytes),
      ]),
      ["parameters", "FLOPs", "weights", "activations"],
    ),
  );
  output.info(
    "\nFLOPs are multiply-adds of one forward pass of one input; activations are the memory between its layers.",
  );
  for (const { title, paper } of Object.values(models)) output.info(`${title}: ${paper}`);
  output.info("\nPublished weights (top-1 as published, ImageNet-1k), for manabi predict --model:\n");
  const known = await Promise.all(rows.flatMap(({ published }) => published).map(findWeights));
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
