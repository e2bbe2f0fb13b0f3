import { autocast, crossEntropy, jit, ManabiError, manualSeed, type Tensor, tensor, valueAndGrad } from "manabi";
import {
  type BatchTransform,
  cutmix,
  DataLoader,
  type Dataset,
  horizontalFlip,
  knownDatasets,
  mixup,
  normalize,
  oneOf,
  openSplits,
  randAugment,
  randomCrop,
  randomErasing,
  randomResizedCrop,
  resize,
  type Transform,
} from "manabi/data";
import { createModel, findModel, modelNames } from "manabi/models";
import { initialize } from "manabi/nn";
import {
  adamW,
  constant,
  cosineAnnealing,
  gradScaler,
  noDecay,
  oneCycle,
  optimizer,
  type Schedule,
  sgd,
  stepLR,
} from "manabi/optim";
import {
  batchSheet,
  type ClassifierCard,
  cardNotes,
  choice,
  classifierReport,
  evaluateClassifier,
  flag,
  float,
  imageInput,
  int,
  recipe,
  text,
} from "manabi/train";

/** The images that the model takes. */
interface Frame {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** Brings images to this size; nothing where they have it. */
  readonly fit: readonly Transform[];
}

/** Mean and deviation of the pixels of ordinary photos (of ImageNet). */
const photos = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
/** Pictures with sides below this are small: shifted by a few pixels, not cut, and seen by a model without early strides. */
const smallSide = 64;

/** What is done at random to training images, before they are scaled. */
const augmentations: Record<"none" | "light" | "strong", (frame: Frame) => Transform[]> = {
  none: ({ fit }) => [...fit],
  light: (frame) => [...placed(frame, 0.35), ...mirrored(frame)],
  strong: (frame) => [...placed(frame, 0.08), ...mirrored(frame), randAugment()],
};

/** A window at a random place: small pictures shifted by an eighth of their side, others cut from `least` of the area. */
const placed = ({ height, width, fit }: Frame, least: number): Transform[] =>
  Math.max(height, width) < smallSide
    ? [...fit, randomCrop([height, width], { padding: Math.round(Math.min(height, width) / 8) })]
    : [randomResizedCrop([height, width], { scale: [least, 1] })];

/** Photos mean the same in a mirror; drawn characters do not. */
const mirrored = ({ channels }: Frame): Transform[] => (channels === 3 ? [horizontalFlip()] : []);

const mixes: Record<"none" | "mixup" | "cutmix" | "both", readonly BatchTransform[]> = {
  none: [],
  mixup: [mixup(0.2)],
  cutmix: [cutmix()],
  both: [oneOf(mixup(0.2), cutmix())],
};

const schedules: Record<"onecycle" | "cosine" | "step" | "constant", (lr: number, steps: number) => Schedule> = {
  onecycle: (lr, steps) => oneCycle(lr, steps),
  cosine: (lr, steps) => cosineAnnealing(lr, steps),
  step: (lr, steps) => stepLR(lr, { stepSize: Math.ceil(steps / 3) }),
  constant: (lr) => constant(lr),
};

/** Weights that make every class count the same in the loss, with mean 1 over the images. */
function balance({ labels, classes, length }: Dataset): Tensor {
  const counts = new Float32Array(classes.length);
  for (const label of labels ?? []) counts[label]++;
  return tensor(counts.map((count) => (count ? length / (classes.length * count) : 0)));
}

/** Any image classifier on a folder of pictures (`<class>/<name>.jpg`) or a known data set.
 *
 *      manabi train --data photos --model resnet18
 *      manabi train --data cifar10 --model resnet18 --epochs 30
 */
