import { join } from "node:path";
import { Command, Option } from "commander";
import { ManabiError, unknownName } from "../../core/errors.ts";
import {
  type ImageMethodName,
  imageMethodNames,
  imageMethods,
  type SuperpixelMethod,
  superpixelMethods,
} from "../../explain/image-methods.ts";
import { predictLogits, topClasses } from "../../train/evaluate.ts";
import { onInterrupt } from "../../train/interrupt.ts";
import type { Output } from "../../train/output.ts";
import { pictureOf } from "../../train/pictures.ts";
import { type BackendOptions, chooseBackend, withBackend } from "../backend.ts";
import { announceCompiling } from "../compiling.ts";
import { type ClassResult, classIndex, type Explaining, enlarged, explainClass, type Subject } from "../explaining.ts";
import { type PictureResult, type WrittenExplanations, writeExplanations } from "../explanations.ts";
import { type PictureOptions, readPictures, readWords, stack, withPictures } from "../pictures.ts";
import type { Classifier } from "../published.ts";
import { outputOf, printJson, type Shell, showPercent, UsageError, wholeNumber } from "../shell.ts";

interface Options extends BackendOptions, PictureOptions {
  readonly method?: readonly string[];
  readonly class?: readonly string[];
  readonly layer?: string;
  readonly samples?: string;
  readonly seed: string;
  readonly batchSize?: string;
  readonly superpixels: SuperpixelMethod;
  readonly trust?: boolean;
  readonly out: string;
  readonly json?: boolean;
}

const collect = (word: string, before: readonly string[] = []): readonly string[] => [...before, word];

/** `manabi explain`: why does the model say so? */
export const explainCommand = (shell: Shell): Command =>
  withBackend(withPictures(new Command("explain")))
    .description("show what in a picture speaks for a class, by one or more methods side by side")
    .option(
      "--method <names>",
      `${imageMethodNames.join(", ")}; several with commas, or all that the model allows (default: gradcam)`,
      collect,
    )
    .option("--class <name>", "a class by name or number; may be repeated (default: the most probable one)", collect)
    .option("--layer <key>", "for Grad-CAM: the layer, such as layer4 (default: the last one whose output is a map)")
    .option(
      "--samples <n>",
      "how often sampling methods ask the model (default: 1000 for LIME and SHAP, 50 for others, of integrated gradients as many as make it complete to 0.1 %)",
    )
    .option("--seed <n>", "of sampling and of random weights", "0")
    .option("--batch-size <n>", "images that the model gets at once")
    .addOption(
      new Option("--superpixels <method>", "how LIME and SHAP divide the picture")
        .choices(Object.keys(superpixelMethods))
        .default("slic"),
    )
    .option(
      "--trust",
      "check the explanations as well: deletion and insertion curves, and whether they change with random weights",
    )
    .option("--out <folder>", "where to write pictures, index.html and explanation.json", "explanation")
    .option("--json", "print explanation.json")
    .addHelpText(
      "after",
      `
Examples:
  manabi explain --model resnet50.keras_in1k cat.jpg
  manabi explain --model resnet50.keras_in1k pets.jpg --class tabby --class beagle --method gradcam,lime
  manabi explain runs/photos-1 holiday/*.jpg --method all --out why
  manabi explain runs/photos-1 cat.jpg --method gradcam,saliency,shap --trust

Methods:
${imageMethodNames.map((name) => `  ${name.padEnd(21)} ${imageMethods[name].about}`).join("\n")}`,
    )
    .action((words: string[], options: Options) => explain(shell, words, options));

