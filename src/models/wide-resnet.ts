import { globalAvgPool, ManabiError, relu, type Tensor } from "../index.ts";
import { BatchNorm2d, type Conv2d, Dropout, init, Linear, Module, param, Sequential } from "../nn/index.ts";
import { conv } from "./blocks.ts";

export interface WideResNetConfig {
  /** Convolutions on the longest path, 6 n + 4 with n blocks per stage. */
  readonly depth: number;
  /** Factor of the widths 16, 32, 64 of the three stages. */
  readonly widen: number;
  /** Probability of dropping a value between the two convolutions of a block. */
  readonly dropout: number;
  readonly inChannels: number;
  readonly numClasses: number;
}

/** Values of the options that a variant leaves open. */
export const defaults: WideResNetConfig = { depth: 28, widen: 10, dropout: 0, inChannels: 3, numClasses: 10 };

export const variants = {
  wrn_16_4: { depth: 16, widen: 4 },
  wrn_16_8: { depth: 16, widen: 8 },
  wrn_28_10: { depth: 28, widen: 10 },
  wrn_40_2: { depth: 40, widen: 2 },
  wrn_40_4: { depth: 40, widen: 4 },
} as const satisfies Record<string, Partial<WideResNetConfig>>;

/** Normalization and activation come before each convolution (He et al. 2016), dropout between the two. */
class WideBlock extends Module {
  bn1: BatchNorm2d;
  conv1: Conv2d;
  bn2: BatchNorm2d;
  conv2: Conv2d;
  convShortcut: Conv2d | null;
  readonly drop: Dropout;

  constructor(inChannels: number, outChannels: number, stride: number, dropout: number) {
    super();
    this.bn1 = new BatchNorm2d(inChannels);
    this.conv1 = conv(inChannels, outChannels, 3, { stride });
    this.bn2 = new BatchNorm2d(outChannels);
    this.conv2 = conv(outChannels, outChannels, 3);
    this.convShortcut = inChannels === outChannels ? null : conv(inChannels, outChannels, 1, { stride });
    this.drop = new Dropout(dropout);
  }

  forward(x: Tensor): Tensor {
    const active = relu(this.bn1.forward(x));
    const y = this.drop.forward(relu(this.bn2.forward(this.conv1.forward(active))));
    return this.conv2.forward(y).add(this.convShortcut?.forward(active) ?? x);
  }
}

class Stage extends Module {
  readonly layer: Sequential;

  constructor(count: number, inChannels: number, outChannels: number, stride: number, dropout: number) {
    super();
    const blocks = Array.from({ length: count }, (_, i) =>
      i === 0
        ? new WideBlock(inChannels, outChannels, stride, dropout)
        : new WideBlock(outChannels, outChannels, 1, dropout),
    );
    this.layer = new Sequential(...blocks);
  }

  forward(x: Tensor): Tensor {
    return this.layer.forward(x);
  }
}

/** WRN-depth-widen for small images (Zagoruyko and Komodakis 2016): images [n, c, h, w] -> logits [n, classes]. */
export class WideResNet extends Module {
  conv1: Conv2d;
  block1: Stage;
  block2: Stage;
  block3: Stage;
  bn1: BatchNorm2d;
  fc: Linear;

  constructor(options: Partial<WideResNetConfig> = {}) {
    super();
    const { depth, widen, dropout, inChannels, numClasses } = { ...defaults, ...options };
    const count = (depth - 4) / 6;
    if (!Number.isInteger(count) || count < 1)
      throw new ManabiError(`WideResNet: depth ${depth} is not 6 n + 4, as the three stages of n blocks make it`);
    const widths = [16, 16 * widen, 32 * widen, 64 * widen];
    this.conv1 = conv(inChannels, 16, 3);
    this.block1 = new Stage(count, widths[0], widths[1], 1, dropout);
    this.block2 = new Stage(count, widths[1], widths[2], 2, dropout);
    this.block3 = new Stage(count, widths[2], widths[3], 2, dropout);
    this.bn1 = new BatchNorm2d(widths[3]);
    this.fc = new Linear(widths[3], numClasses);
    this.fc.bias = param([numClasses], init.zeros);
  }

  /** Feature maps of the last stage, [n, 64 widen, h, w]. */
  features(x: Tensor): Tensor {
    const stages = [this.block1, this.block2, this.block3];
    return relu(this.bn1.forward(stages.reduce((y, stage) => stage.forward(y), this.conv1.forward(x))));
  }

  forward(x: Tensor): Tensor {
    return this.fc.forward(globalAvgPool(this.features(x)));
  }
}

export const create = (config: Partial<WideResNetConfig>): WideResNet => new WideResNet(config);
