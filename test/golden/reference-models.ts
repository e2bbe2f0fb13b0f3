/** The image models of scripts/oracle/models.py and resnet.py by name, with dropout and stochastic depth off. */
import { EfficientNet } from "../../src/models/efficientnet.ts";
import { MobileNetV2 } from "../../src/models/mobilenet-v2.ts";
import type { ModelOptions } from "../../src/models/options.ts";
import { createModel } from "../../src/models/registry.ts";
import { VGG } from "../../src/models/vgg.ts";
import { VisionTransformer } from "../../src/models/vit.ts";
import { WideResNet } from "../../src/models/wide-resnet.ts";
import type { Layer } from "../../src/nn/index.ts";

const small = { numClasses: 10 };
const smallViT = { ...small, imageSize: 32, patchSize: 8, layers: 2, heads: 4, width: 64, mlpWidth: 128 };
const smallModels: Record<string, () => Layer> = {
  wrn_small: () => new WideResNet({ depth: 10, widen: 2 }),
  vgg_small: () =>
    new VGG({
      ...small,
      layers: [1, 1, 2, 2, 2],
      widths: [8, 8, 16, 16, 16],
      batchNorm: true,
      hidden: 32,
      dropout: 0,
    }),
  mobilenet_small: () => new MobileNetV2({ ...small, width: 0.35, dropout: 0 }),
  efficientnet_small: () =>
    new EfficientNet({
      ...small,
      ...{ width: 0.25, depth: 0.5, dropout: 0, stochasticDepth: 0, normEps: 1e-3, normMomentum: 0.01 },
    }),
  vit_small: () => new VisionTransformer(smallViT),
  vit_small_mlp: () => new VisionTransformer({ ...smallViT, representation: 24 }),
};
const still: Record<string, ModelOptions> = {
  vgg11: { dropout: 0 },
  mobilenet_v2: { dropout: 0 },
  efficientnet_b0: { dropout: 0, stochasticDepth: 0 },
};

/** Factors of the generated weights. */
export const gains: Record<string, number> = {
  ...{ vgg11: 1.3, vgg_small: 1.3, mobilenet_v2: 1.3, mobilenet_small: 1.3 },
  ...{ efficientnet_b0: 1.45, efficientnet_small: 1.45 },
};

export const referenceModel = async (name: string): Promise<Layer> =>
  smallModels[name]?.() ?? createModel(name, still[name]);
