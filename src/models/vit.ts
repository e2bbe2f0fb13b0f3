import { unknownName } from "../core/errors.ts";
import { concat, ManabiError, type Tensor } from "../index.ts";
import {
  Conv2d,
  Dropout,
  GELU,
  init,
  type Layer,
  LayerNorm,
  Linear,
  Module,
  ModuleDict,
  MultiheadAttention,
  type Param,
  param,
  Sequential,
  Tanh,
} from "../nn/index.ts";
import { backbone } from "./resnet-v2.ts";

export interface ViTConfig {
  /** Height and width of the images in pixels. */
  readonly imageSize: number;
  /** What patches are cut of: the image, or the feature map of a ResNet (hybrid). */
  readonly patchesOf: "image" | "resnet";
  /** Blocks of each stage of that ResNet, of four at most; none: its stem alone. Its maps have a stride of 4 behind the stem
   *  and the first stage, and of twice as much behind each further stage. */
  readonly backbone: readonly number[];
  /** Height and width of a patch of the image, or of the feature map. */
  readonly patchSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly width: number;
  readonly mlpWidth: number;
  readonly dropout: number;
  readonly attentionDropout: number;
  /** Units of the hidden layer of the head for pre-training; 0 is the linear head for fine-tuning. */
  readonly representation: number;
  /** Added to the variances that are normalized by. */
  readonly normEps: number;
  readonly inChannels: number;
  readonly numClasses: number;
}

/** Values of the options that a variant leaves open. */
export const defaults: ViTConfig = {
  imageSize: 224,
  patchesOf: "image",
  backbone: [],
  patchSize: 16,
  layers: 12,
  heads: 12,
  width: 768,
  mlpWidth: 3072,
  dropout: 0,
  attentionDropout: 0,
  representation: 0,
  normEps: 1e-6,
  inChannels: 3,
  numClasses: 1000,
};

const tiny = { heads: 3, width: 192, mlpWidth: 768 } as const;
const small = { heads: 6, width: 384, mlpWidth: 1536 } as const;
const large = { layers: 24, heads: 16, width: 1024, mlpWidth: 4096 } as const;
const hybrid = { patchesOf: "resnet", patchSize: 1 } as const;

export const variants = {
  vit_ti_16: tiny,
  vit_s_16: small,
  vit_b_16: {},
  vit_b_32: { patchSize: 32 },
  vit_l_16: large,
  vit_l_32: { ...large, patchSize: 32 },
  vit_h_14: { layers: 32, heads: 16, width: 1280, mlpWidth: 5120, patchSize: 14 },
  vit_tiny_r_s16_p8_224: { ...hybrid, ...tiny, patchSize: 8 },
  vit_small_r26_s32_224: { ...hybrid, ...small, backbone: [2, 2, 2, 2] },
  vit_base_r50_s16_224: { ...hybrid, backbone: [3, 4, 9] },
  vit_large_r50_s32_224: { ...hybrid, ...large, backbone: [3, 4, 6, 3] },
  cifar_vit: { ...tiny, imageSize: 32, patchSize: 4, layers: 6, numClasses: 10 },
} as const satisfies Record<string, Partial<ViTConfig>>;

function linear(inFeatures: number, outFeatures: number, weight: init.Initializer, bias = init.zeros): Linear {
  const layer = new Linear(inFeatures, outFeatures);
  layer.weight = param([outFeatures, inFeatures], weight);
  layer.bias = param([outFeatures], bias);
  return layer;
}

class EncoderBlock extends Module {
  readonly ln_1: LayerNorm;
  readonly self_attention: MultiheadAttention;
  readonly dropout: Dropout;
  readonly ln_2: LayerNorm;
  readonly mlp: Sequential;

  constructor({ width, heads, mlpWidth, dropout, attentionDropout, normEps }: ViTConfig) {
    super();
    const hidden = (from: number, to: number) => linear(from, to, init.xavierUniform(), init.normal(0, 1e-6));
    this.ln_1 = new LayerNorm(width, { eps: normEps });
    this.self_attention = new MultiheadAttention(width, heads, { dropout: attentionDropout, batchFirst: true });
    this.dropout = new Dropout(dropout);
    this.ln_2 = new LayerNorm(width, { eps: normEps });
    this.mlp = new Sequential(
      ...[hidden(width, mlpWidth), new GELU(), new Dropout(dropout)],
      ...[hidden(mlpWidth, width), new Dropout(dropout)],
    );
  }

  forward(x: Tensor): Tensor {
    const y = this.ln_1.forward(x);
    const seen = this.dropout.forward(this.self_attention.forward(y, y, y, { needWeights: false })[0]).add(x);
    return seen.add(this.mlp.forward(this.ln_2.forward(seen)));
  }
}

/** Blocks by the names "encoder_layer_0" .. */
class Blocks extends ModuleDict<Record<string, EncoderBlock>> {
  constructor(config: ViTConfig) {
    const blocks = Array.from({ length: config.layers }, (_, i) => [`encoder_layer_${i}`, new EncoderBlock(config)]);
    super(Object.fromEntries(blocks));
  }
}

class Encoder extends Module {
  pos_embedding: Param; // [1, 1 + patches, width]
  readonly dropout: Dropout;
  readonly layers: Blocks;
  readonly ln: LayerNorm;

