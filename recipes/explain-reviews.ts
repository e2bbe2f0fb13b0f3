import { crossEntropy, jit, manualSeed, type Tensor, valueAndGrad } from "manabi";
import { DataLoader, imdbReviews, type LabelledTexts, readReviews } from "manabi/data";
import { initialize } from "manabi/nn";
import { adam, oneCycle, optimizer } from "manabi/optim";
import { evaluateClassifier, float, int, recipe, text } from "manabi/train";
import { BagOfWords, Vocabulary } from "./explain-reviews/bag-of-words.ts";

export default recipe({
  title: "Why a review is taken for praise",
  args: {
    data: text("imdb", 'imdb, or a JSON file of reviews: [{ "t": text, "s": 0 or 1 }, ...]'),
    seed: int(1, "parts, initialization, order and samples", { min: 0 }),
    limit: int(0, "use only so many reviews of either part; 0 uses all", { min: 0 }),
    words: int(20000, "most frequent words that are told apart", { min: 10 }),
    length: int(400, "words of a review that are read", { min: 1 }),
    width: int(32, "size of a word's vector", { min: 1 }),
    dropout: float(0.5, "of a review's vector", { min: 0, max: 0.99 }),
    epochs: int(4, "passes over the training reviews", { min: 1 }),
    batchSize: int(128, "reviews per step", { min: 2 }),
    lr: float(0.01, "peak learning rate", { min: 0 }),
  },
  smoke: { epochs: 1, limit: 200, words: 500, length: 60, batchSize: 20 },
  metric: { name: "test/accuracy", goal: "max" },
  async run({ data, seed, limit, words, length, width, dropout, epochs, batchSize, lr }, run) {
    const options = { seed, onProgress: run.fetching };
    const splits = await (data === "imdb" ? imdbReviews(options) : readReviews(data, options));
    const [train, test] = [splits.train, splits.test].map((part) => take(part, limit));
    const vocabulary = new Vocabulary(train.texts, words, length);
    const size = Math.min(batchSize, train.texts.length);
    const order = { batchSize: size, seed, shuffle: true, dropLast: true };
    const loader = new DataLoader(vocabulary.dataset(train), order);
    const testLoader = new DataLoader(vocabulary.dataset(test), { batchSize: 500 });

    manualSeed(seed);
    const model = initialize(new BagOfWords(vocabulary.words.size, width, splits.classes.length, dropout), seed);
    const steps = epochs * loader.length;
    const opt = optimizer(model, adam({ lr: oneCycle(lr, steps) }));
    const step = jit((x: Tensor, y: Tensor) => {
      const [loss, grads] = valueAndGrad(model, (m) => crossEntropy(m.forward(x), y));
      opt.update(grads);
      return loss;
    });
    await run.begin({ model, optimizer: opt, data: loader }, { steps, epochs, itemsPerStep: size, unit: "reviews" });
    while (run.epoch < epochs) {
      for await (const [x, y] of loader.epoch(run.epoch)) {
        run.log({ step: run.step + 1, loss: step(x, y), lr: opt.lr });
        await run.checkpointIfDue();
      }
      const { loss, accuracy } = await evaluateClassifier(model, testLoader, {
        mistakes: 0,
        samples: 0,
        output: run.output,
      });
      run.log({ epoch: run.epoch + 1, "test/loss": loss, "test/accuracy": accuracy });
      await run.checkpointIfDue();
    }
    await Promise.all([loader.close(), testLoader.close()]);
  },
});

/** The first texts, or all where the limit is 0. */
const take = ({ texts, labels, classes }: LabelledTexts, limit: number): LabelledTexts => ({
  texts: texts.slice(0, limit || texts.length),
  labels: labels.slice(0, limit || texts.length),
  classes,
});
