import { ManabiError } from "../core/errors.ts";
import type { Dataset } from "../data/dataset.ts";
import type { DataLoader } from "../data/loader.ts";
import type { Layer } from "../nn/container.ts";
import { intercept } from "../nn/intercept.ts";
import { Module } from "../nn/module.ts";
import { fromHost, type Tensor } from "../ops/tensor.ts";
import { predictLogits } from "./evaluate.ts";
import type { Output } from "./output.ts";

/** What a frozen model makes of every image, kept in memory: a data set of f32 [width] with the labels. */
export class FeatureDataset implements Dataset {
  /** [length, width], row by row. */
  readonly values: Float32Array<ArrayBuffer>;
  readonly width: number;
  readonly labels: Int32Array;
  readonly classes: readonly string[];
  readonly spec = null;

  constructor(values: Float32Array<ArrayBuffer>, labels: Int32Array, classes: readonly string[]) {
    if (labels.length === 0 || values.length % labels.length)
      throw new ManabiError(`FeatureDataset: ${values.length} values do not divide into ${labels.length} rows`);
    this.values = values;
    this.width = values.length / labels.length;
    this.labels = labels;
    this.classes = classes;
  }

  get length(): number {
    return this.labels.length;
  }
  row(index: number): Float32Array<ArrayBuffer> {
    return this.values.subarray(index * this.width, (index + 1) * this.width);
  }
  get(index: number) {
    return [{ dtype: "f32", shape: [this.width], data: this.row(index) }, this.labels[index]] as const;
  }
  describe(index: number): string {
    return `features of image ${index}`;
  }
}

/**
 * Runs a model in evaluation mode over a loader without shuffling (images f32 [b, c, h, w] -> [b, width], further axes
 * flattened) and keeps what comes out: a head on a frozen model is trained on that many times faster.
 */
export async function extractFeatures(
  model: Layer,
  loader: DataLoader,
  { output }: { readonly output?: Output } = {},
): Promise<FeatureDataset> {
  const { length: total, classes } = loader.dataset;
  const rows: Float32Array[] = [];
  const labels: number[] = [];
  for await (const [images, label] of loader.batches(0)) {
    const features = await predictLogits(model, fromHost(images)).data();
    rows.push(Float32Array.from(features));
    labels.push(...label.data);
    output?.working(`features: ${labels.length} of ${total} images`);
  }
  const all = new Float32Array(rows.reduce((n, row) => n + row.length, 0));
  let at = 0;
  for (const row of rows) {
    all.set(row, at);
    at += row.length;
  }
  return new FeatureDataset(all, Int32Array.from(labels), classes);
}

/** A model up to its head: images -> what the head is given. It shares the model's variables. */
class Trunk extends Module {
  readonly model: Layer;
  readonly #head: Layer;

  constructor(model: Layer, head: Layer) {
    super();
    this.model = model;
    this.#head = head;
  }

  forward(x: Tensor): Tensor {
    const calls: { readonly given: unknown; readonly made: unknown }[] = [];
    const out = intercept(
      [this.#head],
      (_, run, [given]) => {
        const made = run();
        calls.push({ given, made });
        return made;
      },
      () => this.model.forward(x),
    );
    if (calls.length === 1 && calls[0].made === out) return calls[0].given as Tensor;
    throw new ManabiError(
      `${this.model.constructor.name}: its output is not what its head ${this.#head.constructor.name} returns, so the head cannot be trained on features alone`,
    );
  }
}

/**
 * A model in two parts: `head`, its own module of that key, and `trunk`, what comes before it, such that
 * `head.forward(trunk.forward(x))` is `model.forward(x)`. A head that is trained on the features of its trunk is that of
 * the model. Throws where the model does something with what its head returns.
 */
export function splitHead(model: Layer, key: string): { readonly trunk: Layer; readonly head: Layer } {
  const head = [...model.namedModules()].find(([name]) => name === key)?.[1] as Layer | undefined;
  if (!head) throw new ManabiError(`${model.constructor.name}: there is no module "${key}"`);
  return { trunk: new Trunk(model, head), head };
}