export default recipe({
  title: "Image classification",
  args: {
    data: text(null, "a folder with a folder of pictures per class, or mnist, fashion-mnist, cifar10, quickdraw"),
    model: choice(modelNames(), "see manabi models", "resnet18"),
    imageSize: int(0, "side of the images in pixels; 0 takes a known set as it is, and a folder at 128", {
      min: 0,
      max: 1024,
    }),
    testFraction: float(0.2, "share of a folder that is held back for testing, where it has no test part", {
      min: 0.01,
      max: 0.9,
    }),
    onError: choice(["skip", "throw"], "what to do with an image that does not decode"),
    seed: int(1, "split, initialization, order and augmentation", { min: 0 }),
    epochs: int(10, "passes over the training images", { min: 1 }),
    batchSize: int(32, "images per step", { min: 2 }),
    augment: choice(["light", "none", "strong"], "random changes to training images"),
    mix: choice(["none", "mixup", "cutmix", "both"], "blend training images with each other"),
    erase: float(0, "probability that a rectangle of a training image is painted over", { min: 0, max: 1 }),
    optimizer: choice(["sgd", "adamw"], "with momentum 0.9, or adaptive steps"),
    schedule: choice(["onecycle", "cosine", "step", "constant"], "course of the learning rate"),
    lr: float(0, "peak learning rate; 0 takes 0.1 per 256 images for sgd, 0.001 for adamw", { min: 0 }),
    weightDecay: float(5e-4, "on weights, not on biases and norms", { min: 0 }),
    clipNorm: float(0, "largest norm of the gradient; 0 does not limit it", { min: 0 }),
    labelSmoothing: float(0.1, "part of the target spread over all classes", { min: 0, max: 1 }),
    autocast: choice(["none", "bf16", "f16"], "16-bit dtype of products; weights and their updates stay f32"),
    balance: flag(false, "let every class count the same, whatever its number of images"),
  },
  smoke: { epochs: 1, imageSize: 32, batchSize: 8 },
  metric: { name: "test/accuracy", goal: "max" },

  async check({ data, testFraction }) {
    if (data === null)
      throw new ManabiError("say what to learn from, with --data <folder> or --data <known data set>; see manabi data");
    if (!knownDatasets.some(({ name }) => name === data)) await openSplits(data, { testFraction });
  },

  async run(args, run) {
    const { seed, epochs, testFraction, labelSmoothing, autocast: precision } = args;
    const { name, known, imageShape, ...splits } = await openSplits(args.data ?? "", {
      testFraction,
      seed,
      onError: args.onError,
      onProgress: run.fetching,
    });
    const [ownHeight, ownWidth, channels] = imageShape ?? [128, 128, 3];
    const { mean, std } = known ?? (channels === 3 ? photos : { mean: [0.5], std: [0.5] });
    const [height, width] = [args.imageSize || ownHeight, args.imageSize || ownWidth];
    const input = imageInput([height, width, channels], mean, std);
    const fits = imageShape !== null && height === ownHeight && width === ownWidth;
    const frame: Frame = { height, width, channels, fit: fits ? [] : [resize([height, width])] };
    const scale = normalize(mean, std);
    const erased = args.erase > 0 ? [randomErasing({ p: args.erase })] : [];
    const onSkip = ({ reason }: { reason: string }) => run.output.warn(`skipped ${reason}`);
    const train = new DataLoader(splits.train, {
      batchSize: Math.min(args.batchSize, splits.train.length),
      seed,
      shuffle: true,
      dropLast: true,
      transforms: [...augmentations[args.augment](frame), scale, ...erased],
      batchTransforms: mixes[args.mix],
      onSkip,
    });
    const test = new DataLoader(splits.test, {
      batchSize: args.batchSize,
      transforms: fits ? [scale] : input.transforms,
      onSkip,
    });

    const { small = {} } = findModel(args.model).variant;
    const forSize = Math.max(height, width) < smallSide ? small : {};
    const options = { numClasses: splits.classes.length, inChannels: channels, ...forSize };
    const card: ClassifierCard = {
      model: { name: args.model, options },
      classes: splits.classes,
      input,
      data: { name, testFraction, seed },
    };
    manualSeed(seed);
    const model = initialize(await createModel(args.model, options), seed);
    const steps = epochs * train.length;
    const adaptive = args.optimizer === "adamw";
    const lr = schedules[args.schedule](args.lr || (adaptive ? 1e-3 : (0.1 * train.batchSize) / 256), steps);
    const { weightDecay } = args;
    const rule = adaptive ? adamW({ lr, weightDecay }) : sgd({ lr, momentum: 0.9, nesterov: true, weightDecay });
    const scaler = precision === "f16" ? gradScaler() : undefined;
    const opt = optimizer(model, rule, { groups: [noDecay], clipNorm: args.clipNorm || undefined, scaler });
    const weight = args.balance ? balance(splits.train) : null;
    const step = jit((x: Tensor, y: Tensor) => {
      const [[, loss], grads] = valueAndGrad(model, (m) => {
        const loss = autocast(precision, () => crossEntropy(m.forward(x), y, { labelSmoothing, weight }));
        return [opt.scaled(loss), loss];
      });
      opt.update(grads);
      return loss;
    });

    await run.begin(
      { model, optimizer: opt, data: train },
      { steps, epochs, itemsPerStep: train.batchSize, unit: "images", notes: cardNotes(card) },
    );
    const evaluate = async () => {
      const scores = await evaluateClassifier(model, test, { output: run.output });
      run.report(await classifierReport(card, model, scores));
      return scores;
    };
    // A run that was stopped after its last epoch has only the report to write.
    if (run.epoch === epochs) await evaluate();
    while (run.epoch < epochs) {
      for await (const [x, y] of train.epoch(run.epoch)) {
        if (run.step === 0) await run.sample("training images", await batchSheet(x, input.transforms));
        run.log({ step: run.step + 1, loss: step(x, y), lr: opt.lr });
        await run.checkpointIfDue();
      }
      const { loss, accuracy, top5 } = await evaluate();
      const scores = { "test/loss": loss, "test/accuracy": accuracy };
      run.log({ epoch: run.epoch + 1, ...scores, ...(top5 === null ? {} : { "test/top5": top5 }) });
      await run.checkpointIfDue();
    }
    await Promise.all([train.close(), test.close()]);
  },
});
