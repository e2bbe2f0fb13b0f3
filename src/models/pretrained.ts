import { join } from "node:path";
import { nearest } from "../core/errors.ts";
import { type AcquireOptions, acquire } from "../fetch/sources.ts";
import { type HostArray, ManabiError } from "../index.ts";
import { readTensors } from "../io/index.ts";
import type { Layer } from "../nn/index.ts";
import type { ModelOptions } from "./options.ts";
import { createModel } from "./registry.ts";
import { describeTensors, takeWeights } from "./take-weights.ts";
import type { Weights } from "./weights/catalogue.ts";
import type { ClassifierFile, WeightsFile } from "./weights/file.ts";

export interface PretrainedOptions extends AcquireOptions {
  /** Classes of a new head, for transfer learning; left out, the head of the weights is kept. */
  readonly numClasses?: number;
  /** From which a new head is drawn. */
  readonly seed?: number;
  /** Other options of the model, such as the size of a ViT's images: its position embeddings are resized to it. */
  readonly options?: ModelOptions;
  /** Told what had to be changed of the weights. */
  readonly onNotice?: (text: string) => void;
}

export interface Pretrained {
  /** In evaluation mode. */
  readonly model: Layer;
  /** Where they come from, what the model takes (`weights.input`) and its classes. */
  readonly weights: Weights;
}

/** The catalogue knows hosts and packages, which nobody needs who only makes models. */
const catalogue = async (): Promise<readonly Weights[]> => (await import("./weights/catalogue.ts")).knownWeights;

/** Names of all weights, such as "resnet50.keras_in1k", of one model if given. */
export const weightNames = async (model?: string): Promise<string[]> =>
  (await catalogue()).flatMap((weights) => (model === undefined || weights.model === model ? [weights.name] : []));

/** What is known of weights, without fetching them. Throws with the nearest names. */
export async function findWeights(name: string): Promise<Weights> {
  const all = await catalogue();
  const found = all.find((weights) => weights.name === name);
  if (found) return found;
  const names = all.map((weights) => weights.name);
  const tags = all.flatMap((weights) => (weights.model === name ? [weights.name] : []));
  const near = tags.length ? tags : nearest(name, names);
  throw new ManabiError(`unknown weights "${name}"; did you mean ${(near.length ? near : names).join(", ")}?`);
}

/** Whether a name is that of a repository of timm on Hugging Face, such as "timm/resnet50.a2_in1k". */
export const isTimmRepository = (name: string): boolean => /^timm\/[\w-]+\.[\w.-]+$/.test(name);

/** `findWeights`, and repositories of timm, whose description is fetched. */
export async function describeWeights(name: string, options: AcquireOptions = {}): Promise<Weights> {
  if (!isTimmRepository(name)) return findWeights(name);
  return (await import("./weights/timm-repository.ts")).timmRepository(name, options);
}

/**
 * The tensors of weights by name, with the keys of their model. They come from the cache, or else from their source,
 * and are checked by SHA-256 where it is known. Throws with what to put where when they cannot be fetched.
 */
export async function loadWeights(name: string, options: AcquireOptions = {}): Promise<Map<string, HostArray>> {
  return tensorsOf(await describeWeights(name, options), options);
}

/** The tensors of weights that have been found. */
export async function tensorsOf({ manifest }: Weights, options: AcquireOptions): Promise<Map<string, HostArray>> {
  const [file] = manifest.files;
  return readTensors(join(await acquire(manifest, options), file.name), { widen: true });
}

/**
 * A model with its trained weights: `pretrained("resnet50.keras_in1k")`, or, to be trained further on classes of your
 * own, `pretrained("resnet50.keras_in1k", { numClasses: 10 })`. Names are those of `weightNames`, or repositories of timm
 * on Hugging Face whose architecture is among the models, such as "timm/resnet50.a2_in1k".
 */
export async function pretrained(name: string, options: PretrainedOptions = {}): Promise<Pretrained> {
  const weights = await describeWeights(name, options);
  return { model: await modelWith(weights, await tensorsOf(weights, options), options), weights };
}

/**
 * Opens a `.safetensors`, `.pth` or `.pt` file of a model with the keys of torchvision, timm or transformers: that of the
 * name, or else the one whose tensors the file has. A config.json of timm or transformers beside it tells preprocessing,
 * classes, and what the tensors do not show.
 */
export const openWeights = async (path: string, model: string | null = null): Promise<WeightsFile> =>
  (await import("./weights/file.ts")).openWeights(path, model);

/** A classifier with the weights of a file. What nothing tells is as usual for ImageNet, with a notice. */
export async function fileClassifier(
  path: string,
  onNotice: (text: string) => void = () => {},
): Promise<{ readonly model: Layer; readonly weights: ClassifierFile }> {
  const weights = await (await import("./weights/file.ts")).classifierFile(path, onNotice);
  return { model: await modelWith(weights, await weights.load(), { onNotice }), weights };
}

/** A model with the tensors of `weights`, but for a head of another number of classes, which is drawn. */
export async function modelWith(
  { model: name, ...weights }: Pick<Weights, "model" | "options" | "classes">,
  state: ReadonlyMap<string, HostArray>,
  { numClasses = weights.classes.length, seed = 0, options = {}, onNotice }: PretrainedOptions = {},
): Promise<Layer> {
  const { options: told } = await describeTensors(name, new Map([...state].map(([key, { shape }]) => [key, shape])));
  const model = await createModel(name, { ...told, ...weights.options, ...options, numClasses });
  const newHead = numClasses === weights.classes.length ? undefined : { seed };
  return (await takeWeights(name, model, state, { newHead, onNotice })).eval();
}
