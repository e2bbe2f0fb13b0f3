import { autocast, crossEntropy, type Jitted, jit, ManabiError, manualSeed, type Tensor, valueAndGrad } from "manabi";
import { DataLoader, type Dataset, knownDatasets, openSplits, randomErasing, resize } from "manabi/data";
import { createModel, findModel, modelNames } from "manabi/models";
import { headOf, initialize } from "manabi/nn";
import {
  adamW,
  constant,
  cosineAnnealing,
  gradScaler,
  layerwiseDecay,
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
  type Evaluation,
  evaluateClassifier,
  extractFeatures,
  findStart,
  flag,
  float,
  imageInput,
  inputAt,
  int,
  recipe,
  scalingOf,
  splitHead,
  startModel,
  type TransferMode,
  text,
  trainedParts,
} from "manabi/train";
import { augmentations, balance, type Frame, mixes, photos, smallSide } from "./classify/images.ts";

const schedules: Record<"onecycle" | "cosine" | "step" | "constant", (lr: number, steps: number) => Schedule> = {
  onecycle: (lr, steps) => oneCycle(lr, steps),
  cosine: (lr, steps) => cosineAnnealing(lr, steps),
  step: (lr, steps) => stepLR(lr, { stepSize: Math.ceil(steps / 3) }),
  constant: (lr) => constant(lr),
};

type Step = Jitted<[x: Tensor, y: Tensor], Tensor>;

/** What is trained where it is not said. */
const modeOf = (weights: string | null, mode: "auto" | TransferMode): TransferMode => {
  if (mode === "auto") return weights === null ? "scratch" : "finetune";
  if (mode !== "scratch" && weights === null)
    throw new ManabiError(`--mode ${mode} starts from weights; give some with --weights, such as imagenet or a file`);
  return mode;
};

/** Peak learning rates: of sgd per 256 images, of adamw per step. What is learned already moves slowly. */
const rates: Record<TransferMode, { readonly sgd: number; readonly adamw: number }> = {
  scratch: { sgd: 0.1, adamw: 1e-3 },
  features: { sgd: 0.1, adamw: 1e-3 },
  finetune: { sgd: 0.01, adamw: 1e-4 },
};

/** Names in a list with commas. */
const listed = (text: string | null): string[] =>
  text
    ?.split(",")
    .map((name) => name.trim())
    .filter(Boolean) ?? [];

/** Any image classifier on a folder of pictures (`<class>/<name>.jpg`) or a known data set, from scratch or from weights.
 *
 *      manabi train --data photos --model resnet18
 *      manabi train --data cifar10 --model resnet18 --epochs 30
 *      manabi train --data photos --model resnet50 --weights imagenet
 *      manabi train --data photos --model resnet50 --weights imagenet --mode features
 */
