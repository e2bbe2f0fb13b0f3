import { readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { centerCrop, type ImageInput, imageInput, normalize, resize } from "../../data/index.ts";
import { type HostArray, ManabiError, type Shape } from "../../index.ts";
import { openTensors, readTensors } from "../../io/index.ts";
import { findModel } from "../registry.ts";
import { type Described, describeTensors, modelsOf } from "../take-weights.ts";
import { mean, std } from "./catalogue.ts";
import { namesFor, parseJson, timmFacts, transformersFacts, type WeightsFacts } from "./config-json.ts";

/** A file of weights, with what it and the files beside it tell. */
export interface WeightsFile extends Omit<Described, "classes"> {
  readonly model: string;
  /** Outputs of its head; null where it has none. */
  readonly count: number | null;
  /** What the model takes; null where nothing tells it. */
  readonly input: ImageInput | null;
  /** What the outputs mean; null where nothing tells it. */
  readonly classes: readonly string[] | null;
  load(): Promise<Map<string, HostArray>>;
}

/** What a classifier is made of, all of it known. */
export interface ClassifierFile extends Pick<WeightsFile, "model" | "options" | "load"> {
  readonly input: ImageInput;
  readonly classes: readonly string[];
}

/** See `openWeights` in pretrained.ts. */
export async function openWeights(path: string, name: string | null = null): Promise<WeightsFile> {
  const shapes = await readShapes(path);
  const facts = await factsBeside(path);
  const model = name ?? facts?.model ?? (await onlyModel(path, shapes));
  const { library, options, classes: count } = await describeTensors(model, shapes);
  return {
    model,
    library,
    count,
    options: { ...options, ...facts?.options },
    input: facts?.input ?? null,
    classes: facts?.classes ?? null,
    load: async () => unwrapped(await readTensors(path, { widen: true })),
  };
}

/** All that it takes to classify with a file; what nothing tells is as usual for ImageNet, with a notice. */
export async function classifierFile(path: string, onNotice: (text: string) => void): Promise<ClassifierFile> {
  const { model, options, count, input, classes: names, library, load } = await openWeights(path);
  if (!count)
    throw new ManabiError(`${path}: these weights of ${model} have no classifier; train one with manabi train`);
  const classes = names?.length === count ? names : namesFor(count);
  const size = Number(options.imageSize ?? findModel(model).variant.input[1]);
  onNotice(
    `${path}: ${model}${library ? ` with the keys of ${library}` : ""}, ${count} classes` +
      `${input ? "" : `; nothing tells how images are prepared: ${size} pixels and ImageNet's mean and deviation are assumed`}`,
  );
  return { model, options, classes, input: input ?? usualInput(size, Number(options.inChannels)), load };
}

/** What most classifiers of ImageNet take: seven eighths of the shorter side. */
function usualInput(size: number, channels: number): ImageInput {
  if (channels !== mean.length) return imageInput([size, size, channels], plain(channels), plain(channels));
  const transforms = [resize(Math.round(size / 0.875)), centerCrop(size), normalize(mean, std)];
  return { height: size, width: size, channels, transforms };
}

const plain = (channels: number): number[] => Array.from({ length: channels }, () => 0.5);

async function readShapes(path: string): Promise<Map<string, Shape>> {
  const file = await openTensors(path);
  try {
    return unwrapped(new Map(file.names.map((name) => [name, file.info(name).shape])));
  } finally {
    await file.close();
  }
}

/** Keys without the prefix that DataParallel gives to all of them. */
const unwrapped = <T>(state: Map<string, T>): Map<string, T> =>
  [...state.keys()].every((key) => key.startsWith("module."))
    ? new Map([...state].map(([key, value]) => [key.slice("module.".length), value]))
    : state;

async function onlyModel(path: string, shapes: ReadonlyMap<string, Shape>): Promise<string> {
  const [first] = await modelsOf(shapes, basename(path));
  if (first === undefined)
    throw new ManabiError(
      `${path}: its tensors are not those of any model here; see manabi models. A model with other options can be made and ` +
        "loaded from code",
    );
  return first;
}

async function readJsonBeside(path: string, name: string): Promise<Record<string, unknown> | null> {
  const beside = join(dirname(path), name);
  const text = await readFile(beside, "utf8").catch(() => null);
  return text === null ? null : parseJson(beside, text);
}

/** What a config.json beside the file tells, where there is one. */
async function factsBeside(path: string): Promise<WeightsFacts | null> {
  const config = await readJsonBeside(path, "config.json");
  if (!config) return null;
  const label = join(dirname(path), "config.json");
  if (typeof config.architecture === "string") return timmFacts(label, config);
  if (typeof config.model_type !== "string") return null;
  const preprocessor = await readJsonBeside(path, "preprocessor_config.json");
  return transformersFacts(label, { ...config, model_type: config.model_type }, preprocessor);
}
