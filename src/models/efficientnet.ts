import { globalAvgPool, sigmoid, silu, type Tensor } from "../index.ts";
import {
  type ChannelNormOptions,
  type Conv2d,
  Dropout,
  DropPath,
  init,
  type Layer,
  Linear,
  Module,
  param,
  Sequential,
  SiLU,
} from "../nn/index.ts";
import { checkPadding, conv, convNorm, type Padding, roundChannels } from "./blocks.ts";

export interface EfficientNetConfig {
  /** Factor on the channels. */
  readonly width: number;
  /** Factor on the number of blocks of each stage. */
  readonly depth: number;
  readonly dropout: number;
  /** Probability of dropping the last block; it rises linearly from 0 (Huang et al. 2016). */
  readonly stochasticDepth: number;
  readonly normEps: number;
  readonly normMomentum: number;
  /** "same" for weights that come from TensorFlow. */
  readonly padding: Padding;
  readonly inChannels: number;
  readonly numClasses: number;
}

/** Values of the options that a variant leaves open. */
export const defaults: EfficientNetConfig = {
  width: 1,
  depth: 1,
  dropout: 0.2,
  stochasticDepth: 0.2,
  normEps: 1e-5,
  normMomentum: 0.1,
  padding: "symmetric",
  inChannels: 3,
  numClasses: 1000,
};

/** torchvision normalizes its three largest as the original does. */
const original = { normEps: 1e-3, normMomentum: 0.01 } as const;
/** The original network, whose weights timm has under these names. */
const tf = { ...original, padding: "same" } as const;

/** The published factors, which are rounded from those of compound-scaling.ts; inputs are in the manifest. */
export const variants = {
  efficientnet_b0: {},
  efficientnet_b1: { depth: 1.1 },
  efficientnet_b2: { width: 1.1, depth: 1.2, dropout: 0.3 },
  efficientnet_b3: { width: 1.2, depth: 1.4, dropout: 0.3 },
  efficientnet_b4: { width: 1.4, depth: 1.8, dropout: 0.4 },
  efficientnet_b5: { width: 1.6, depth: 2.2, dropout: 0.4, ...original },
  efficientnet_b6: { width: 1.8, depth: 2.6, dropout: 0.5, ...original },
  efficientnet_b7: { width: 2, depth: 3.1, dropout: 0.5, ...original },
  tf_efficientnet_b0: tf,
  tf_efficientnet_b1: { depth: 1.1, ...tf },
  tf_efficientnet_b2: { width: 1.1, depth: 1.2, dropout: 0.3, ...tf },
  tf_efficientnet_b3: { width: 1.2, depth: 1.4, dropout: 0.3, ...tf },
  tf_efficientnet_b4: { width: 1.4, depth: 1.8, dropout: 0.4, ...tf },
  tf_efficientnet_b5: { width: 1.6, depth: 2.2, dropout: 0.4, ...tf },
  tf_efficientnet_b6: { width: 1.8, depth: 2.6, dropout: 0.5, ...tf },
  tf_efficientnet_b7: { width: 2, depth: 3.1, dropout: 0.5, ...tf },
} as const satisfies Record<string, Partial<EfficientNetConfig>>;

/** Table 1 of the paper. */
const stages = [
  { expand: 1, kernel: 3, stride: 1, channels: 16, blocks: 1 },
  { expand: 6, kernel: 3, stride: 2, channels: 24, blocks: 2 },
  { expand: 6, kernel: 5, stride: 2, channels: 40, blocks: 2 },
  { expand: 6, kernel: 3, stride: 2, channels: 80, blocks: 3 },
  { expand: 6, kernel: 5, stride: 1, channels: 112, blocks: 3 },
  { expand: 6, kernel: 5, stride: 2, channels: 192, blocks: 4 },
  { expand: 6, kernel: 3, stride: 1, channels: 320, blocks: 1 },
] as const;

/** Scales each channel by a gate in (0, 1) that depends on the means of all of them (Hu et al. 2018). */
export class SqueezeExcitation extends Module {
  readonly fc1: Conv2d;
  readonly fc2: Conv2d;

