import { globalAvgPool, type Tensor } from "../index.ts";
import { BatchNorm2d, Dropout, init, type Layer, Linear, Module, param, ReLU6, Sequential } from "../nn/index.ts";
import { conv, convNorm, roundChannels } from "./blocks.ts";

export interface MobileNetV2Config {
  /** Factor on the channels of every layer. */
  readonly width: number;
  readonly dropout: number;
  readonly inChannels: number;
  readonly numClasses: number;
}

/** Values of the options that a variant leaves open. */
export const defaults: MobileNetV2Config = { width: 1, dropout: 0.2, inChannels: 3, numClasses: 1000 };

export const variants = { mobilenet_v2: {} } as const satisfies Record<string, Partial<MobileNetV2Config>>;

/** Table 2 of the paper. */
const stages = [
  { expand: 1, channels: 16, blocks: 1, stride: 1 },
  { expand: 6, channels: 24, blocks: 2, stride: 2 },
  { expand: 6, channels: 32, blocks: 3, stride: 2 },
  { expand: 6, channels: 64, blocks: 4, stride: 2 },
  { expand: 6, channels: 96, blocks: 3, stride: 1 },
  { expand: 6, channels: 160, blocks: 3, stride: 2 },
  { expand: 6, channels: 320, blocks: 1, stride: 1 },
] as const;

/** Expansion by a 1x1, a depthwise 3x3, and a linear 1x1 down to the bottleneck, with a shortcut between bottlenecks. */
class InvertedResidual extends Module {
  readonly conv: Sequential;
  readonly hasShortcut: boolean;

  constructor(inChannels: number, outChannels: number, stride: number, expand: number) {
    super();
    const inner = inChannels * expand;
    this.conv = new Sequential(
      ...(expand === 1 ? [] : [convNorm(inChannels, inner, 1, { activation: new ReLU6() })]),
      convNorm(inner, inner, 3, { stride, groups: inner, activation: new ReLU6() }),
      conv(inner, outChannels, 1),
      new BatchNorm2d(outChannels),
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
    const { width, dropout, inChannels, numClasses } = { ...defaults, ...options };
    let channels = roundChannels(32 * width);
    const blocks: Layer[] = [convNorm(inChannels, channels, 3, { stride: 2, activation: new ReLU6() })];
    for (const stage of stages) {
      const out = roundChannels(stage.channels * width);
      for (let i = 0; i < stage.blocks; i++) {
        blocks.push(new InvertedResidual(channels, out, i === 0 ? stage.stride : 1, stage.expand));
        channels = out;
      }
    }
    const last = roundChannels(1280 * Math.max(1, width));
    blocks.push(convNorm(channels, last, 1, { activation: new ReLU6() }));
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
