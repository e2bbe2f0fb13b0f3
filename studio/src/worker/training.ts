import { crossEntropy, jit, manualSeed, stack, type Tensor, valueAndGrad } from "manabi";
import { DataLoader, normalize, randomCrop, take } from "manabi/data";
import type { Layer } from "manabi/nn";
import { adamW, noDecay, oneCycle, optimizer } from "manabi/optim";
import type { Digits } from "./digits.ts";
import type { Progress, Settings } from "./messages.ts";

/** Grey values 0 to 255 to what networks see: mean 0 and variance 1 over the training images. */
export const scale = normalize([0.1307], [0.3081]);

/** How often the page hears of the training. */
const reportMs = 120;

/** Mean cross-entropy and share of right answers, f32 [2]: one tensor, so that reading takes one trip to the device. */
const score = (logits: Tensor, y: Tensor): Tensor =>
  stack([crossEntropy(logits, y), logits.argmax(1).eq(y).cast("f32").mean()]);

/** Trains `model` from epoch `done` to the end of the settings; whoever stops asking stops the training. */
export async function* train(
  model: Layer,
  digits: Digits,
  { epochs, batchSize, lr, images, seed }: Settings,
  done: number,
): AsyncGenerator<Progress, void, void> {
  const chosen = take(digits.train, images);
  const loader = new DataLoader(chosen, {
    batchSize: Math.min(batchSize, chosen.length),
    seed,
    shuffle: true,
    dropLast: true,
    transforms: [randomCrop(28, { padding: 2 }), scale],
  });
  const test = new DataLoader(take(digits.test, images), { batchSize: 500, transforms: [scale] });
  manualSeed(seed);
  const steps = epochs * loader.length;
  const opt = optimizer(model, adamW({ lr: oneCycle(lr, steps - done * loader.length) }), { groups: [noDecay] });
  const step = jit((x: Tensor, y: Tensor) => {
    const [[, result], grads] = valueAndGrad(model, (m) => {
      const logits = m.forward(x);
      return [crossEntropy(logits, y), score(logits, y)];
    });
    opt.update(grads);
    return result;
  });
  const judge = jit((x: Tensor, y: Tensor) => score(model.forward(x), y));

  model.train();
  for (let epoch = done; epoch < epochs; epoch++) {
    const meter = new Meter(loader.batchSize);
    let at = epoch * loader.length;
    for await (const [x, y] of loader.epoch(epoch)) {
      meter.add(await step(x, y).data());
      at++;
      if (!meter.due && at < (epoch + 1) * loader.length) continue;
      yield { kind: "step", step: at, steps, ...meter.take() };
      meter.begin();
    }
    yield { kind: "evaluating", epoch: epoch + 1 };
    model.eval();
    const [loss, accuracy] = await evaluate(judge, test);
    model.train();
    yield { kind: "epoch", epoch: epoch + 1, step: at, loss, accuracy };
  }
}

/** Means over all images of a loader. */
async function evaluate(judge: (x: Tensor, y: Tensor) => Tensor, loader: DataLoader): Promise<[number, number]> {
  let [loss, accuracy] = [0, 0];
  for await (const [x, y] of loader.epoch(0)) {
    const part = await judge(x, y).data();
    const share = x.shape[0] / loader.dataset.length;
    loss += part[0] * share;
    accuracy += part[1] * share;
  }
  return [loss, accuracy];
}

/** Means and speed between two reports. */
class Meter {
  readonly #batchSize: number;
  #start = performance.now();
  #count = 0;
  #loss = 0;
  #accuracy = 0;

  constructor(batchSize: number) {
    this.#batchSize = batchSize;
  }

  /** Starts the clock anew: what has passed since the last report does not count. */
  begin(): void {
    this.#start = performance.now();
  }
  get due(): boolean {
    return performance.now() - this.#start >= reportMs;
  }
  add({ 0: loss, 1: accuracy }: ArrayLike<number>): void {
    this.#loss += loss;
    this.#accuracy += accuracy;
    this.#count++;
  }
  take(): { loss: number; accuracy: number; imagesPerSecond: number } {
    const n = this.#count;
    const seconds = (performance.now() - this.#start) / 1000;
    const means = {
      loss: this.#loss / n,
      accuracy: this.#accuracy / n,
      imagesPerSecond: (n * this.#batchSize) / Math.max(seconds, 1e-6),
    };
    this.#count = this.#loss = this.#accuracy = 0;
    return means;
  }
}
