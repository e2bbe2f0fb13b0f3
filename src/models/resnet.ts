import { unknownName } from "../core/errors.ts";
import { globalAvgPool, ManabiError, maxPool2d, relu, type Tensor } from "../index.ts";
import { BatchNorm2d, type Conv2d, init, type Layer, Linear, Module, param, Sequential } from "../nn/index.ts";
import { conv } from "./blocks.ts";

/** What stands before the first stage. */
const stems = {
  imagenet: { kernel: 7, stride: 2, pool: true },
  cifar: { kernel: 3, stride: 1, pool: false },
  strided: { kernel: 3, stride: 2, pool: false },
};

export interface ResNetConfig {
  /** Two 3x3 convolutions, or 1x1, 3x3, 1x1 with a fourth of the width inside. */
  readonly block: "basic" | "bottleneck";
  /** Blocks of each of the three or four stages. */
  readonly layers: readonly number[];
  /** Width of each stage; a bottleneck puts out four times as many channels. */
  readonly widths: readonly number[];
  /** Factor of the channels inside of a bottleneck (Zagoruyko and Komodakis 2016). */
  readonly wide: number;
  readonly stem: keyof typeof stems;
  /** Where a bottleneck that shrinks has its stride: in the 3x3 convolution (torchvision and most others, "v1.5"), or in
   *  the first 1x1 one (the paper, Caffe, Keras). */
  readonly strideIn: "3x3" | "1x1";
  /** Where the shape changes: a 1x1 convolution (option B), or subsampling and zero channels (option A). */
  readonly shortcut: "projection" | "pad";
  readonly inChannels: number;
  /** 0 leaves the classifier out: the model returns the mean of the last feature maps. */
  readonly numClasses: number;
  /** Starts each block as the identity: the factor of its last normalization is 0 (Goyal et al. 2017). */
  readonly zeroInitResidual: boolean;
  /** Added to the variances that are normalized by. */
  readonly normEps: number;
}

const imagenet = { widths: [64, 128, 256, 512], stem: "imagenet", shortcut: "projection" } as const;
const cifar = { block: "basic", widths: [16, 32, 64], stem: "cifar", shortcut: "pad", numClasses: 10 } as const;

/** Values of the options that a variant leaves open. */
export const defaults: ResNetConfig = {
  ...imagenet,
  block: "basic",
  layers: [2, 2, 2, 2],
  wide: 1,
  inChannels: 3,
  numClasses: 1000,
  zeroInitResidual: false,
  strideIn: "3x3",
  normEps: 1e-5,
};

export const variants = {
  resnet18: { ...imagenet, block: "basic", layers: [2, 2, 2, 2] },
  resnet34: { ...imagenet, block: "basic", layers: [3, 4, 6, 3] },
  resnet50: { ...imagenet, block: "bottleneck", layers: [3, 4, 6, 3] },
  resnet101: { ...imagenet, block: "bottleneck", layers: [3, 4, 23, 3] },
  resnet152: { ...imagenet, block: "bottleneck", layers: [3, 8, 36, 3] },
  wide_resnet50_2: { ...imagenet, block: "bottleneck", layers: [3, 4, 6, 3], wide: 2 },
  wide_resnet101_2: { ...imagenet, block: "bottleneck", layers: [3, 4, 23, 3], wide: 2 },
  cifar_resnet20: { ...cifar, layers: [3, 3, 3] },
  cifar_resnet32: { ...cifar, layers: [5, 5, 5] },
  cifar_resnet44: { ...cifar, layers: [7, 7, 7] },
  cifar_resnet56: { ...cifar, layers: [9, 9, 9] },
  cifar_resnet110: { ...cifar, layers: [18, 18, 18] },
  mnist_resnet: { ...cifar, stem: "strided", shortcut: "projection", layers: [1, 1, 1], inChannels: 1 },
} as const satisfies Record<string, Partial<ResNetConfig>>;

