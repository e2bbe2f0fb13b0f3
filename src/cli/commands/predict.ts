import { Command, Option } from "commander";
import type { HostArray } from "../../core/dtype.ts";
import { ManabiError } from "../../core/errors.ts";
import { seedKey } from "../../core/rng.ts";
import { decodeImage } from "../../data/image-files.ts";
import type { ImageInput } from "../../data/image-input.ts";
import { applyTransforms } from "../../data/transforms/index.ts";
import { fromHost } from "../../ops/tensor.ts";
import { predictLogits, topClasses } from "../../train/evaluate.ts";
import type { Output } from "../../train/output.ts";
import { type BackendOptions, chooseBackend, withBackend } from "../backend.ts";
import { announceCompiling } from "../compiling.ts";
import { findImages } from "../images.ts";
import { type Classifier, loadPublished } from "../published.ts";
import { outputOf, printJson, type Shell, showPercent, UsageError, wholeNumber } from "../shell.ts";
import { loadTrainedClassifier } from "../trained.ts";

interface Options extends BackendOptions {
  readonly top?: string;
  readonly model?: string;
  readonly json?: boolean;
  readonly invert?: boolean;
  readonly onError: "skip" | "throw";
  readonly checkpoint: "best" | "last";
}

const batchSize = 32;

/** `manabi predict`: what is in these pictures? */
export const predictCommand = (shell: Shell): Command =>
  withBackend(new Command("predict"))
    .description("classify image files with a trained model")
    .usage("[options] <run> <images...>\n       manabi predict [options] --model <weights> <images...>")
    .argument(
      "<words...>",
      "a run's folder or name, or a checkpoint file, unless there is --model; then image files, folders of them, or " +
        "patterns such as 'photos/**/*.jpg'",
    )
    .option(
      "--model <weights>",
      "published weights, such as resnet50.keras_in1k (see manabi models), or a .safetensors or .pth file with the keys of " +
        "torchvision, timm or transformers, in place of a run",
    )
    .option("--top <k>", "how many classes to show (default: 3, of 1000 classes 5)")
    .option("--invert", "swap light and dark first, for dark drawings where the model has learned light ones")
    .addOption(new Option("--checkpoint <which>", "of a run").choices(["best", "last"]).default("best"))
    .addOption(
      new Option("--on-error <what>", "what to do with a file that is no image")
        .choices(["skip", "throw"])
        .default("skip"),
    )
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  manabi predict runs/photos-1 cat.jpg\n  manabi predict runs/photos-1 holiday/ --top 5 --json\n  manabi predict model.safetensors 'holiday/**/*.png'\n  manabi predict --model resnet50.keras_in1k cat.jpg",
    )
    .action((words: string[], options: Options) => predict(shell, words, options));

async function predict(shell: Shell, words: readonly string[], options: Options): Promise<void> {
  const output = outputOf(shell, options);
  const [run, images] = options.model === undefined ? [words[0], words.slice(1)] : [null, words];
  if (!images.length) throw new UsageError("give a run and images, or --model and images; see manabi predict --help");
  const paths = await findImages(images);
  await chooseBackend(options);
  announceCompiling(output);
  const { model, input, classes: labels } = await loadClassifier(run, options, output);
  const top = options.top === undefined ? (labels.length > 100 ? 5 : 3) : wholeNumber("--top", options.top);
  const results: { path: string; predictions: { label: string; probability: number }[] }[] = [];
  for (let at = 0; at < paths.length; at += batchSize) {
    if (paths.length > batchSize) output.status(`${at} of ${paths.length} images`);
    const read: { path: string; image: HostArray }[] = [];
    for (const path of paths.slice(at, at + batchSize)) {
      try {
        read.push({ path, image: await modelInput(path, input, options.invert ?? false) });
      } catch (error) {
        const why = `${path}: cannot be decoded (${error instanceof Error ? error.message.trim() : error})`;
        if (options.onError === "throw") throw new ManabiError(why, { cause: error });
        output.warn(`skipped ${why}`);
        shell.exitCode = 1;
      }
    }
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

/** That of a run or checkpoint, or, where there is none, the one that `--model` names. */
const loadClassifier = (run: string | null, options: Options, output: Output): Promise<Classifier> =>
  run === null
    ? loadPublished(options.model as string, output)
    : loadTrainedClassifier(run, options.checkpoint, output);

/** A picture as the model takes it, f32 [channels, height, width]. */
async function modelInput(path: string, input: ImageInput, invert: boolean): Promise<HostArray> {
  const image = await decodeImage(path);
  if (invert) for (let i = 0; i < image.data.length; i++) image.data[i] = 255 - image.data[i];
  return applyTransforms(input.transforms, image, seedKey(0));
}

/** Images of one shape as a batch. */
function stack(images: readonly HostArray[]) {
  const [{ shape, data }] = images;
  const batch = new Float32Array(images.length * data.length);
  for (const [i, image] of images.entries()) batch.set(image.data, i * data.length);
  return fromHost({ dtype: "f32", shape: [images.length, ...shape], data: batch });
}
