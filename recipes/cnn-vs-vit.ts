import { crossEntropy, jit, manualSeed, type Tensor, valueAndGrad } from "manabi";
import { DataLoader, findDataset, horizontalFlip, normalize, randomCrop, take } from "manabi/data";
import { createModel } from "manabi/models";
import { initialize, type Layer } from "manabi/nn";
import { adamW, cosineAnnealing, noDecay, optimizer, warmup } from "manabi/optim";
import { evaluateClassifier, float, int, recipe, savedNumbers } from "manabi/train";

/** A convolutional network beside a Vision Transformer of as many parameters as the data grow, on CIFAR-10, with the same
 *  number of steps, optimizer and augmentation. The convolutional one knows from the start that neighbouring pixels belong
 *  together and that it does not matter where things are; the transformer has to learn that from data (Dosovitskiy et al.
 *  2020, section 4.3).
 *
 *      manabi train cnn-vs-vit
 *
 *  Measured (seed 1, `--precision medium --threads 1`; test accuracy of the CNN and the ViT after 1,200 steps each): 500
 *  images 42.3 and 30.8 %, 2,500: 60.9 and 47.0 %, 12,500: 63.7 and 47.8 %, 50,000: 63.8 and 48.7 %. No crossover: with so
 *  few steps more data stop helping either, and what the CNN knows from the start is worth 11 to 16 points throughout.
 *  20 minutes of one core of an AMD EPYC (Zen 4). */
export default recipe({
  title: "CNN and ViT as data grow",
  args: {
    seed: int(1, "initialization, order and augmentation", { min: 0 }),
    smallest: int(500, "training images of the first comparison; each further one has five times as many", { min: 10 }),
    sizes: int(4, "how many comparisons", { min: 1, max: 5 }),
    steps: int(1200, "steps of each training", { min: 1 }),
    batchSize: int(64, "images per step", { min: 2 }),
    testLimit: int(0, "use only so many test images; 0 uses all", { min: 0 }),
    lr: float(1e-3, "peak learning rate", { min: 0 }),
    weightDecay: float(0.05, "decoupled, on weights", { min: 0 }),
  },
  smoke: { smallest: 64, sizes: 1, steps: 3, batchSize: 16, testLimit: 64 },
  metric: { name: "vit/accuracy", goal: "max" },
  async run({ seed, smallest, sizes, steps, batchSize, testLimit, lr, weightDecay }, run) {
    const { mean, std, load } = findDataset("cifar10");
    const splits = await load({ onProgress: run.fetching });
    const scale = normalize(mean, std);
    const test = new DataLoader(take(splits.test, testLimit), { batchSize: 500, transforms: [scale] });
    const makers: Record<string, () => Promise<Layer>> = {
      cnn: () => createModel("mnist_resnet", { inChannels: 3, widths: [42, 84, 168] }),
      vit: () => createModel("cifar_vit", { width: 96, heads: 3, mlpWidth: 384, layers: 5 }),
    };
    const trainings = Array.from({ length: sizes }, (_, i) =>
      Object.keys(makers).map((name) => ({ name, count: Math.min(smallest * 5 ** i, splits.train.length) })),
    ).flat();
    const accuracies: number[] = [];
    await run.begin(
      { results: savedNumbers(accuracies) },
      { steps: trainings.length * steps, epochs: trainings.length, itemsPerStep: batchSize, unit: "images" },
    );
    for (const { name, count } of trainings.slice(accuracies.length)) {
      manualSeed(seed);
      const model = initialize(await makers[name](), seed);
      const images = take(splits.train, count);
      const train = new DataLoader(images, {
        ...{ batchSize: Math.min(batchSize, count), seed, shuffle: true, dropLast: true },
        transforms: [randomCrop(32, { padding: 4 }), horizontalFlip(), scale],
      });
      const rate = warmup(cosineAnnealing(lr, steps), { steps: Math.ceil(steps / 10) });
      const opt = optimizer(model, adamW({ lr: rate, weightDecay }), { groups: [noDecay] });
      const step = jit((x: Tensor, y: Tensor) => {
        const [loss, grads] = valueAndGrad(model, (m) => crossEntropy(m.forward(x), y));
        opt.update(grads);
        return loss;
      });
      // A training that was stopped in its middle starts anew; the count of steps does not go back.
      let done = accuracies.length * steps;
      const end = done + steps;
      for (let epoch = 0; done < end; epoch++)
        for await (const [x, y] of train.epoch(epoch)) {
          if (done === end) break;
          done++;
          run.log({ step: Math.max(run.step, done), loss: step(x, y), lr: opt.lr });
          await run.checkpointIfDue();
        }
      const { accuracy } = await evaluateClassifier(model, test, { output: run.output });
      accuracies.push(accuracy);
      run.log({ step: end, epoch: accuracies.length, images: count, [`${name}/accuracy`]: accuracy });
      run.output.info(`${name}, ${count} images, ${model.parameterCount} parameters: ${(100 * accuracy).toFixed(2)} %`);
      await run.checkpointIfDue();
    }
    const percent = (i: number) => `${(100 * accuracies[i]).toFixed(2)} %`;
    const rows = Array.from(
      { length: sizes },
      (_, i) => `| ${trainings[2 * i].count} | ${percent(2 * i)} | ${percent(2 * i + 1)} |`,
    );
    const table = ["| images | CNN | ViT |", "|---|---|---|", ...rows].join("\n");
    run.output.info(table);
    run.text("cnn-vs-vit", table);
    run.report({
      results: trainings.map(({ name, count }, i) => ({ label: `${name}, ${count} images`, value: percent(i) })),
    });
  },
});