function norm(channels: number, eps: number, zero = false): BatchNorm2d {
  const layer = new BatchNorm2d(channels, { eps });
  if (zero) layer.weight = param([channels], init.zeros);
  return layer;
}

interface BlockOptions extends Pick<ResNetConfig, "wide" | "shortcut" | "strideIn" | "zeroInitResidual" | "normEps"> {
  readonly inChannels: number;
  readonly width: number;
  readonly stride: number;
}

/** The 1x1 convolution of a shortcut, where it needs one. */
function projection({ inChannels, stride, shortcut, normEps }: BlockOptions, outChannels: number): Sequential | null {
  if (shortcut === "pad" || (stride === 1 && inChannels === outChannels)) return null;
  return new Sequential(conv(inChannels, outChannels, 1, { stride }), norm(outChannels, normEps));
}

/** `x` in the shape of `y`: every stride-th pixel, zero channels before and after. */
function padded(x: Tensor, y: Tensor, stride: number): Tensor {
  const [, channels, height, width] = x.shape;
  const seen = stride === 1 ? x : x.slice(2, 0, height, stride).slice(3, 0, width, stride);
  const added = y.shape[1] - channels;
  const none = [0, 0] as const;
  return added === 0 ? seen : seen.pad([none, [added >> 1, added - (added >> 1)], none, none]);
}

class BasicBlock extends Module {
  conv1: Conv2d;
  bn1: BatchNorm2d;
  conv2: Conv2d;
  bn2: BatchNorm2d;
  downsample: Sequential | null;
  readonly stride: number;
  static readonly expansion = 1;

  constructor(options: BlockOptions) {
    super();
    const { inChannels, width, stride, zeroInitResidual, normEps } = options;
    this.conv1 = conv(inChannels, width, 3, { stride });
    this.bn1 = norm(width, normEps);
    this.conv2 = conv(width, width, 3);
    this.bn2 = norm(width, normEps, zeroInitResidual);
    this.downsample = projection(options, width);
    this.stride = stride;
  }

  forward(x: Tensor): Tensor {
    const y = relu(this.bn1.forward(this.conv1.forward(x)));
    const z = this.bn2.forward(this.conv2.forward(y));
    return relu(z.add(this.downsample?.forward(x) ?? padded(x, z, this.stride)));
  }
}

class Bottleneck extends Module {
  conv1: Conv2d;
  bn1: BatchNorm2d;
  conv2: Conv2d;
  bn2: BatchNorm2d;
  conv3: Conv2d;
  bn3: BatchNorm2d;
  downsample: Sequential | null;
  readonly stride: number;
  static readonly expansion = 4;

  constructor(options: BlockOptions) {
    super();
    const { inChannels, width, wide, stride, strideIn, zeroInitResidual, normEps } = options;
    const [inner, outChannels] = [width * wide, width * Bottleneck.expansion];
    const [first, second] = strideIn === "1x1" ? [stride, 1] : [1, stride];
    this.conv1 = conv(inChannels, inner, 1, { stride: first });
    this.bn1 = norm(inner, normEps);
    this.conv2 = conv(inner, inner, 3, { stride: second });
    this.bn2 = norm(inner, normEps);
    this.conv3 = conv(inner, outChannels, 1);
    this.bn3 = norm(outChannels, normEps, zeroInitResidual);
    this.downsample = projection(options, outChannels);
    this.stride = stride;
  }

  forward(x: Tensor): Tensor {
    const y = relu(this.bn1.forward(this.conv1.forward(x)));
    const z = relu(this.bn2.forward(this.conv2.forward(y)));
    const out = this.bn3.forward(this.conv3.forward(z));
    return relu(out.add(this.downsample?.forward(x) ?? padded(x, out, this.stride)));
  }
}

const shortcuts: readonly ResNetConfig["shortcut"][] = ["projection", "pad"];
const strides: readonly ResNetConfig["strideIn"][] = ["3x3", "1x1"];
const blocks = { basic: BasicBlock, bottleneck: Bottleneck };

