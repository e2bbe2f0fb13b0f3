/** Training that begins with weights: where they come from, what they expect, and what of a model is trained when. */
import { ManabiError } from "../core/errors.ts";
import type { ImageInput } from "../data/image-input.ts";
import { centerCrop, grayscale, normalize, resize, type Transform } from "../data/transforms/literals.ts";
import type { AcquireOptions } from "../fetch/sources.ts";
import type { HostArray } from "../index.ts";
import { readCheckpoint, readNotes } from "../io/checkpoint.ts";
import { openTensors } from "../io/read-tensors.ts";
import { isFile } from "../io/source-file.ts";
import { isHostArray } from "../io/state.ts";
import {
  createModel,
  describeWeights,
  loadWeights,
  type ModelOptions,
  openWeights,
  takeWeights,
  weightNames,
} from "../models/index.ts";
import { allButLast, freeze, headOf, initialize, isBelow, type Layer, type Trainable } from "../nn/index.ts";
import { readCard } from "./classifier.ts";

/** Weights to begin with. */
export interface StartingWeights {
  /** Their name, or the path of their file. */
  readonly name: string;
  /** Options of the model that they were made with. */
  readonly options: ModelOptions;
  /** What the model takes; null where the file does not say. */
  readonly input: ImageInput | null;
  /** What the outputs mean; null where the file does not say. */
  readonly classes: readonly string[] | null;
  /** Fetches or reads the tensors by key. */
  load(options?: AcquireOptions): Promise<Map<string, HostArray>>;
}

/**
 * Weights for a model: a published name, "imagenet" for the first ones that are known for it, or a file: `.safetensors`,
 * `.pth`, `.pt`, or a checkpoint of `manabi train`. Nothing is fetched yet, but for the description of a repository of
 * timm. Throws where there are none, or they are another model's.
 */
export async function findStart(
  model: string,
  weights: string,
  options: AcquireOptions = {},
): Promise<StartingWeights> {
  if (await isFile(weights)) return fileStart(model, weights);
  if (/\.(safetensors|pth|pt|bin)$/.test(weights)) throw new ManabiError(`weights ${weights}: there is no such file`);
  const names = await weightNames(model);
  if (weights === "imagenet" && !names.length)
    throw new ManabiError(
      `there are no published weights of ${model}; those there are: ${(await weightNames()).join(", ")}. A file of weights is named by its path`,
    );
  const found = await describeWeights(weights === "imagenet" ? names[0] : weights, options);
  checkModel(found.name, found.model, model);
  return { ...found, load: (more = {}) => loadWeights(found.name, { ...options, ...more }) };
}

function checkModel(weights: string, of: string, model: string): void {
  if (of !== model) throw new ManabiError(`weights ${weights} are those of ${of}, not of ${model}; take --model ${of}`);
}

async function fileStart(model: string, path: string): Promise<StartingWeights> {
  if (!(await isCheckpoint(path))) {
    const { options, input, classes, load } = await openWeights(path, model);
    return { name: path, options, input, classes, load };
  }
  const card = readCard(path, await readNotes(path));
  checkModel(path, card.model.name, model);
  const { numClasses: _, ...made } = card.model.options;
  const load = async () => {
    const { model: state = {} } = (await readCheckpoint(path)).parts;
    return new Map(Object.entries(state).filter((entry): entry is [string, HostArray] => isHostArray(entry[1])));
  };
  return { name: path, options: made, input: card.input, classes: card.classes, load };
}

/** Whether a file is a checkpoint of `manabi train`, rather than one of weights alone. */
export async function isCheckpoint(path: string): Promise<boolean> {
  const file = await openTensors(path);
  await file.close();
  return file.names.some((name) => name.startsWith("model/"));
}

export interface StartOptions extends AcquireOptions {
  readonly seed: number;
  /** Draws all values: what training from weights is compared with. */
  readonly drawn?: boolean;
  /** Other options of the model than those of the weights, such as the size of a ViT's images. */
  readonly model?: ModelOptions;
  /** Told what had to be changed of the weights. */
  readonly onNotice?: (text: string) => void;
}

/**
 * A model with the starting weights, in training mode. Its head is drawn from `seed`, unless the weights are those of the
 * same classes. Throws with all keys that are missing, extra or misshapen.
 */
export async function startModel(
  model: string,
  start: StartingWeights,
  classes: readonly string[],
  { seed, drawn = false, model: other = {}, onNotice, ...options }: StartOptions,
): Promise<Layer> {
  const made = await createModel(model, { ...start.options, ...other, numClasses: classes.length });
  if (drawn) return initialize(made, seed);
  const state = await start.load(options);
  const newHead = start.classes?.join("\n") === classes.join("\n") ? undefined : { seed };
  try {
    return await takeWeights(model, made, state, { newHead, onNotice });
  } catch (cause) {
    if (!(cause instanceof ManabiError)) throw cause;
    throw new ManabiError(`weights ${start.name}: ${cause.message}`, { cause });
  }
}

/**
 * The input of weights for square images of another size, and for pictures with other channels: the same scaling and the
 * same share of the picture in its crop. `size` 0 keeps the size.
 */
export function inputAt(input: ImageInput, size: number, pictureChannels: number): ImageInput {
  const { height, width, channels, transforms } = input;
  const colour = channels === pictureChannels || transforms.some(({ op }) => op === "grayscale") ? [] : [channels];
  const adapted = colour.map((n) => grayscale(n === 1 ? 1 : 3));
  if (size === 0 || (size === height && size === width)) return { ...input, transforms: [...adapted, ...transforms] };
  const rest = transforms.flatMap((transform): Transform[] => {
    if (transform.op === "resize" && typeof transform.size === "number")
      return [resize(Math.round((transform.size * size) / Math.min(height, width)), transform.interpolation)];
    if (transform.op === "resize") return [resize(size, transform.interpolation), centerCrop(size)];
    return transform.op === "centerCrop" ? [centerCrop(size)] : [transform];
  });
  return { height: size, width: size, channels, transforms: [...adapted, ...rest] };
}

/** How an input scales pixels. */
export function scalingOf({ transforms, channels }: ImageInput): ReturnType<typeof normalize> {
  const found = transforms.findLast(({ op }) => op === "normalize");
  const plain = (value: number) => Array.from({ length: channels }, () => value);
  return found?.op === "normalize" ? found : normalize(plain(0), plain(1));
}

export type TransferMode = "scratch" | "features" | "finetune";

export interface TrainedPartsOptions {
  readonly mode: TransferMode;
  /** Prefixes of keys that stay frozen. */
  readonly freeze?: readonly string[];
  /** Epochs after which one more stage from the head is trained; 0: all from the start. */
  readonly unfreezeEvery?: number;
}

/**
 * Freezes what is not trained in `epoch`, and returns the parameters that are: in mode "features" those of the head, the
 * rest of the model being in evaluation mode; else all but the frozen ones, and with `unfreezeEvery` the last stages, one
 * more after that many epochs.
 */
export function trainedParts(
  model: Layer,
  { mode, freeze: prefixes = [], unfreezeEvery = 0 }: TrainedPartsOptions,
  epoch: number,
): Trainable {
  if (mode === "features") {
    const head = headOf(model);
    return freeze(model, (key) => !isBelow(key, head));
  }
  const rest = freeze(model, prefixes);
  if (!unfreezeEvery) return rest;
  const closed = allButLast(model, 1 + Math.floor(epoch / unfreezeEvery));
  return freeze(model, (key) => closed(key) || prefixes.some((prefix) => isBelow(key, prefix)));
}
