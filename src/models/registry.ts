import { unknownName } from "../core/errors.ts";
import type { Shape } from "../index.ts";
import type { Layer } from "../nn/index.ts";
import type { Layout } from "./layouts/layout.ts";
import { checkOptions, type ModelOptions } from "./options.ts";

/** What a family's file exports. */
interface FamilyModule<C extends object> {
  readonly variants: Readonly<Record<string, Partial<C>>>;
  /** The value of every option that a variant leaves open; an option that is not here does not exist. */
  readonly defaults: C;
  create(config: Partial<C>): Layer;
}

/** What is known of a variant without loading its family. */
export interface Variant {
  /** Whether it takes images of one size alone, which its option `imageSize` sets. */
  readonly fixedSize?: boolean;
  /** Input that it was made for, without the batch; others may work, too. */
  readonly input: Shape;
  /** Options that suit images of less than 64 pixels, where they differ. */
  readonly small?: ModelOptions;
}

/** Models that share an architecture, a file and a paper. */
export interface Family {
  readonly title: string;
  readonly paper: string;
  readonly variants: Readonly<Record<string, Variant>>;
  create(variant: string, options: ModelOptions): Promise<Layer>;
  /** How other libraries name the tensors of these models. */
  layouts(): Promise<readonly Layout[]>;
}

interface FamilyDefinition<C extends object> extends Omit<Family, "create" | "layouts"> {
  load(): Promise<FamilyModule<C>>;
  loadLayouts?(): Promise<{ readonly layouts: readonly Layout[] }>;
}

const family = <C extends object>({ load, loadLayouts, ...facts }: FamilyDefinition<C>): Family => ({
  ...facts,
  layouts: async () => (await loadLayouts?.())?.layouts ?? [],
  async create(variant, options) {
    const { variants, defaults, create } = await load();
    checkOptions(variant, options, new Map(Object.entries(defaults)));
    return create({ ...variants[variant], ...(options as Partial<C>) });
  },
});

const imagenet: Variant = { input: [3, 224, 224], small: { stem: "cifar" } };
const square = (size: number): Variant => ({ input: [3, size, size] });
const cifar = square(32);
const vit: Variant = { input: [3, 224, 224], small: { patchSize: 4 }, fixedSize: true };
const hybrid: Variant = { input: [3, 224, 224], fixedSize: true };

/** Every family of models; its code is loaded when one of its variants is made. */
export const models: Readonly<Record<string, Family>> = {
  resnet: family({
    title: "ResNet",
    paper: "He, Zhang, Ren, Sun 2015: Deep Residual Learning for Image Recognition (arXiv:1512.03385)",
    variants: {
      resnet18: imagenet,
      resnet34: imagenet,
      resnet50: imagenet,
      resnet101: imagenet,
      resnet152: imagenet,
      wide_resnet50_2: imagenet,
      wide_resnet101_2: imagenet,
      cifar_resnet20: cifar,
      cifar_resnet32: cifar,
      cifar_resnet44: cifar,
      cifar_resnet56: cifar,
      cifar_resnet110: cifar,
      mnist_resnet: { input: [1, 28, 28] },
    },
    load: () => import("./resnet.ts"),
    loadLayouts: () => import("./layouts/resnet.ts"),
  }),
  wideResNet: family({
    title: "Wide ResNet",
    paper: "Zagoruyko, Komodakis 2016: Wide Residual Networks (arXiv:1605.07146)",
    variants: { wrn_16_4: cifar, wrn_16_8: cifar, wrn_28_10: cifar, wrn_40_2: cifar, wrn_40_4: cifar },
    load: () => import("./wide-resnet.ts"),
  }),
  vgg: family({
    title: "VGG",
    paper:
      "Simonyan, Zisserman 2014: Very Deep Convolutional Networks for Large-Scale Image Recognition (arXiv:1409.1556)",
    variants: {
      vgg11: square(224),
      vgg11_bn: square(224),
      vgg13: square(224),
      vgg13_bn: square(224),
      vgg16: square(224),
      vgg16_bn: square(224),
      vgg19: square(224),
      vgg19_bn: square(224),
    },
    load: () => import("./vgg.ts"),
    loadLayouts: () => import("./layouts/vgg.ts"),
  }),
  mobileNetV2: family({
    title: "MobileNetV2",
    paper: "Sandler et al. 2018: MobileNetV2: Inverted Residuals and Linear Bottlenecks (arXiv:1801.04381)",
    variants: { mobilenet_v2: square(224) },
    load: () => import("./mobilenet-v2.ts"),
    loadLayouts: () => import("./layouts/mobilenet-v2.ts"),
  }),
  efficientNet: family({
    title: "EfficientNet",
    paper: "Tan, Le 2019: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks (arXiv:1905.11946)",
    variants: {
      efficientnet_b0: square(224),
      efficientnet_b1: square(240),
      efficientnet_b2: square(260),
      efficientnet_b3: square(300),
      efficientnet_b4: square(380),
      efficientnet_b5: square(456),
      efficientnet_b6: square(528),
      efficientnet_b7: square(600),
      tf_efficientnet_b0: square(224),
      tf_efficientnet_b1: square(240),
      tf_efficientnet_b2: square(260),
      tf_efficientnet_b3: square(300),
      tf_efficientnet_b4: square(380),
      tf_efficientnet_b5: square(456),
      tf_efficientnet_b6: square(528),
      tf_efficientnet_b7: square(600),
    },
    load: () => import("./efficientnet.ts"),
    loadLayouts: () => import("./layouts/efficientnet.ts"),
  }),
  vit: family({
    title: "ViT",
    paper: "Dosovitskiy et al. 2020: An Image is Worth 16x16 Words (arXiv:2010.11929)",
    variants: {
      vit_ti_16: vit,
      vit_s_16: vit,
      vit_b_16: vit,
      vit_b_32: vit,
      vit_l_16: vit,
      vit_l_32: vit,
      vit_h_14: vit,
      vit_tiny_r_s16_p8_224: hybrid,
      vit_small_r26_s32_224: hybrid,
      vit_base_r50_s16_224: hybrid,
      vit_large_r50_s32_224: hybrid,
      cifar_vit: { input: cifar.input, fixedSize: true },
    },
    load: () => import("./vit.ts"),
    loadLayouts: () => import("./layouts/vit.ts"),
  }),
};

/** Names of all models. */
export const modelNames = (): string[] => Object.values(models).flatMap(({ variants }) => Object.keys(variants));

/** The family and the facts of a model. Throws with the nearest names for an unknown one. */
export function findModel(name: string): { readonly family: Family; readonly variant: Variant } {
  for (const family of Object.values(models))
    if (Object.hasOwn(family.variants, name)) return { family, variant: family.variants[name] };
  throw unknownName("model", name, modelNames());
}

/**
 * A model by name, such as `createModel("resnet18", { numClasses: 10 })`; it has no values before `initialize` or
 * `loadStateDict`. Throws with the nearest names for an unknown model or option.
 */
export const createModel = async (name: string, options: ModelOptions = {}): Promise<Layer> =>
  findModel(name).family.create(name, options);