function checkConfig(config: ResNetConfig): void {
  const { block, stem, shortcut, strideIn, layers, widths, inChannels, numClasses, normEps } = config;
  if (!Object.hasOwn(blocks, block)) throw unknownName("ResNet block", block, Object.keys(blocks));
  if (!Object.hasOwn(stems, stem)) throw unknownName("ResNet stem", stem, Object.keys(stems));
  if (!shortcuts.includes(shortcut)) throw unknownName("ResNet shortcut", shortcut, shortcuts);
  if (!strides.includes(strideIn)) throw unknownName("ResNet strideIn", strideIn, strides);
  if (!(normEps > 0)) throw new ManabiError(`ResNet: normEps is ${normEps}; it must be positive`);
  if (layers.length < 3 || layers.length > 4 || widths.length < layers.length)
    throw new ManabiError(
      `ResNet: layers [${layers}] and widths [${widths}]: there are 3 or 4 stages, with a number of blocks and a width each`,
    );
  for (const n of [...layers, ...widths, inChannels])
    if (!Number.isInteger(n) || n < 1)
      throw new ManabiError(`ResNet: layers, widths and inChannels are integers >= 1, got ${n}`);
  if (!Number.isInteger(numClasses) || numClasses < 0)
    throw new ManabiError(`ResNet: numClasses is an integer >= 1, or 0 for no classifier, got ${numClasses}`);
}

/** Deep residual learning (He et al. 2015), with torchvision's keys: images [n, c, h, w] -> logits [n, classes]. */
export class ResNet extends Module {
  conv1: Conv2d;
  bn1: BatchNorm2d;
  layer1: Layer;
  layer2: Layer;
  layer3: Layer;
  layer4: Layer | null;
  fc: Linear | null;
  readonly config: ResNetConfig;

  constructor(options: Partial<ResNetConfig> = {}) {
    super();
    this.config = { ...defaults, ...options };
    checkConfig(this.config);
    const { block, layers, widths, stem, inChannels, numClasses, normEps } = this.config;
    const { kernel, stride } = stems[stem];
    const { expansion } = blocks[block];
    this.conv1 = conv(inChannels, widths[0], kernel, { stride });
    this.bn1 = norm(widths[0], normEps);
    const stage = (i: number) => this.#stage(i === 0 ? widths[0] : widths[i - 1] * expansion, i);
    this.layer1 = stage(0);
    this.layer2 = stage(1);
    this.layer3 = stage(2);
    this.layer4 = layers.length > 3 ? stage(3) : null;
    this.fc = numClasses ? new Linear(widths[layers.length - 1] * expansion, numClasses) : null;
  }

  #stage(inChannels: number, i: number): Sequential {
    const { block, layers, widths } = this.config;
    const Block = blocks[block];
    const width = widths[i];
    const make = (_: unknown, j: number) =>
      new Block({
        ...this.config,
        inChannels: j === 0 ? inChannels : width * Block.expansion,
        width,
        stride: j === 0 && i > 0 ? 2 : 1,
      });
    return new Sequential(...Array.from({ length: layers[i] }, make));
  }

  /** Feature maps of the last stage, [n, c, h, w]. */
  features(x: Tensor): Tensor {
    let y = relu(this.bn1.forward(this.conv1.forward(x)));
    if (stems[this.config.stem].pool) y = maxPool2d(y, 3, { stride: 2, padding: 1 });
    y = this.layer3.forward(this.layer2.forward(this.layer1.forward(y)));
    return this.layer4 ? this.layer4.forward(y) : y;
  }

  forward(x: Tensor): Tensor {
    const means = globalAvgPool(this.features(x));
    return this.fc?.forward(means) ?? means;
  }
}

export const create = (config: Partial<ResNetConfig>): ResNet => new ResNet(config);
