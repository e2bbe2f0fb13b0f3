/** Methods that label images themselves, in rounds, and train anew with what they have labelled. */
import { softmax } from "manabi";
import { DataLoader, type Dataset, map } from "manabi/data";
import type { Layer } from "manabi/nn";
import { predictLogits } from "manabi/train";
import {
  distortions,
  type OnStep,
  relabelled,
  type Schedule,
  smallResNet,
  type Task,
  trainSupervised,
} from "./task.ts";

export const roundMethods = {
  "self-training": { title: "self-training", paper: "Yarowsky 1995", train: selfTraining },
  "co-training": { title: "co-training on image halves", paper: "Blum and Mitchell 1998", train: coTraining },
} as const;

export type RoundMethodName = keyof typeof roundMethods;

/** Gives the probabilities of the classes for every image of a data set, row by row. */
export type Classify = (dataset: Dataset) => Promise<Float32Array>;

const rounds = 4;

/** Each round is a whole training: without images that have no label a step costs a fifth. Of `times` steps one is told. */
function everyFew(times: number, onStep: OnStep): OnStep {
  let count = 0;
  return async (loss, lr) => {
    if (++count % times === 0) await onStep(loss, lr);
  };
}

/** The labelled images and those whose label was guessed. */
class Pool {
  readonly indices: number[];
  readonly labels: number[];

  constructor({ train, labelled }: Task) {
    this.indices = [...labelled];
    this.labels = this.indices.map((i) => (train.labels as Int32Array)[i]);
  }

  /** Takes guesses, or leaves out images that it has. */
  add(guesses: readonly Guess[]): void {
    const known = new Set(this.indices);
    for (const { index, label } of guesses)
      if (!known.has(index)) {
        this.indices.push(index);
        this.labels.push(label);
      }
  }

  dataset = ({ train }: Task): Dataset => relabelled(train, this.indices, this.labels);
}

interface Guess {
  readonly index: number;
  readonly label: number;
  readonly probability: number;
}

/** The most probable class of each row. */
export function guessesOf(probabilities: Float32Array, classes: number): Guess[] {
  return Array.from({ length: probabilities.length / classes }, (_, index) => {
    const row = probabilities.subarray(index * classes, (index + 1) * classes);
    const label = row.indexOf(Math.max(...row));
    return { index, label, probability: row[label] };
  });
}

const batch = 500;

/** Probabilities by a model, without distortion. */
export const classifier =
  (model: Layer, task: Task, view: (dataset: Dataset) => Dataset = (d) => d): Classify =>
  async (dataset) => {
    const loader = new DataLoader(view(dataset), { batchSize: batch, transforms: distortions(task.form).none });
    const rows: Float32Array[] = [];
    for await (const [images] of loader.epoch(0))
      rows.push((await softmax(predictLogits(model, images)).data()) as Float32Array);
    const all = new Float32Array(rows.reduce((n, r) => n + r.length, 0));
    let at = 0;
    for (const row of rows) {
      all.set(row, at);
      at += row.length;
    }
    return all;
  };

/** Each round trains a new model on all labels there are, and takes the guesses above the threshold as labels. */
async function selfTraining(task: Task, schedule: Schedule, seed: number, onStep: OnStep): Promise<Classify> {
  const tell = everyFew(rounds, onStep);
  const make = () => smallResNet(task.form);
  let classify: Classify | null = null;
  for (let round = 0; round < rounds; round++) {
    const pool = new Pool(task);
    if (classify) {
      const guesses = guessesOf(await classify(task.train), task.train.classes.length);
      pool.add(guesses.filter(({ probability }) => probability >= schedule.threshold));
    }
    const model = await trainSupervised(make, pool.dataset(task), task, schedule, seed + round, tell);
    classify = classifier(model, task);
  }
  return classify as Classify;
}

/** The left or the right half of each image. */
const half =
  (side: 0 | 1) =>
  (dataset: Dataset): Dataset =>
    map(dataset, ([image, label]) => {
      if (typeof image === "number") return [image, label];
      const [height, width, channels] = image.shape;
      const kept = width >> 1;
      const data = new Uint8Array(height * kept * channels);
      for (let y = 0; y < height; y++) {
        const from = (y * width + side * (width - kept)) * channels;
        data.set(image.data.subarray(from, from + kept * channels) as Uint8Array, y * kept * channels);
      }
      return [{ dtype: "u8", shape: [height, kept, channels], data } as const, label];
    });

/**
 * Two models that see different halves of each image. Each labels, of every class, the images it is surest of for the
 * other one. Their answers are multiplied.
 */
async function coTraining(task: Task, schedule: Schedule, seed: number, onStep: OnStep): Promise<Classify> {
  const tell = everyFew(2 * rounds, onStep);
  const classes = task.train.classes.length;
  const [height, width, channels] = task.form.imageShape;
  const form = { ...task.form, imageShape: [height, width >> 1, channels] as const };
  const halves = { ...task, form };
  const pools = [new Pool(task), new Pool(task)];
  let classify: Classify[] = [];
  for (let round = 0; round < rounds; round++) {
    const made: Classify[] = [];
    for (const side of [0, 1] as const) {
      const data = half(side)(pools[side].dataset(task));
      const model = await trainSupervised(
        () => smallResNet(form),
        data,
        halves,
        schedule,
        seed + 2 * round + side,
        tell,
      );
      made.push(classifier(model, halves, half(side)));
    }
    classify = made;
    if (round === rounds - 1) break;
    // As many per class, so that a class that is easily recognized does not crowd out the others.
    const share = Math.floor((task.train.length / classes) * 0.1 * 2 ** round);
    for (const side of [0, 1] as const) {
      const guesses = guessesOf(await classify[side](task.train), classes);
      for (let c = 0; c < classes; c++) {
        const own = guesses.filter(({ label, probability }) => label === c && probability >= schedule.threshold);
        pools[1 - side].add(own.sort((a, b) => b.probability - a.probability).slice(0, share));
      }
    }
  }
  return async (dataset) => {
    const [left, right] = await Promise.all(classify.map((f) => f(dataset)));
    return left.map((p, i) => p * right[i]);
  };
}