  constructor(config: ViTConfig, tokens: number) {
    super();
    this.pos_embedding = param([1, tokens, config.width], init.normal(0, 0.02));
    this.dropout = new Dropout(config.dropout);
    this.layers = new Blocks(config);
    this.ln = new LayerNorm(config.width, { eps: config.normEps });
  }

  /** [n, t, width] -> the outputs of all blocks, the last one not normalized. */
  forward(x: Tensor): Tensor[] {
    const outputs = [this.dropout.forward(x.add(this.pos_embedding))];
    for (const [, block] of this.layers.children())
      outputs.push((block as EncoderBlock).forward(outputs.at(-1) as Tensor));
    return outputs.slice(1);
  }
}

function headOf({ width, representation, numClasses }: ViTConfig): ModuleDict<Record<string, Layer>> {
  // Fine-tuning starts from zero logits.
  const head = linear(representation || width, numClasses, init.zeros);
  if (representation === 0) return new ModuleDict<Record<string, Layer>>({ head });
  const pre_logits = linear(width, representation, init.truncatedNormal(0, Math.sqrt(1 / width)));
  return new ModuleDict<Record<string, Layer>>({ pre_logits, act: new Tanh(), head });
}

const sources: readonly ViTConfig["patchesOf"][] = ["image", "resnet"];

function checkConfig({ patchesOf, backbone, patchSize, layers }: ViTConfig): void {
  if (!sources.includes(patchesOf)) throw unknownName("ViT patchesOf", patchesOf, sources);
  if (patchesOf === "image" && backbone.length)
    throw new ManabiError(`ViT: backbone [${backbone}] belongs to a hybrid, that is to patchesOf: "resnet"`);
  if (backbone.length > 4) throw new ManabiError(`ViT: backbone [${backbone}] has more than four stages`);
  for (const n of [...backbone, patchSize, layers])
    if (!Number.isInteger(n) || n < 1)
      throw new ManabiError(`ViT: backbone, patchSize and layers are integers >= 1, got ${n}`);
}

/** Patches per side of an image. `stride`: pixels per position of what patches are cut of. */
function patchesPerSide({ imageSize, patchSize }: ViTConfig, stride: number): number {
  const pixels = patchSize * stride;
  if (imageSize % pixels !== 0)
    throw new ManabiError(`ViT: images of ${imageSize} pixels do not divide into patches of ${pixels}`);
  return imageSize / pixels;
}

/** A transformer encoder over patches and a class token (Dosovitskiy et al. 2020), with torchvision's keys,
 *  the ResNet of a hybrid with timm's: images [n, c, h, w] -> logits [n, classes]. */
export class VisionTransformer extends Module {
  class_token: Param; // [1, 1, width]
  readonly backbone: Layer | null;
  readonly conv_proj: Conv2d;
  readonly encoder: Encoder;
  readonly heads: ModuleDict<Record<string, Layer>>;
  readonly config: ViTConfig;

  constructor(options: Partial<ViTConfig> = {}) {
    super();
    this.config = { ...defaults, ...options };
    checkConfig(this.config);
    const { patchesOf, patchSize, width, inChannels } = this.config;
    this.class_token = param([1, 1, width], init.zeros);
    const before = patchesOf === "resnet" ? backbone(this.config.backbone, inChannels) : null;
    this.backbone = before?.network ?? null;
    const { channels, stride } = before ?? { channels: inChannels, stride: 1 };
    this.conv_proj = new Conv2d(channels, width, patchSize, { stride: patchSize });
    const std = Math.sqrt(1 / (channels * patchSize ** 2));
    this.conv_proj.weight = param(this.conv_proj.weight.shape, init.truncatedNormal(0, std));
    this.conv_proj.bias = param([width], init.zeros);
    this.encoder = new Encoder(this.config, patchesPerSide(this.config, stride) ** 2 + 1);
    this.heads = headOf(this.config);
  }

  /** Class token and patches, [n, 1 + patches, width]. */
  #tokens(x: Tensor): Tensor {
    const { imageSize, width } = this.config;
    const [n, , height, across] = x.shape;
    if (height !== imageSize || across !== imageSize)
      throw new ManabiError(
        `ViT: the images are ${height} x ${across} and the model is for ${imageSize} x ${imageSize}; resize them, or the ` +
          "positions of a trained model by resizePositions",
      );
    const patches = this.conv_proj
      .forward(this.backbone?.forward(x) ?? x)
      .flatten(2)
      .transpose(1, 2);
    return concat([this.class_token.broadcastTo([n, 1, width]), patches], 1);
  }

  /** The normalized output of the last block, [n, 1 + patches, width]; the class token comes first. */
  features(x: Tensor): Tensor {
    return this.encoder.ln.forward(this.encoder.forward(this.#tokens(x)).at(-1) as Tensor);
  }

  forward(x: Tensor): Tensor {
    let y = this.features(x).select(1, 0);
    for (const [, layer] of this.heads.children()) y = (layer as Layer).forward(y);
    return y;
  }
}

export const create = (config: Partial<ViTConfig>): VisionTransformer => new VisionTransformer(config);