async function explain(shell: Shell, words: readonly string[], options: Options): Promise<void> {
  const output = outputOf(shell, options);
  const methods = methodsOf(options.method ?? ["gradcam"]);
  const number = (option: string, value: string | undefined) =>
    value === undefined ? undefined : wholeNumber(option, value);
  const [samples, batchSize] = [number("--samples", options.samples), number("--batch-size", options.batchSize)];
  const seed = options.seed === "0" ? 0 : wholeNumber("--seed", options.seed);
  const { paths, load, name } = await readWords("explain", words, options);
  await chooseBackend(options);
  announceCompiling(output);
  const classifier = await load(output);
  classifier.model.eval();
  const wanted = options.class?.map((word) => classIndex(word, classifier.classes));
  const stop = new AbortController();
  const undo = onInterrupt(() => {
    output.warn("stopping; what is finished is written. Press Ctrl-C again to exit at once");
    stop.abort();
  });
  const explaining: Explaining = {
    ...{ methods, samples, batchSize, seed, layer: options.layer, superpixels: options.superpixels },
    leaveOut: options.method?.includes("all") ?? false,
    trust: options.trust ?? false,
    signal: stop.signal,
  };
  const results: PictureResult[] = [];
  let failure: unknown = null;
  try {
    for (const path of paths)
      for (const subject of await readSubjects(shell, output, path, classifier, options))
        await explainPicture(classifier, subject, wanted, explaining, output, (result) => {
          results[results.at(-1)?.path === path ? results.length - 1 : results.length] = result;
        });
  } catch (error) {
    if (stop.signal.aborted) shell.exitCode = 130;
    else failure = error;
  } finally {
    undo();
  }
  if (results.length) tell(shell, output, await writeExplanations(options.out, name, results), options);
  else if (stop.signal.aborted) output.warn("nothing was finished");
  else failure ??= new ManabiError("there is no picture to explain");
  if (failure !== null) throw failure; // what was finished before is written
}

function tell(shell: Shell, output: Output, written: WrittenExplanations, { json, out }: Options): void {
  if (json) {
    printJson(shell, written);
    return;
  }
  for (const { path, classes } of written.pictures)
    for (const { label, probability, methods } of classes)
      for (const { name, file, seconds } of methods)
        output.info(
          `${path}: ${label} ${showPercent(probability)}, ${name} in ${seconds.toFixed(1)} s: ${join(out, file)}`,
        );
  output.info(`page: ${join(out, "index.html")}`);
}

/** The methods that words name, with commas between them. */
function methodsOf(words: readonly string[]): ImageMethodName[] {
  const names = words.flatMap((word) => word.split(",")).filter(Boolean);
  const known = (name: string): name is ImageMethodName => Object.hasOwn(imageMethods, name);
  return [
    ...new Set(
      names.flatMap((name): readonly ImageMethodName[] => {
        if (name === "all") return imageMethodNames;
        if (known(name)) return [name];
        throw new UsageError(unknownName("method", name, [...imageMethodNames, "all"]).message);
      }),
    ),
  ];
}

/** The picture at a path as the model takes it, and up to twice as large where the file has more to show. */
async function readSubjects(
  shell: Shell,
  output: Output,
  path: string,
  { input }: Classifier,
  options: Options,
): Promise<Subject[]> {
  const [small] = await readPictures(shell, output, [path], input, options);
  if (!small) return [];
  const larger = enlarged(input, Math.min(...small.size) >= 2 * Math.max(input.width, input.height) ? 2 : 1);
  const [large] = await readPictures(shell, output, [path], larger, options);
  return [{ ...small, view: pictureOf(large.image.data, large.image.shape, larger.transforms) }];
}

async function explainPicture(
  classifier: Classifier,
  subject: Subject,
  wanted: readonly number[] | undefined,
  explaining: Explaining,
  output: Output,
  keep: (result: PictureResult) => void,
): Promise<void> {
  const { model, classes } = classifier;
  const logits = Array.from(await predictLogits(model, stack([subject.image])).data(), Number);
  const ranking = topClasses(logits, classes, classes.length);
  const predictions = ranking.slice(0, 5);
  const done: ClassResult[] = [];
  for (const index of new Set(wanted ?? [ranking[0].index])) {
    const label = classes[index];
    const probability = ranking.find((entry) => entry.index === index)?.probability ?? 0;
    await explainClass(classifier, subject, { index, label, probability }, explaining, output, (result) => {
      done[done.at(-1)?.index === index ? done.length - 1 : done.length] = result;
      keep({ path: subject.path, view: subject.view, predictions, classes: [...done] });
    });
  }
}
