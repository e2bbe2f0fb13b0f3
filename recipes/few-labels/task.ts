/** The data of the comparison, and the training that all methods share. */
import { jit, ManabiError, manualSeed, type Tensor, tensor, valueAndGrad } from "manabi";
import {
  DataLoader,
  type Dataset,
  horizontalFlip,
  type KnownDataset,
  map,
  normalize,
  randAugment,
  randomCrop,
  subset,
  type Transform,
} from "manabi/data";
import { createModel } from "manabi/models";
import { initialize, type Layer } from "manabi/nn";
import { noDecay, oneCycle, optimizer, sgd } from "manabi/optim";
import { type Method, methods } from "./methods.ts";

/** What all images of a task have in common. */
export type Form = Pick<KnownDataset, "title" | "imageShape" | "mean" | "std" | "classCount">;

/** A classification task of which few images have labels. */
export interface Task {
  readonly form: Form;
  readonly train: Dataset;
  readonly test: Dataset;
  /** Which images of `train` have labels; a method looks at no other label. */
  readonly labelled: Uint32Array;
}

/** The images that have labels. */
export const labelledOf = ({ train, labelled }: Task): Dataset => subset(train, labelled);

/** How a model is trained. */
export interface Schedule {
  readonly steps: number;
  readonly batchSize: number;
  /** Images without label per image with one. */
  readonly ratio: number;
  readonly lr: number;
  readonly weight: number;
  readonly threshold: number;
}

/** Told after each step; may throw to end the training. */
export type OnStep = (loss: Tensor, lr: number) => Promise<void>;

/** The first images in an order, as many of each class, `count` in all or a few more. */
export function drawLabelled(train: Dataset, count: number, order: Uint32Array): Uint32Array {
  const labels = train.labels as Int32Array;
  const share = count / train.classes.length;
  const taken = new Map<number, number>();
  const chosen: number[] = [];
  for (const i of order) {
    const had = taken.get(labels[i]) ?? 0;
    if (had >= share) continue;
    taken.set(labels[i], had + 1);
    chosen.push(i);
  }
  return Uint32Array.from(chosen);
}

/** Shifts, and mirroring for photos; digits and letters have a left and a right. */
export function distortions({ imageShape: [height, width, channels], mean, std }: Form) {
  const shift = randomCrop([height, width], { padding: height >> 3 });
  const weak: Transform[] = [shift, ...(channels === 3 ? [horizontalFlip()] : [])];
  const scale = normalize(mean, std);
  return {
    weak: [...weak, scale],
    strong: [...weak, randAugment(2, 10), scale],
    none: [scale],
  };
}

/** A residual network small enough for this comparison: images of 28 to 32 pixels. */
export const smallResNet = ({ imageShape: [, , channels], classCount }: Form): Promise<Layer> =>
  createModel("mnist_resnet", {
    inChannels: channels,
    numClasses: classCount,
    widths: channels === 1 ? [16, 32, 64] : [32, 64, 128],
  });

/** Batches without end. */
async function* endless(loader: DataLoader): AsyncGenerator<Tensor[], void, void> {
  for (let epoch = 0; ; epoch++) yield* loader.epoch(epoch);
}

/** Moves the parameters of `teacher` towards those of `model`: keeps the share `kept` of each. */
function follow(teacher: Layer, model: Layer, kept: Tensor): void {
  const own = model.variables();
  for (const [name, average] of teacher.namedParameters()) {
    const value = own.get(name);
    if (value) average.assign(value.value.add(average.sub(value).mul(kept)));
  }
}

/** Trains a model with one of the methods; returns the one to use, in training mode. */
export async function trainModel(
  make: () => Promise<Layer>,
  { title, views, hasTeacher, loss }: Method,
  labelled: Dataset,
  { form, train }: Task,
  { steps, batchSize, ratio, lr, weight, threshold }: Schedule,
  seed: number,
  onStep: OnStep,
): Promise<Layer> {
  if (labelled.length === 0) throw new ManabiError(`${title}: there is no image with a label`);
  manualSeed(seed);
  const model = initialize(await make(), seed);
  const teacher = hasTeacher ? initialize(await make(), seed) : null;
  const { weak, ...other } = distortions(form);
  const size = Math.min(batchSize, labelled.length);
  const shuffle = { seed, shuffle: true, dropLast: true } as const;
  const seen = new DataLoader(labelled, { ...shuffle, batchSize: size, transforms: weak });
  const unseen = new DataLoader(train, {
    ...{ ...shuffle, batchSize: Math.min(size * ratio, train.length) },
    views: [weak, views?.[1] === "strong" ? other.strong : weak],
  });
  const opt = optimizer(model, sgd({ lr: oneCycle(lr, steps), momentum: 0.9, nesterov: true, weightDecay: 5e-4 }), {
    groups: [noDecay],
  });
  const step = jit((x: Tensor, labels: Tensor, first: Tensor, second: Tensor, ramp: Tensor, kept: Tensor) => {
    const all = { teacher, x, labels, first, second, ramp, weight, threshold };
    const [value, grads] = valueAndGrad(model, (m) => loss({ ...all, model: m }));
    opt.update(grads);
    if (teacher) follow(teacher, model, kept);
    return value;
  });
  const pairs = views ? endless(unseen) : null;
  const batches = endless(seen);
  for (let i = 0; i < steps; i++) {
    const [x, labels] = (await batches.next()).value as Tensor[];
    // Methods that need no such images are given some that their program leaves out.
    const [first, second] = pairs ? ((await pairs.next()).value as Tensor[]) : [x, x];
    // Laine and Aila 2016: exp(-5 (1 - t)^2) over the first third.
    const ramp = Math.exp(-5 * (1 - Math.min(1, (3 * i) / steps)) ** 2);
    // At first the average forgets fast, or the teacher would be what nobody has trained yet; then it reaches back over
    // a fortieth of the training, which is the 0.999 of Tarvainen and Valpola in one of 40,000 steps. A longer memory in a
    // short training pulls the model back to what it was.
    const kept = Math.max(0, Math.min(1 - 40 / steps, 1 - 1 / (i + 1)));
    await onStep(step(x, labels, first, second, tensor(ramp), tensor(kept)), opt.lr);
  }
  await Promise.all([seen.close(), unseen.close()]);
  return teacher ?? model;
}

/** Labels alone: what methods that work in rounds train with. */
export const trainSupervised = (
  make: () => Promise<Layer>,
  labelled: Dataset,
  task: Task,
  schedule: Schedule,
  seed: number,
  onStep: OnStep,
): Promise<Layer> => trainModel(make, methods.supervised, labelled, task, schedule, seed, onStep);

/** The images at `indices` with other labels than their own. */
export function relabelled(dataset: Dataset, indices: ArrayLike<number>, labels: ArrayLike<number>): Dataset {
  const chosen = map(subset(dataset, indices), ([image], i) => [image, labels[i]] as const);
  return { ...chosen, labels: Int32Array.from(labels) };
}