  constructor(channels: number, squeezed: number) {
    super();
    this.fc1 = conv(channels, squeezed, 1, { bias: true });
    this.fc2 = conv(squeezed, channels, 1, { bias: true });
  }

  forward(x: Tensor): Tensor {
    const means = globalAvgPool(x).reshape([x.shape[0], x.shape[1], 1, 1]);
    return x.mul(sigmoid(this.fc2.forward(silu(this.fc1.forward(means)))));
  }
}

interface BlockOptions {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernel: number;
  readonly stride: number;
  readonly expand: number;
  readonly dropPath: number;
  readonly norm: ChannelNormOptions;
  readonly padding: Padding;
}

/** Expansion, depthwise convolution, squeeze and excitation, projection; a shortcut where the shape stays. */
class MBConv extends Module {
  readonly block: Sequential;
  readonly stochastic_depth: DropPath;
  readonly hasShortcut: boolean;

  constructor({ inChannels, outChannels, kernel, stride, expand, dropPath, norm, padding }: BlockOptions) {
    super();
    const inner = roundChannels(inChannels * expand);
    const activation = new SiLU();
    this.block = new Sequential(
      ...(inner === inChannels ? [] : [convNorm(inChannels, inner, 1, { norm, activation })]),
      convNorm(inner, inner, kernel, { stride, groups: inner, norm, activation, padding }),
      new SqueezeExcitation(inner, Math.max(1, Math.floor(inChannels / 4))),
      convNorm(inner, outChannels, 1, { norm }),
    );
    this.stochastic_depth = new DropPath(dropPath);
    this.hasShortcut = stride === 1 && inChannels === outChannels;
  }

  forward(x: Tensor): Tensor {
    const y = this.block.forward(x);
    return this.hasShortcut ? this.stochastic_depth.forward(y).add(x) : y;
  }
}

/** Mobile bottlenecks scaled in depth, width and resolution (Tan and Le 2019): [n, c, h, w] -> logits [n, classes]. */
export class EfficientNet extends Module {
  readonly features: Sequential;
  readonly classifier: Sequential;

  constructor(options: Partial<EfficientNetConfig> = {}) {
    super();
    const config = { ...defaults, ...options };
    const { width, depth, dropout, stochasticDepth, inChannels, numClasses, padding } = config;
    checkPadding("EfficientNet", padding);
    const norm = { eps: config.normEps, momentum: config.normMomentum };
    const counts = stages.map(({ blocks }) => Math.ceil(blocks * depth));
    const total = counts.reduce((a, b) => a + b, 0);
    let [channels, made] = [roundChannels(32 * width), 0];
    const first = convNorm(inChannels, channels, 3, { stride: 2, norm, padding, activation: new SiLU() });
    const body = stages.map(({ expand, kernel, stride, ...stage }, s): Layer => {
      const blocks = Array.from({ length: counts[s] }, (_, i) => {
        const outChannels = roundChannels(stage.channels * width);
        const dropPath = (stochasticDepth * made++) / total;
        const sizes = { inChannels: channels, outChannels, kernel, stride: i === 0 ? stride : 1, expand };
        channels = outChannels;
        return new MBConv({ ...sizes, dropPath, norm, padding });
      });
      return new Sequential(...blocks);
    });
    const last = convNorm(channels, 4 * channels, 1, { norm, activation: new SiLU() });
    const head = new Linear(4 * channels, numClasses);
    head.weight = param(
      [numClasses, 4 * channels],
      init.uniform(-1 / Math.sqrt(numClasses), 1 / Math.sqrt(numClasses)),
    );
    head.bias = param([numClasses], init.zeros);
    this.features = new Sequential(first, ...body, last);
    this.classifier = new Sequential(new Dropout(dropout), head);
  }

  forward(x: Tensor): Tensor {
    return this.classifier.forward(globalAvgPool(this.features.forward(x)));
  }
}

export const create = (config: Partial<EfficientNetConfig>): EfficientNet => new EfficientNet(config);
