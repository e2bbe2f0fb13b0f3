import { crossEntropy, jit, ManabiError, manualSeed, type Tensor, valueAndGrad } from "manabi";
import {
  DataLoader,
  type Dataset,
  horizontalFlip,
  imageInput,
  openSplits,
  randomResizedCrop,
  split,
  type Transform,
} from "manabi/data";
import { modelNames } from "manabi/models";
import { headOf, type Layer } from "manabi/nn";
import { layerwiseDecay, noDecay, oneCycle, optimizer, sgd } from "manabi/optim";
import {
  choice,
  evaluateClassifier,
  extractFeatures,
  findStart,
  float,
  inputAt,
  int,
  recipe,
  savedNumbers,
  scalingOf,
  splitHead,
  startModel,
  type TransferMode,
  text,
  trainedParts,
} from "manabi/train";

const modes = ["features", "finetune", "scratch"] as const satisfies readonly TransferMode[];

/** What a training looks at: a model, or its head, and what that is given. */
interface Task {
  readonly head: Layer;
  readonly train: Dataset;
  readonly test: Dataset;
  readonly trainTransforms: readonly Transform[];
  readonly testTransforms: readonly Transform[];
}

/** Few pictures, three ways: the head of a trained network on its frozen features, all of it trained further, and the same
 *  network from nothing. The features are computed once, so their epochs cost next to nothing.
 *
 *      manabi train transfer
 *      manabi train transfer --data photos --images 200 --image-size 128
 *
 *  Measured (seed 1, 2 cores of an AMD EPYC (Zen 4) busy with other work, evaluations after each epoch included):
 *  features 75.5 % in 0:35, finetune 73.7 % in 5:43, scratch 21.7 % in 18:09. With 50 pictures per class the head alone is
 *  enough: at five times the rate, `--finetune-lr 0.1`, finetune stood at 45 % after three epochs. */
