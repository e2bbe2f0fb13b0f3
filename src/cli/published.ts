import type { ImageInput } from "../data/image-input.ts";
import { isFile } from "../io/source-file.ts";
import { fileClassifier, pretrained } from "../models/index.ts";
import type { Layer } from "../nn/container.ts";
import { fetchProgress } from "../train/fetching.ts";
import type { Output } from "../train/output.ts";

/** A classifier with what it takes and what it knows. */
export interface Classifier {
  readonly model: Layer;
  readonly input: ImageInput;
  readonly classes: readonly string[];
}

/** A model with published weights, which are fetched where they are not in the cache, or with those of a file. */
export async function loadPublished(name: string, output: Output): Promise<Classifier> {
  const onNotice = (text: string) => output.warn(text);
  const { model, weights } = (await isFile(name))
    ? await fileClassifier(name, onNotice)
    : await pretrained(name, { onProgress: fetchProgress(output), onNotice });
  return { model, input: weights.input, classes: weights.classes };
}
