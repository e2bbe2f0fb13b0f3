import { ManabiError } from "manabi";
import { DataLoader, type Dataset, openSplits, take } from "manabi/data";
import { choice, float, int, recipe, savedNumbers, text } from "manabi/train";
import { type MethodName, methods } from "./few-labels/methods.ts";
import { type Classify, classifier, guessesOf, type RoundMethodName, roundMethods } from "./few-labels/rounds.ts";
import {
  drawLabelled,
  type Form,
  labelledOf,
  type OnStep,
  type Schedule,
  smallResNet,
  type Task,
  trainModel,
} from "./few-labels/task.ts";

type Name = MethodName | RoundMethodName;
const names = [...Object.keys(methods), ...Object.keys(roundMethods)] as readonly Name[];

/** Few labels, many images: eight ways to learn from images without labels, and the baseline, with the same labels, model
 *  and number of steps. Every seed draws other labels.
 *
 *      manabi train few-labels
 *      manabi train few-labels --method fixmatch --data cifar10 --labels 400
 *
 *  Measured on MNIST with 40 labels, three seeds: labels alone 74.3 %, entropy minimization 87.1 %, pseudo-labels 88.4 %,
 *  self-training 86.7 %, co-training 79.5 %, Π-model 86.0 %, mean teacher 76.4 %, FixMatch 95.8 %; spreads and remarks in
 *  docs/few-labels.md. About 20 minutes on 2 cores of an AMD EPYC (Zen 4) that were busy with other work. */
export default recipe({
  title: "Learning from few labels",
  args: {
    data: text("mnist", "mnist, fashion-mnist, cifar10, or a folder with IDX files"),
    labels: int(40, "images with a label, as many of each class", { min: 10 }),
    method: choice(["all", ...names], "one method, or all of them"),
    seeds: int(3, "trainings per method; the table has their mean", { min: 1 }),
    steps: int(800, "steps of each training", { min: 1 }),
    batchSize: int(32, "images with a label per step", { min: 2 }),
    ratio: int(4, "images without a label per image with one", { min: 1 }),
    lr: float(0.1, "peak learning rate", { min: 0 }),
    weight: float(1, "of the loss without labels", { min: 0 }),
    threshold: float(0.95, "probability from which a prediction counts as a label", { min: 0, max: 1 }),
    limit: int(0, "use only so many images of either part; 0 uses all", { min: 0 }),
  },
  smoke: { labels: 20, seeds: 1, steps: 8, batchSize: 8, ratio: 2, limit: 200 },
  metric: { name: "test/accuracy", goal: "max" },
  async run({ data, labels, method, seeds, limit, ...schedule }, run) {
    const { name: title, known, imageShape, ...splits } = await openSplits(data, { onProgress: run.fetching });
    if (imageShape === null) throw new ManabiError(`${title}: its images are not all of one size`);
    const grey = { title, imageShape, mean: [0.1307], std: [0.3081], classCount: splits.classes.length };
    const form: Form = known ?? grey;
    const [train, test] = [take(splits.train, limit), take(splits.test, limit)];
    if (labels > train.length)
      throw new ManabiError(`--labels ${labels} is more than the ${train.length} images there are`);
    const chosen = method === "all" ? names : [method];
    const trainings = chosen.flatMap((name) => Array.from({ length: seeds }, (_, seed) => ({ name, seed })));

    const accuracies: number[] = [];
    await run.begin(
      { results: savedNumbers(accuracies) },
      { steps: trainings.length * schedule.steps, epochs: trainings.length, every: { epochs: 1 } },
    );
    for (const { name, seed } of trainings.slice(accuracies.length)) {
      const order = new DataLoader(train, { batchSize: 1, shuffle: true, seed }).order(0);
      const task: Task = { form, train, test, labelled: drawLabelled(train, labels, order) };
      // A training that was stopped in its middle starts anew; the count of steps does not go back.
      let step = accuracies.length * schedule.steps;
      const end = step + schedule.steps;
      const onStep: OnStep = async (loss, lr) => {
        step = Math.min(step + 1, end);
        run.log({ step: Math.max(run.step, step), loss, lr });
        await run.checkpointIfDue();
      };
      const classify = await trained(name, task, schedule, seed, onStep);
      const accuracy = await accuracyOf(classify, test);
      accuracies.push(accuracy);
      const values = { "test/accuracy": accuracy, [`${name}/accuracy`]: accuracy };
      run.log({ step: end, epoch: accuracies.length, ...values });
      run.output.info(`${name}, seed ${seed}: ${(100 * accuracy).toFixed(2)} %`);
      await run.checkpointIfDue();
    }
    const results = chosen.map((name, i) => resultOf(name, accuracies.slice(i * seeds, (i + 1) * seeds)));
    const rows = results.map(({ label, value, note }) => `| ${label} | ${value} | ${note} |`);
    const table = ["| method | accuracy | from |", "|---|---|---|", ...rows].join("\n");
    run.output.info(table);
    run.text("few-labels", table);
    run.report({
      summary: `${labels} labels of ${form.title}, ${seeds} seeds; accuracy on ${test.length} test images.`,
      results,
    });
  },
});

/** Trains by a method and returns what classifies. */
async function trained(name: Name, task: Task, schedule: Schedule, seed: number, onStep: OnStep): Promise<Classify> {
  if (isRound(name)) return roundMethods[name].train(task, schedule, seed, onStep);
  const make = () => smallResNet(task.form);
  return classifier(await trainModel(make, methods[name], labelledOf(task), task, schedule, seed, onStep), task);
}

const isRound = (name: Name): name is RoundMethodName => Object.hasOwn(roundMethods, name);

async function accuracyOf(classify: Classify, test: Dataset): Promise<number> {
  const guesses = guessesOf(await classify(test), test.classes.length);
  return guesses.filter(({ index, label }) => label === test.labels?.[index]).length / test.length;
}

/** Mean and standard deviation over the seeds. */
function resultOf(name: Name, accuracies: readonly number[]) {
  const mean = accuracies.reduce((a, b) => a + b, 0) / accuracies.length;
  const squares = accuracies.reduce((sum, a) => sum + (a - mean) ** 2, 0);
  const spread = accuracies.length > 1 ? ` ± ${(100 * Math.sqrt(squares / (accuracies.length - 1))).toFixed(2)}` : "";
  const { title, paper } = isRound(name) ? roundMethods[name] : methods[name];
  return { label: `${name}: ${title}`, value: `${(100 * mean).toFixed(2)}${spread} %`, note: paper };
}
