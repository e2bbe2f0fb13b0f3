import { ManabiError } from "../core/errors.ts";
import type { DataLoader } from "../data/loader.ts";
import type { Layer } from "../nn/container.ts";
import { inEvalMode } from "../nn/module.ts";
import { jit } from "../ops/jit.ts";
import { fromHost, type Tensor } from "../ops/tensor.ts";
import { ConfusionMatrix } from "./metrics.ts";
import type { Output } from "./output.ts";

/** One image with what the model makes of it. */
export interface Judged {
  /** As the model sees it, f32 [channels, height, width]. */
  readonly image: Float32Array;
  readonly truth: number;
  readonly predicted: number;
  /** Of the predicted class, 0 to 1. */
  readonly probability: number;
}

/** How good a classifier is on a data set. */
export interface Evaluation {
  /** Mean cross-entropy. */
  readonly loss: number;
  /** Share of images whose most probable class is the true one. */
  readonly accuracy: number;
  /** Share of images whose true class is among the five most probable ones; null with ten classes or fewer. */
  readonly top5: number | null;
  readonly confusion: ConfusionMatrix;
  /** The wrong ones of which the model is most certain, that one first. */
  readonly mistakes: readonly Judged[];
  /** Some images, evenly spread over the data set. */
  readonly samples: readonly Judged[];
}

export interface EvaluateOptions {
  /** How many mistakes and samples to keep. */
  readonly mistakes?: number;
  readonly samples?: number;
  /** Where to show how far it is. */
  readonly output?: Output;
}

const forwards = new WeakMap<Layer, (x: Tensor) => Tensor>();

/** Logits of a batch in evaluation mode, compiled once for a model and a shape: f32 [b, c, h, w] -> [b, classes]. Each
 *  module has its own mode back afterwards, frozen ones too. */
export function predictLogits(model: Layer, images: Tensor): Tensor {
  let forward = forwards.get(model);
  if (!forward) {
    forward = jit((x: Tensor) => model.forward(x));
    forwards.set(model, forward);
  }
  const compiled = forward;
  return inEvalMode(model, () => compiled(images));
}

/** Runs a classifier (images f32 [b, c, h, w] -> logits [b, classes]) over a loader without shuffling, transforms that draw at random, or soft labels. */
export async function evaluateClassifier(
  model: Layer,
  loader: DataLoader,
  { mistakes: mistakeLimit = 24, samples: sampleLimit = 12, output }: EvaluateOptions = {},
): Promise<Evaluation> {
  const { classes, length: total } = loader.dataset;
  if (total === 0) throw new ManabiError("evaluateClassifier: the data set is empty");
  const confusion = new ConfusionMatrix(classes);
  const mistakes: Judged[] = [];
  const samples: Judged[] = [];
  let [seen, lossSum, top5] = [0, 0, 0];
  for await (const [images, labels] of loader.batches(0)) {
    const logits = await predictLogits(model, fromHost(images)).data();
    const [batch] = labels.shape;
    const size = images.data.length / batch;
    for (let i = 0; i < batch; i++, seen++) {
      const truth = labels.data[i];
      const row = logits.subarray(i * classes.length, (i + 1) * classes.length);
      const { predicted, probability, lossOf, rank } = judge(row, truth);
      lossSum += lossOf;
      if (rank < 5) top5++;
      confusion.add([predicted], [truth]);
      const one = () => ({
        image: Float32Array.from(images.data.subarray(i * size, (i + 1) * size)),
        truth,
        predicted,
        probability,
      });
      if (predicted !== truth) keepWorst(mistakes, mistakeLimit, probability, one);
      if (samples.length < sampleLimit && seen >= (samples.length * total) / sampleLimit) samples.push(one());
    }
    output?.working(`evaluating: ${seen} of ${total} images`);
  }
  if (seen === 0) throw new ManabiError("evaluateClassifier: none of the images could be read");
  return {
    loss: lossSum / seen,
    accuracy: confusion.accuracy,
    top5: classes.length > 10 ? top5 / seen : null,
    confusion,
    mistakes,
    samples,
  };
}

/** The most probable class of a row of logits, its probability, and the loss and rank of the true class. */
function judge(row: ArrayLike<number>, truth: number) {
  let predicted = 0;
  for (let c = 1; c < row.length; c++) if (row[c] > row[predicted]) predicted = c;
  let sum = 0;
  let rank = 0;
  for (let c = 0; c < row.length; c++) {
    sum += Math.exp(row[c] - row[predicted]);
    if (row[c] > row[truth]) rank++;
  }
  return { predicted, probability: 1 / sum, lossOf: Math.log(sum) - (row[truth] - row[predicted]), rank };
}

/** Puts a mistake into a list that is sorted by falling probability and not longer than `limit`. */
function keepWorst(list: Judged[], limit: number, probability: number, make: () => Judged): void {
  const at = list.findIndex((other) => other.probability < probability);
  if (at >= 0) list.splice(at, 0, make());
  else if (list.length < limit) list.push(make());
  list.length = Math.min(list.length, limit);
}

/** Classes by falling probability. */
export function topClasses(
  logits: ArrayLike<number>,
  classes: readonly string[],
  k: number,
): { index: number; label: string; probability: number }[] {
  const scores = Array.from(logits);
  const highest = Math.max(...scores);
  const weights = scores.map((score) => Math.exp(score - highest));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights
    .map((weight, index) => ({ index, label: classes[index], probability: weight / sum }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, k);
}
