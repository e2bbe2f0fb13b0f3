import { Command } from "commander";
import { predictLogits, topClasses } from "../../train/evaluate.ts";
import { type BackendOptions, chooseBackend, withBackend } from "../backend.ts";
import { announceCompiling } from "../compiling.ts";
import { type PictureOptions, readPictures, readWords, stack, withPictures } from "../pictures.ts";
import { outputOf, printJson, type Shell, showPercent, wholeNumber } from "../shell.ts";

interface Options extends BackendOptions, PictureOptions {
  readonly top?: string;
  readonly json?: boolean;
}

const batchSize = 32;

/** `manabi predict`: what is in these pictures? */
export const predictCommand = (shell: Shell): Command =>
  withBackend(withPictures(new Command("predict")))
    .description("classify image files with a trained model")
    .option("--top <k>", "how many classes to show (default: 3, of 1000 classes 5)")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  manabi predict runs/photos-1 cat.jpg\n  manabi predict runs/photos-1 holiday/ --top 5 --json\n  manabi predict model.safetensors 'holiday/**/*.png'\n  manabi predict --model resnet50.keras_in1k cat.jpg",
    )
    .action((words: string[], options: Options) => predict(shell, words, options));

async function predict(shell: Shell, words: readonly string[], options: Options): Promise<void> {
  const output = outputOf(shell, options);
  const { paths, load } = await readWords("predict", words, options);
  await chooseBackend(options);
  announceCompiling(output);
  const { model, input, classes: labels } = await load(output);
  const top = options.top === undefined ? (labels.length > 100 ? 5 : 3) : wholeNumber("--top", options.top);
  const results: { path: string; predictions: { label: string; probability: number }[] }[] = [];
  for (let at = 0; at < paths.length; at += batchSize) {
    if (paths.length > batchSize) output.status(`${at} of ${paths.length} images`);
    const read = await readPictures(shell, output, paths.slice(at, at + batchSize), input, options);
    if (!read.length) continue;
    const logits = await predictLogits(model, stack(read.map(({ image }) => image))).data();
    const classes = labels.length;
    read.forEach(({ path }, i) => {
      const predictions = topClasses(logits.subarray(i * classes, (i + 1) * classes), labels, top);
      results.push({ path, predictions });
    });
  }
  if (options.json) return printJson(shell, results);
  for (const { path, predictions } of results)
    output.info(
      `${path}: ${predictions.map(({ label, probability }) => `${label} ${showPercent(probability)}`).join(", ")}`,
    );
}
