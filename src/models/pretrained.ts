import { join } from "node:path";
import { nearest } from "../core/errors.ts";
import { type AcquireOptions, acquire } from "../fetch/sources.ts";
import { type HostArray, ManabiError, type Tensor } from "../index.ts";
import { readTensors } from "../io/index.ts";
import { initialize, type Layer } from "../nn/index.ts";
import { createModel, type ModelOptions } from "./registry.ts";
import type { Weights } from "./weights/catalogue.ts";

export interface PretrainedOptions extends AcquireOptions {
  /** Classes of a new head, for transfer learning; left out, the head of the weights is kept. */
  readonly numClasses?: number;
  /** From which a new head is drawn. */
  readonly seed?: number;
  /** Other options of the model. */
  readonly options?: ModelOptions;
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

/** A model with the tensors of `weights`, but for a head of another number of classes, which is drawn. */
export async function modelWith(
  weights: Weights,
  state: ReadonlyMap<string, HostArray>,
  { numClasses = weights.classes.length, seed = 0, options = {} }: PretrainedOptions = {},
): Promise<Layer> {
  const model = await createModel(weights.model, { ...weights.options, ...options, numClasses });
  if (numClasses !== weights.classes.length) return loadWithNewHead(model, state, weights.head, seed).eval();
  model.loadStateDict(state);
  return model.eval();
}

/**
 * Gives a model the tensors of `state`, but for its head, the module of that key, which is drawn from `seed`; the head in
 * `state` may have any form, or be missing. Throws with all other keys that are missing, extra or misshapen.
 */
export function loadWithNewHead(
  model: Layer,
  state: ReadonlyMap<string, HostArray>,
  head: string,
  seed: number,
): Layer {
  const isHead = (key: string) => key.startsWith(`${head}.`);
  const values = new Map<string, HostArray | Tensor>([...state].filter(([key]) => !isHead(key)));
  initialize(model, seed, isHead);
  for (const [key, value] of model.stateDict()) if (isHead(key)) values.set(key, value);
  model.loadStateDict(values);
  return model;
}
