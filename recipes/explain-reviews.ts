import { crossEntropy, jit, manualSeed, type Tensor, valueAndGrad } from "manabi";
import { DataLoader, imdbReviews, type LabelledTexts, readReviews } from "manabi/data";
import { type BlackBox, readScores } from "manabi/explain";
import { initialize } from "manabi/nn";
import { adam, oneCycle, optimizer } from "manabi/optim";
import { evaluateClassifier, float, html, int, predictLogits, recipe, text } from "manabi/train";
import { BagOfWords, Vocabulary } from "./explain-reviews/bag-of-words.ts";
import { type ExplainedReview, explainReview, type Review } from "./explain-reviews/explained-review.ts";

/** Film reviews told apart by a bag of words, and why: LIME and Kernel SHAP on some of them, among them the mistakes of
 *  which the model was most certain. The run's report shows the words in colour.
 *
 *      manabi train explain-reviews
 *      manabi train explain-reviews --review "A slow start, but the last hour is superb."
 *
 *  Measured (seed 1, 0:53 minutes on 2 busy cores of an AMD EPYC): 89.71 % of 9,916 test reviews. LIME's R² is 0.81 in the
 *  mean of seven reviews, and the rank correlation of its weights and the Shapley values of words 0.96. */
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
    explained: int(6, "test reviews that are explained, a third of them mistakes", { min: 0 }),
    review: text("", "a review of your own that is explained as well"),
  },
  smoke: { explained: 3, epochs: 1, limit: 200, words: 500, length: 60, batchSize: 20 },
  metric: { name: "test/accuracy", goal: "max" },
  async run({ data, seed, limit, words, length, width, dropout, epochs, batchSize, lr, ...args }, run) {
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

    const classify: BlackBox<readonly string[]> = (texts) => predictLogits(model, vocabulary.encodeAll(texts));
    const chosen = await chooseReviews(classify, test, args.explained);
    const reviews: Review[] = args.review ? [{ text: args.review, label: null }, ...chosen] : chosen;
    const explained: ExplainedReview[] = [];
    for (const review of reviews) {
      run.output.working(`explaining: ${explained.length} of ${reviews.length} reviews`);
      explained.push(await explainReview(classify, review, splits.classes, seed));
    }
    const mean = (read: (one: ExplainedReview) => number) =>
      (explained.reduce((sum, one) => sum + read(one), 0) / explained.length).toFixed(3);
    const { metrics } = run.record;
    run.report({
      summary: `A bag of words, learned from ${train.texts.length} reviews and measured on ${test.texts.length} others. Orange words over a full line speak for praise, purple ones over a dotted line against it.`,
      results: [
        { label: "Test accuracy", value: `${(100 * (metrics["test/accuracy"] ?? 0)).toFixed(2)} %` },
        { label: "LIME's R², mean", value: mean((one) => one.fidelity) },
        { label: "LIME and SHAP", value: mean((one) => one.agreement), note: "rank correlation, mean" },
      ],
      sections: [{ id: "explained", title: "Why", body: html`${explained.map(({ body }) => body)}` }],
    });
  },
});

/** Short test reviews: two thirds taken for what they are, of both classes in turn, and the worst mistakes. */
async function chooseReviews(
  classify: BlackBox<readonly string[]>,
  { texts, labels, classes }: LabelledTexts,
  count: number,
): Promise<Review[]> {
  const short = texts.flatMap((text, i) => (text.length > 150 && text.length < 500 ? [i] : [])).slice(0, 1000);
  if (!short.length || count === 0) return [];
  const logits = await readScores(await classify(short.map((i) => texts[i])), short.length);
  const judged = short.map((i, row) => {
    const odds = logits.data[2 * row + 1] - logits.data[2 * row];
    return { text: texts[i], label: classes[labels[i]], sure: Math.abs(odds), right: Number(odds > 0) === labels[i] };
  });
  const mistakes = judged.filter(({ right }) => !right).sort((a, b) => b.sure - a.sure);
  const right = classes.map((name) => judged.filter((one) => one.right && one.label === name));
  const inTurn = short.flatMap((_, i) => right.flatMap((list) => list.slice(i, i + 1)));
  const wrong = mistakes.slice(0, Math.floor(count / 3));
  return [...inTurn.slice(0, count - wrong.length), ...wrong];
}

/** The first texts, or all where the limit is 0. */
const take = ({ texts, labels, classes }: LabelledTexts, limit: number): LabelledTexts => ({
  texts: texts.slice(0, limit || texts.length),
  labels: labels.slice(0, limit || texts.length),
  classes,
});
