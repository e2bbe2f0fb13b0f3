import { type Command, Option } from "commander";
import type { HostArray } from "../core/dtype.ts";
import { ManabiError } from "../core/errors.ts";
import { seedKey } from "../core/rng.ts";
import { decodeImage } from "../data/image-files.ts";
import type { ImageInput } from "../data/image-input.ts";
import { applyTransforms } from "../data/transforms/index.ts";
import { fromHost, type Tensor } from "../ops/tensor.ts";
import type { Output } from "../train/output.ts";
import { findImages } from "./images.ts";
import { type Classifier, loadPublished } from "./published.ts";
import { type Shell, UsageError } from "./shell.ts";
import { loadTrainedClassifier } from "./trained.ts";

/** Options of commands that show pictures to a classifier. */
export interface PictureOptions {
  readonly model?: string;
  readonly invert?: boolean;
  readonly onError: "skip" | "throw";
  readonly checkpoint: "best" | "last";
}

/** Adds the words of such a command, a run and images, and the options of `PictureOptions`. */
export const withPictures = (command: Command): Command =>
  command
    .usage(`[options] <run> <images...>\n       manabi ${command.name()} [options] --model <weights> <images...>`)
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
    .option("--invert", "swap light and dark first, for dark drawings where the model has learned light ones")
    .addOption(new Option("--checkpoint <which>", "of a run").choices(["best", "last"]).default("best"))
    .addOption(
      new Option("--on-error <what>", "what to do with a file that is no image")
        .choices(["skip", "throw"])
        .default("skip"),
    );

/** What the words of such a command name. */
export interface PictureWords {
  /** Of the run, the checkpoint or the weights. */
  readonly name: string;
  readonly paths: readonly string[];
  /** The classifier of a run or checkpoint, or the one that `--model` names. */
  load(output: Output): Promise<Classifier>;
}

/** Throws where there are no words for the images, or they name none. */
export async function readWords(
  command: string,
  words: readonly string[],
  { model, checkpoint }: PictureOptions,
): Promise<PictureWords> {
  const [run, images] = model === undefined ? [words[0], words.slice(1)] : [null, words];
  if (!images.length)
    throw new UsageError(`give a run and images, or --model and images; see manabi ${command} --help`);
  return {
    name: run ?? (model as string),
    paths: await findImages(images),
    load: (output) =>
      run === null ? loadPublished(model as string, output) : loadTrainedClassifier(run, checkpoint, output),
  };
}

/** A picture from a file as a model takes it. */
export interface ReadPicture {
  readonly path: string;
  /** f32 [channels, height, width] */
  readonly image: HostArray;
  /** Of the file, in pixels. */
  readonly size: readonly [height: number, width: number];
}

/** The pictures at `paths`; one that cannot be decoded is told and left out, with exit code 1, or thrown. */
export async function readPictures(
  shell: Shell,
  output: Output,
  paths: readonly string[],
  input: ImageInput,
  { invert = false, onError }: PictureOptions,
): Promise<ReadPicture[]> {
  const read: ReadPicture[] = [];
  for (const path of paths) {
    try {
      read.push({ path, ...(await modelInput(path, input, invert)) });
    } catch (error) {
      const why = `${path}: cannot be decoded (${error instanceof Error ? error.message.trim() : error})`;
      if (onError === "throw") throw new ManabiError(why, { cause: error });
      output.warn(`skipped ${why}`);
      shell.exitCode = 1;
    }
  }
  return read;
}

async function modelInput(path: string, input: ImageInput, invert: boolean): Promise<Omit<ReadPicture, "path">> {
  const picture = await decodeImage(path);
  if (invert) for (let i = 0; i < picture.data.length; i++) picture.data[i] = 255 - picture.data[i];
  const [height, width] = picture.shape;
  return { image: applyTransforms(input.transforms, picture, seedKey(0)), size: [height, width] };
}

/** Images of one shape as a batch, [n, channels, height, width]. */
export function stack(images: readonly HostArray[]): Tensor {
  const [{ shape, data }] = images;
  const batch = new Float32Array(images.length * data.length);
  for (const [i, image] of images.entries()) batch.set(image.data, i * data.length);
  return fromHost({ dtype: "f32", shape: [images.length, ...shape], data: batch });
}