export default recipe({
  title: "Transfer learning",
  args: {
    data: text("cifar10", "a known data set, or a folder with a folder of pictures per class"),
    model: choice(modelNames(), "see manabi models", "resnet50"),
    weights: text("imagenet", "a published name, imagenet (the first known ones), or a file"),
    images: int(500, "training images, as many of each class; 0 uses all", { min: 0 }),
    testImages: int(1000, "test images; 0 uses all", { min: 0 }),
    imageSize: int(96, "side of the images in pixels", { min: 8, max: 1024 }),
    seed: int(1, "choice of images, initialization, order and augmentation", { min: 0 }),
    batchSize: int(32, "images per step", { min: 2 }),
    featuresEpochs: int(40, "passes over the features", { min: 1 }),
    finetuneEpochs: int(6, "passes over the images", { min: 1 }),
    scratchEpochs: int(12, "passes over the images", { min: 1 }),
    finetuneLr: float(0.02, "finetune: peak rate of the head, per 256 images of a batch", { min: 0 }),
    layerDecay: float(0.8, "finetune: rate of each stage as a share of that of the stage behind it", {
      min: 0.01,
      max: 1,
    }),
  },
  smoke: { images: 48, testImages: 24, batchSize: 16, featuresEpochs: 2, finetuneEpochs: 1, scratchEpochs: 1 },
  metric: { name: "features/accuracy", goal: "max" },

  async check({ model, weights }) {
    await findStart(model, weights);
  },

  async run({ data, weights, images, imageSize, seed, batchSize, layerDecay, ...args }, run) {
    const { imageShape, classes, ...splits } = await openSplits(data, { seed, onProgress: run.fetching });
    const fetching = { onProgress: run.fetching };
    const start = await findStart(args.model, weights, fetching);
    const some = (all: Dataset, count: number): Dataset =>
      split(all, [count === 0 ? 1 : Math.min(1, count / all.length)], { seed })[0];
    const [chosen, tested] = [some(splits.train, images), some(splits.test, args.testImages)];
    const channels = imageShape?.[2] ?? 3;
    const ofWeights = Number(start.options.inChannels ?? 3);
    const grey = [0.5];
    const [mean, std] =
      ofWeights === 1
        ? [grey, grey]
        : [
            [0.485, 0.456, 0.406],
            [0.229, 0.224, 0.225],
          ];
    const input = inputAt(start.input ?? imageInput([imageSize, imageSize, ofWeights], mean, std), imageSize, channels);
    const colour = input.transforms.filter(({ op }) => op === "grayscale");
    const mirror = channels === 3 ? [horizontalFlip()] : [];
    const augmented = [...colour, randomResizedCrop(imageSize, { scale: [0.35, 1] }), ...mirror, scalingOf(input)];
    const size = Math.min(batchSize, chosen.length);

    /** The whole model on images; in mode "features" its head on what the frozen rest makes of them. */
    const taskOf = async (mode: TransferMode, model: Layer): Promise<Task> => {
      const testTransforms = input.transforms;
      if (mode !== "features")
        return { head: model, train: chosen, test: tested, trainTransforms: augmented, testTransforms };
      const { trunk, head } = splitHead(model, headOf(model));
      const features = async (pictures: Dataset) => {
        const loader = new DataLoader(pictures, { batchSize, transforms: testTransforms });
        return extractFeatures(trunk, loader, { output: run.output }).finally(() => loader.close());
      };
      const [train, test] = [await features(chosen), await features(tested)];
      return { head, train, test, trainTransforms: [], testTransforms: [] };
    };

    const epochsOf = { features: args.featuresEpochs, finetune: args.finetuneEpochs, scratch: args.scratchEpochs };
    const stepsPerEpoch = Math.floor(chosen.length / size);
    if (stepsPerEpoch === 0) throw new ManabiError(`${data}: there are no images to learn from`);
    const allEpochs = modes.reduce((sum, mode) => sum + epochsOf[mode], 0);
    const accuracies: number[] = [];
    const seconds: number[] = [];
    await run.begin(
      { accuracies: savedNumbers(accuracies), seconds: savedNumbers(seconds) },
      { steps: allEpochs * stepsPerEpoch, epochs: allEpochs, itemsPerStep: size, unit: "images" },
    );
    for (const mode of modes.slice(accuracies.length)) {
      const began = performance.now();
      manualSeed(seed);
      const model = await startModel(args.model, start, classes, { seed, drawn: mode === "scratch", ...fetching });
      const task = await taskOf(mode, model);
      const order = { batchSize: size, seed, shuffle: true, dropLast: true };
      const train = new DataLoader(task.train, { ...order, transforms: task.trainTransforms });
      const test = new DataLoader(task.test, { batchSize, transforms: task.testTransforms });
      const trained = trainedParts(model, { mode }, 0);
      const peak = ((mode === "finetune" ? args.finetuneLr : 0.1) * size) / 256;
      const lr = oneCycle(peak, epochsOf[mode] * stepsPerEpoch);
      const rule = sgd({ lr, momentum: 0.9, nesterov: true, weightDecay: 5e-4 });
      const groups = mode === "finetune" ? layerwiseDecay(model, layerDecay) : [noDecay];
      const opt = optimizer(trained, rule, { groups });
      const step = jit((x: Tensor, y: Tensor) => {
        const [loss, grads] = valueAndGrad(trained, () => crossEntropy(task.head.forward(x), y));
        opt.update(grads);
        return loss;
      });
      // A training that was stopped in its middle starts anew; the counts do not go back.
      const before = modes.slice(0, accuracies.length).reduce((sum, name) => sum + epochsOf[name], 0);
      let accuracy = 0;
      for (let epoch = 0; epoch < epochsOf[mode]; epoch++) {
        let done = (before + epoch) * stepsPerEpoch;
        for await (const [x, y] of train.epoch(epoch)) {
          done++;
          run.log({ step: Math.max(run.step, done), [`${mode}/loss`]: step(x, y), lr: opt.lr });
          await run.checkpointIfDue();
        }
        ({ accuracy } = await evaluateClassifier(task.head, test, { output: run.output }));
        if (epoch === epochsOf[mode] - 1) {
          accuracies.push(accuracy);
          seconds.push((performance.now() - began) / 1000);
        }
        const at = Math.max(run.epoch, before + epoch + 1);
        run.log({ step: Math.max(run.step, done), epoch: at, [`${mode}/accuracy`]: accuracy });
        await run.checkpointIfDue();
      }
      await Promise.all([train.close(), test.close()]);
    }
    const percent = (i: number) => `${(100 * accuracies[i]).toFixed(2)} %`;
    const rows = modes.map((mode, i) => `| ${mode} | ${epochsOf[mode]} | ${seconds[i].toFixed(1)} | ${percent(i)} |`);
    const table = ["| mode | epochs | seconds | test accuracy |", "|---|---|---|---|", ...rows].join("\n");
    run.output.info(table);
    run.text("transfer", table);
    run.report({
      summary: `${chosen.length} training and ${tested.length} test images of ${data} at ${imageSize} pixels; ${args.model}, weights ${start.name}.`,
      results: modes.map((mode, i) => ({ label: mode, value: percent(i), note: `${seconds[i].toFixed(1)} s` })),
    });
  },
});
