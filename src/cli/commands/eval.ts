import { Command, Option } from "commander";
import { ManabiError } from "../../core/errors.ts";
import type { Dataset } from "../../data/dataset.ts";
import { ImageFileDataset } from "../../data/image-files.ts";
import { DataLoader } from "../../data/loader.ts";
import { openSplits } from "../../data/open.ts";
import type { ClassifierCard } from "../../train/classifier.ts";
import { evaluateClassifier } from "../../train/evaluate.ts";
import { fetchProgress } from "../../train/fetching.ts";
import { mostConfused } from "../../train/metrics.ts";
import type { Output } from "../../train/output.ts";
import { showNumber } from "../../train/progress.ts";
import { type BackendOptions, chooseBackend, withBackend } from "../backend.ts";
import { announceCompiling } from "../compiling.ts";
import { outputOf, printJson, type Shell, showPercent, table } from "../shell.ts";
import { loadTrained } from "../trained.ts";

interface Options extends BackendOptions {
  readonly data?: string;
  readonly json?: boolean;
  readonly onError: "skip" | "throw";
  readonly checkpoint: "best" | "last";
}

/** `manabi eval`: how good is it on pictures it has not learned from? */
export const evalCommand = (shell: Shell): Command =>
  withBackend(new Command("eval"))
    .description("measure a trained model on its test images, or on others")
    .argument("<run>", "a run's folder or name, or a checkpoint file")
    .option("--data <name>", "a known data set or a folder of images (default: the test images of the run)")
    .addOption(new Option("--checkpoint <which>", "of a run").choices(["best", "last"]).default("best"))
    .addOption(
      new Option("--on-error <what>", "what to do with an image that does not decode")
        .choices(["skip", "throw"])
        .default("skip"),
    )
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  manabi eval runs/mnist-1\n  manabi eval runs/photos-1 --data other-photos --json",
    )
    .action((run: string, options: Options) => evaluate(shell, run, options));

async function evaluate(shell: Shell, run: string, options: Options): Promise<void> {
  const output = outputOf(shell, options);
  await chooseBackend(options);
  announceCompiling(output);
  const { card, model, checkpoint } = await loadTrained(run, options.checkpoint);
  const dataset = await testImages(card, options, output);
  const loader = new DataLoader(dataset, {
    batchSize: 100,
    transforms: card.input.transforms,
    onSkip: ({ sample, reason }) => output.warn(`skipped ${sample}: ${reason}`),
  });
  const { loss, accuracy, top5, confusion } = await evaluateClassifier(model, loader, {
    output,
    mistakes: 0,
    samples: 0,
  });
  await loader.close();
  const classes = confusion.perClass();
  if (options.json) return printJson(shell, { checkpoint, images: confusion.total, accuracy, top5, loss, classes });
  output.info(`${checkpoint} on ${confusion.total} images`);
  output.info(
    `accuracy ${showPercent(accuracy)}${top5 === null ? "" : `, among the first five ${showPercent(top5)}`}, loss ${showNumber(loss)}\n`,
  );
  output.info(
    table(
      ["class", "precision", "recall", "F1", "images"],
      classes.map(({ label, precision, recall, f1, support }) => [
        label,
        ...[precision, recall, f1].map(showPercent),
        String(support),
      ]),
      ["precision", "recall", "F1", "images"],
    ),
  );
  const confused = mostConfused(confusion.labels, confusion.counts, 5);
  if (confused.length)
    output.info(
      `\nMost often confused: ${confused.map((pair) => `${pair.truth} as ${pair.predicted} (${pair.count})`).join(", ")}`,
    );
}

/** The test part of the run's own data, or of `--data`; a folder given there without a test part counts whole. */
async function testImages(card: ClassifierCard, { data, onError }: Options, output: Output): Promise<Dataset> {
  const own = data === undefined;
  const { name, testFraction, seed } = card.data;
  const { test } = await openSplits(data ?? name, {
    testFraction: own ? testFraction : 1,
    seed,
    onError,
    onProgress: fetchProgress(output),
  });
  return withClasses(test, card.classes);
}

/** The data set with the labels that the model knows its classes by. */
function withClasses(dataset: Dataset, classes: readonly string[]): Dataset {
  if (dataset.classes.join("\n") === classes.join("\n")) return dataset;
  const unknown = dataset.classes.filter((label) => !classes.includes(label));
  if (unknown.length || !(dataset instanceof ImageFileDataset))
    throw new ManabiError(
      `the data has classes ${(unknown.length ? unknown : dataset.classes).join(", ")}; the model knows ${classes.join(", ")}`,
    );
  const labels = dataset.labels.map((label) => classes.indexOf(dataset.classes[label]));
  return new ImageFileDataset({ ...dataset.files, labels, classes });
}
