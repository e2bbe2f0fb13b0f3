import { ManabiError, type Tensor } from "../index.ts";
import {
  AdaptiveAvgPool2d,
  BatchNorm2d,
  Dropout,
  init,
  type Layer,
  Linear,
  MaxPool2d,
  Module,
  param,
  ReLU,
  Sequential,
} from "../nn/index.ts";
import { conv } from "./blocks.ts";

export interface VGGConfig {
  /** Convolutions of each of the five stages. */
  readonly layers: readonly number[];
  /** Channels of each stage. */
  readonly widths: readonly number[];
  readonly batchNorm: boolean;
  /** Units of the two hidden layers of the classifier. */
  readonly hidden: number;
  readonly dropout: number;
  readonly inChannels: number;
  readonly numClasses: number;
}

/** Values of the options that a variant leaves open. */
export const defaults: VGGConfig = {
  layers: [2, 2, 3, 3, 3],
  widths: [64, 128, 256, 512, 512],
  batchNorm: false,
  hidden: 4096,
  dropout: 0.5,
  inChannels: 3,
  numClasses: 1000,
};

const depths = { vgg11: [1, 1, 2, 2, 2], vgg13: [2, 2, 2, 2, 2], vgg16: [2, 2, 3, 3, 3], vgg19: [2, 2, 4, 4, 4] };

export const variants = {
  vgg11: { layers: depths.vgg11 },
  vgg11_bn: { layers: depths.vgg11, batchNorm: true },
  vgg13: { layers: depths.vgg13 },
  vgg13_bn: { layers: depths.vgg13, batchNorm: true },
  vgg16: { layers: depths.vgg16 },
  vgg16_bn: { layers: depths.vgg16, batchNorm: true },
  vgg19: { layers: depths.vgg19 },
  vgg19_bn: { layers: depths.vgg19, batchNorm: true },
} as const satisfies Record<string, Partial<VGGConfig>>;

/** Stages of 3x3 convolutions, each stage ended by a pooling that halves the map. */
function stages({ layers, widths, batchNorm, inChannels }: VGGConfig): Layer[] {
  let channels = inChannels;
  return layers.flatMap((count, i) => {
    const stage = Array.from({ length: count }, () => {
      const layer = conv(channels, widths[i], 3, { bias: true });
      channels = widths[i];
      return [layer, ...(batchNorm ? [new BatchNorm2d(channels)] : []), new ReLU()];
    });
    return [...stage.flat(), new MaxPool2d(2)];
  });
}

function hiddenLayer(inFeatures: number, outFeatures: number): Linear {
  const layer = new Linear(inFeatures, outFeatures);
  layer.weight = param([outFeatures, inFeatures], init.normal(0, 0.01));
  layer.bias = param([outFeatures], init.zeros);
  return layer;
}

/** Very deep stacks of 3x3 convolutions (Simonyan and Zisserman 2014): images [n, c, h, w] -> logits [n, classes]. */
export class VGG extends Module {
  readonly features: Sequential;
  readonly avgpool = new AdaptiveAvgPool2d(7);
  readonly classifier: Sequential;
  readonly config: VGGConfig;

  constructor(options: Partial<VGGConfig> = {}) {
    super();
    this.config = { ...defaults, ...options };
    const { layers, widths, hidden, dropout, numClasses } = this.config;
    if (layers.length !== 5 || widths.length !== 5)
      throw new ManabiError(`VGG: layers [${layers}] and widths [${widths}]: there are five stages`);
    this.features = new Sequential(...stages(this.config));
    this.classifier = new Sequential(
      ...[hiddenLayer(widths[4] * 49, hidden), new ReLU(), new Dropout(dropout)],
      ...[hiddenLayer(hidden, hidden), new ReLU(), new Dropout(dropout)],
      hiddenLayer(hidden, numClasses),
    );
  }

  forward(x: Tensor): Tensor {
    return this.classifier.forward(this.avgpool.forward(this.features.forward(x)).flatten(1));
  }
}

export const create = (config: Partial<VGGConfig>): VGG => new VGG(config);
