import { maxPool2d, relu, samePadding, type Tensor } from "../index.ts";
import { GroupNorm, init, type Layer, Module, param, Sequential, StdConv2d } from "../nn/index.ts";

/** Widths of the stages; each puts out four times as many channels. */
const widths = [64, 128, 256, 512] as const;
const expansion = 4;

/** A k x k convolution with standardized weights, padded as in TensorFlow, where these networks were trained. */
function conv(inChannels: number, outChannels: number, kernel: number, stride = 1): StdConv2d {
  const layer = new StdConv2d(inChannels, outChannels, kernel, { stride, padding: "same", bias: false, eps: 1e-8 });
  layer.weight = param(layer.weight.shape, init.kaimingNormal({ mode: "fanOut" }));
  return layer;
}

const norm = (channels: number): GroupNorm => new GroupNorm(32, channels);

/** A 7x7 convolution and a pooling, each with a stride of 2: [n, c, h, w] -> [n, 64, h / 4, w / 4]. */
class Stem extends Module {
  readonly conv: StdConv2d;
  readonly norm: GroupNorm;

  constructor(inChannels: number) {
    super();
    this.conv = conv(inChannels, widths[0], 7, 2);
    this.norm = norm(widths[0]);
  }

  forward(x: Tensor): Tensor {
    const y = relu(this.norm.forward(this.conv.forward(x)));
    const around = y.shape.slice(2).map((extent) => samePadding(extent, 3, 2));
    return maxPool2d(y.pad([[0, 0], [0, 0], ...around], Number.NEGATIVE_INFINITY), 3, { stride: 2 });
  }
}

/** The 1x1 convolution of a shortcut. */
class Downsample extends Module {
  readonly conv: StdConv2d;
  readonly norm: GroupNorm;

  constructor(inChannels: number, outChannels: number, stride: number) {
    super();
    this.conv = conv(inChannels, outChannels, 1, stride);
    this.norm = norm(outChannels);
  }

  forward(x: Tensor): Tensor {
    return this.norm.forward(this.conv.forward(x));
  }
}

/** 1x1, 3x3 with the stride, 1x1. */
class Bottleneck extends Module {
  readonly downsample: Downsample | null;
  readonly conv1: StdConv2d;
  readonly norm1: GroupNorm;
  readonly conv2: StdConv2d;
  readonly norm2: GroupNorm;
  readonly conv3: StdConv2d;
  readonly norm3: GroupNorm;

  constructor(inChannels: number, width: number, stride: number) {
    super();
    const outChannels = width * expansion;
    const keeps = stride === 1 && inChannels === outChannels;
    this.downsample = keeps ? null : new Downsample(inChannels, outChannels, stride);
    this.conv1 = conv(inChannels, width, 1);
    this.norm1 = norm(width);
    this.conv2 = conv(width, width, 3, stride);
    this.norm2 = norm(width);
    this.conv3 = conv(width, outChannels, 1);
    this.norm3 = norm(outChannels);
  }

  forward(x: Tensor): Tensor {
    const y = relu(this.norm1.forward(this.conv1.forward(x)));
    const z = relu(this.norm2.forward(this.conv2.forward(y)));
    return relu(this.norm3.forward(this.conv3.forward(z)).add(this.downsample?.forward(x) ?? x));
  }
}

class Stage extends Module {
  readonly blocks: Sequential;

  constructor(count: number, inChannels: number, width: number, stride: number) {
    super();
    const make = (_: unknown, i: number) =>
      i === 0 ? new Bottleneck(inChannels, width, stride) : new Bottleneck(width * expansion, width, 1);
    this.blocks = new Sequential(...Array.from({ length: count }, make));
  }

  forward(x: Tensor): Tensor {
    return this.blocks.forward(x);
  }
}

/** A ResNet with group normalization and standardized weights (Kolesnikov et al. 2019, arXiv:1912.11370), without head and
 *  with normalizations behind the convolutions, as hybrid Vision Transformers have it. Keys are timm's. */
export class ResNetV2 extends Module {
  readonly stem: Stem;
  readonly stages: Sequential;

  /** `layers`: blocks of each of the one to four stages. */
  constructor(layers: readonly number[], inChannels: number) {
    super();
    this.stem = new Stem(inChannels);
    const stages = layers.map((count, i) => {
      const before = i === 0 ? widths[0] : widths[i - 1] * expansion;
      return new Stage(count, before, widths[i], i === 0 ? 1 : 2);
    });
    this.stages = new Sequential(...stages);
  }

  /** Feature maps of the last stage, [n, c, h, w]. */
  forward(x: Tensor): Tensor {
    return this.stages.forward(this.stem.forward(x));
  }
}

/** A network in front of a transformer, with what it makes of images. */
export interface Backbone {
  readonly network: Layer;
  /** Of its maps. */
  readonly channels: number;
  /** Pixels per position of its maps. */
  readonly stride: number;
}

/** A ResNet with these blocks per stage, or its stem alone where there are none. */
export function backbone(layers: readonly number[], inChannels: number): Backbone {
  if (!layers.length) return { network: new Stem(inChannels), channels: widths[0], stride: 4 };
  const last = layers.length - 1;
  return { network: new ResNetV2(layers, inChannels), channels: widths[last] * expansion, stride: 4 << last };
}
