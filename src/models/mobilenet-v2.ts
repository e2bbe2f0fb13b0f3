import { globalAvgPool, type Tensor } from "../index.ts";
import {
  BatchNorm2d,
  type ChannelNormOptions,
  Dropout,
  init,
  type Layer,
  Linear,
  Module,
  param,
  ReLU6,
  Sequential,
} from "../nn/index.ts";
import { checkPadding, conv, convNorm, type Padding, roundChannels } from "./blocks.ts";

export interface MobileNetV2Config {
  /** Factor on the channels of every layer. */
  readonly width: number;
  readonly dropout: number;
  readonly normEps: number;
  readonly normMomentum: number;
  /** "same" for weights that come from TensorFlow. */
  readonly padding: Padding;
  readonly inChannels: number;
  readonly numClasses: number;
}

/** Values of the options that a variant leaves open. */
export const defaults: MobileNetV2Config = {
  width: 1,
  dropout: 0.2,
  normEps: 1e-5,
  normMomentum: 0.1,
  padding: "symmetric",
  inChannels: 3,
  numClasses: 1000,
};

export const variants = { mobilenet_v2: {} } as const satisfies Record<string, Partial<MobileNetV2Config>>;

/** Table 2 of the paper. */
export const stages = [
  { expand: 1, channels: 16, blocks: 1, stride: 1 },
  { expand: 6, channels: 24, blocks: 2, stride: 2 },
  { expand: 6, channels: 32, blocks: 3, stride: 2 },
  { expand: 6, channels: 64, blocks: 4, stride: 2 },
  { expand: 6, channels: 96, blocks: 3, stride: 1 },
  { expand: 6, channels: 160, blocks: 3, stride: 2 },
  { expand: 6, channels: 320, blocks: 1, stride: 1 },
] as const;

interface BlockOptions {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly stride: number;
  readonly expand: number;
  readonly norm: ChannelNormOptions;
  readonly padding: Padding;
}

/** Expansion by a 1x1, a depthwise 3x3, and a linear 1x1 down to the bottleneck, with a shortcut between bottlenecks. */
class InvertedResidual extends Module {
  readonly conv: Sequential;
  readonly hasShortcut: boolean;

  constructor({ inChannels, outChannels, stride, expand, norm, padding }: BlockOptions) {
    super();
    const inner = inChannels * expand;
    const activation = new ReLU6();
    this.conv = new Sequential(
      ...(expand === 1 ? [] : [convNorm(inChannels, inner, 1, { norm, activation })]),
      convNorm(inner, inner, 3, { stride, groups: inner, norm, padding, activation }),
      conv(inner, outChannels, 1),
      new BatchNorm2d(outChannels, norm),
    );
    this.hasShortcut = stride === 1 && inChannels === outChannels;
  }

  forward(x: Tensor): Tensor {
    const y = this.conv.forward(x);
    return this.hasShortcut ? x.add(y) : y;
  }
}

/** Inverted residuals and linear bottlenecks (Sandler et al. 2018): images [n, c, h, w] -> logits [n, classes]. */
export class MobileNetV2 extends Module {
  readonly features: Sequential;
  readonly classifier: Sequential;

  constructor(options: Partial<MobileNetV2Config> = {}) {
    super();
    const config = { ...defaults, ...options };
    const { width, dropout, inChannels, numClasses, padding } = config;
    checkPadding("MobileNetV2", padding);
    const norm = { eps: config.normEps, momentum: config.normMomentum };
    const activation = new ReLU6();
    let channels = roundChannels(32 * width);
    const blocks: Layer[] = [convNorm(inChannels, channels, 3, { stride: 2, norm, padding, activation })];
    for (const stage of stages) {
      const { expand } = stage;
      const outChannels = roundChannels(stage.channels * width);
      for (let i = 0; i < stage.blocks; i++) {
        const stride = i === 0 ? stage.stride : 1;
        blocks.push(new InvertedResidual({ inChannels: channels, outChannels, stride, expand, norm, padding }));
        channels = outChannels;
      }
    }
    const last = roundChannels(1280 * Math.max(1, width));
    blocks.push(convNorm(channels, last, 1, { norm, activation }));
    const head = new Linear(last, numClasses);
    head.weight = param([numClasses, last], init.normal(0, 0.01));
    head.bias = param([numClasses], init.zeros);
    this.features = new Sequential(...blocks);
    this.classifier = new Sequential(new Dropout(dropout), head);
  }

  forward(x: Tensor): Tensor {
    return this.classifier.forward(globalAvgPool(this.features.forward(x)));
  }
}

export const create = (config: Partial<MobileNetV2Config>): MobileNetV2 => new MobileNetV2(config);