export default recipe({
  title: "Image classification",
  args: {
    data: text(null, "a folder with a folder of pictures per class, or mnist, fashion-mnist, cifar10, quickdraw"),
    model: choice(modelNames(), "see manabi models", "resnet18"),
    weights: text(null, "start from these: a published name, imagenet (the first known ones), or a file"),
    mode: choice(
      ["auto", "finetune", "features", "scratch"],
      "train all of the model, its head alone, or from nothing; auto: finetune where there are weights",
    ),
    freeze: text(null, "parts that finetune leaves as they are, such as conv1,bn1,layer1"),
    unfreeze: int(0, "finetune the head first, and one more stage after so many epochs; 0: all at once", { min: 0 }),
    layerDecay: float(0.8, "finetune: rate of each stage as a share of that of the stage behind it", {
      min: 0.01,
      max: 1,
    }),
    imageSize: int(0, "side of the images in pixels; 0: that of the weights, else of a known set, else 128", {
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
    augment: choice(
      ["auto", "light", "none", "strong"],
      "random changes to training images; auto: light, but for features",
    ),
    mix: choice(["none", "mixup", "cutmix", "both"], "blend training images with each other"),
    erase: float(0, "probability that a rectangle of a training image is painted over", { min: 0, max: 1 }),
    optimizer: choice(["sgd", "adamw"], "with momentum 0.9, or adaptive steps"),
    schedule: choice(["onecycle", "cosine", "step", "constant"], "course of the learning rate"),
    lr: float(0, "peak learning rate; 0 takes 0.1 per 256 images for sgd, 0.001 for adamw, a tenth of it to finetune", {
      min: 0,
    }),
    weightDecay: float(5e-4, "on weights, not on biases and norms", { min: 0 }),
    clipNorm: float(0, "largest norm of the gradient; 0 does not limit it", { min: 0 }),
    labelSmoothing: float(0.1, "part of the target spread over all classes", { min: 0, max: 1 }),
    autocast: choice(["none", "bf16", "f16"], "16-bit dtype of products; weights and their updates stay f32"),
    balance: flag(false, "let every class count the same, whatever its number of images"),
  },
  smoke: { epochs: 1, imageSize: 32, batchSize: 8 },
  metric: { name: "test/accuracy", goal: "max" },

  async check({ data, testFraction, model, weights, ...args }) {
    if (data === null)
      throw new ManabiError("say what to learn from, with --data <folder> or --data <known data set>; see manabi data");
    const mode = modeOf(weights, args.mode);
    if (mode !== "finetune" && (args.freeze !== null || args.unfreeze > 0))
      throw new ManabiError(`--freeze and --unfreeze are for --mode finetune; this is ${mode}`);
    if (weights !== null) await findStart(model, weights);
    if (mode === "finetune") trainedParts(await createModel(model), { mode, freeze: listed(args.freeze) }, 0);
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
    const { classes } = splits;
    const mode = modeOf(args.weights, args.mode);
    const fetching = { onProgress: run.fetching };
    const start = args.weights === null ? null : await findStart(args.model, args.weights, fetching);
    const [ownHeight, ownWidth, pictureChannels] = imageShape ?? [128, 128, 3];
    const startChannels = Number(start?.options.inChannels ?? pictureChannels);
    const scaling = !start && known ? known : startChannels === 3 ? photos : { mean: [0.5], std: [0.5] };
    // The images of a file's ViT have the size that its positions have been trained for.
    const [startSize, { variant }] = [Number(start?.options.imageSize ?? 0), findModel(args.model)];
    const asked = args.imageSize || startSize;
    const size = [asked || ownHeight, asked || ownWidth, startChannels] as const;
    const ownInput = imageInput(size, scaling.mean, scaling.std);
    const input = inputAt(start?.input ?? ownInput, start?.input ? args.imageSize : 0, pictureChannels);
    const { height, width, channels } = input;
    const fits = !start && imageShape !== null && height === ownHeight && width === ownWidth;
    const frame: Frame = { height, width, channels, fit: fits ? [] : [resize([height, width])] };
    const scale = scalingOf(input);
    const colour = input.transforms.filter(({ op }) => op === "grayscale");
    const augment = args.augment === "auto" ? (mode === "features" ? "none" : "light") : args.augment;
    const erased = args.erase > 0 ? [randomErasing({ p: args.erase })] : [];
    /** Images that are always the same have features that are always the same. */
    const cached = mode === "features" && augment === "none" && args.mix === "none" && args.erase === 0;
    const onSkip = ({ reason }: { reason: string }) => run.output.warn(`skipped ${reason}`);
    const order = { batchSize: Math.min(args.batchSize, splits.train.length), seed, shuffle: true, dropLast: true };
    const plain = { batchSize: args.batchSize, transforms: fits ? [scale] : input.transforms, onSkip };
    const test = new DataLoader(splits.test, plain);

    const forSize = Math.max(height, width) < smallSide ? variant.small : {};
    const options = {
      ...(start?.options ?? { inChannels: channels, ...forSize }),
      ...(variant.fixedSize ? { imageSize: height } : {}),
      numClasses: classes.length,
    };
    const card: ClassifierCard = {
      model: { name: args.model, options },
      classes,
      input,
      data: { name, testFraction, seed },
    };
    manualSeed(seed);
    const model = start
      ? await startModel(args.model, start, classes, {
          ...{ seed, drawn: mode === "scratch", model: options, ...fetching },
          onNotice: (text) => run.output.warn(text),
        })
      : initialize(await createModel(args.model, options), seed);

    // What is trained, and on what: the whole model on images, or its head on features that are computed once.
    const { trunk, head } = cached ? splitHead(model, headOf(model)) : { trunk: null, head: model };
    const features = async (images: Dataset): Promise<Dataset> => {
      if (!trunk) return images;
      const loader = new DataLoader(images, plain);
      return extractFeatures(trunk, loader, { output: run.output }).finally(() => loader.close());
    };
    const train = new DataLoader(await features(splits.train), {
      ...order,
      ...(trunk
        ? {}
        : {
            transforms: [...colour, ...augmentations[augment](frame), scale, ...erased],
            batchTransforms: mixes[args.mix],
          }),
      onSkip,
    });
    const judged = trunk ? new DataLoader(await features(splits.test), { batchSize: args.batchSize }) : test;

    const steps = epochs * train.length;
    const adaptive = args.optimizer === "adamw";
    const rate = args.lr || (adaptive ? rates[mode].adamw : (rates[mode].sgd * train.batchSize) / 256);
    const lr = schedules[args.schedule](rate, steps);
    const { weightDecay } = args;
    const rule = adaptive ? adamW({ lr, weightDecay }) : sgd({ lr, momentum: 0.9, nesterov: true, weightDecay });
    const scaler = precision === "f16" ? gradScaler() : undefined;
    const parts = { mode, freeze: listed(args.freeze), unfreezeEvery: args.unfreeze };
    const groups =
      mode === "finetune"
        ? layerwiseDecay(model, args.layerDecay, { unfreezeEvery: args.unfreeze * train.length })
        : [noDecay];
    // Of all that will be trained: parts that wait for their turn are in its groups.
    const trained = trainedParts(model, { ...parts, unfreezeEvery: 0 }, 0);
    const opt = optimizer(trained, rule, { groups, clipNorm: args.clipNorm || undefined, scaler });
    const weight = args.balance ? balance(splits.train) : null;
    /** The training step of an epoch, compiled anew where other parts are trained than before. */
    const stepOf = (epoch: number): Step => {
      const now = trainedParts(model, parts, epoch);
      return jit((x: Tensor, y: Tensor) => {
        const [[, loss], grads] = valueAndGrad(now, () => {
          const loss = autocast(precision, () => crossEntropy(head.forward(x), y, { labelSmoothing, weight }));
          return [opt.scaled(loss), loss];
        });
        opt.update(grads);
        return loss;
      });
    };

    await run.begin(
      { model, optimizer: opt, data: train },
      { steps, epochs, itemsPerStep: train.batchSize, unit: "images", notes: cardNotes(card) },
    );
    const report = async (scores: Evaluation) => run.report(await classifierReport(card, model, scores));
    const evaluate = async () => {
      const scores = await evaluateClassifier(head, judged, { output: run.output });
      if (!trunk) await report(scores);
      return scores;
    };
    // A run that was stopped after its last epoch has only the report to write.
    if (run.epoch === epochs) await evaluate();
    let step = stepOf(run.epoch);
    while (run.epoch < epochs) {
      if (args.unfreeze && run.epoch % args.unfreeze === 0) step = stepOf(run.epoch);
      for await (const [x, y] of train.epoch(run.epoch)) {
        if (run.step === 0 && !trunk) await run.sample("training images", await batchSheet(x, input.transforms));
        run.log({ step: run.step + 1, loss: step(x, y), lr: opt.lr });
        await run.checkpointIfDue();
      }
      const { loss, accuracy, top5 } = await evaluate();
      const scores = { "test/loss": loss, "test/accuracy": accuracy };
      run.log({ epoch: run.epoch + 1, ...scores, ...(top5 === null ? {} : { "test/top5": top5 }) });
      await run.checkpointIfDue();
    }
    if (trunk) await report(await evaluateClassifier(model, test, { output: run.output }));
    await Promise.all([train.close(), test.close()]);
  },
});
