import type { HostArray } from "../core/dtype.ts";
import type { Layer } from "../nn/container.ts";
import { softmax } from "../ops/activation.ts";
import { concatenate, type Tensor } from "../ops/tensor.ts";
import { felzenszwalb, quickshift, type Segmentation, slic } from "../superpixels/index.ts";
import { predictLogits } from "../train/evaluate.ts";
import { gaussianBlur } from "./blur.ts";
import { cam } from "./cam.ts";
import type { ClassMaps } from "./class-maps.ts";
import { gradCam, gradCamPlusPlus, guidedGradCam } from "./grad-cam.ts";
import { type Attribution, guidedBackprop, inputXGradient, saliency } from "./gradients.ts";
import { channelHeatmaps, type Heatmap } from "./heatmap.ts";
import { integratedGradients } from "./integrated.ts";
import { limeImage } from "./lime/image.ts";
import { occlusion } from "./occlusion.ts";
import { regionHeatmap } from "./plots/image.ts";
import { forwardOf } from "./scalar.ts";
import type { BlackBox, SamplingOptions } from "./scores.ts";
import { deepShap } from "./shap/deep.ts";
import { gradientShap } from "./shap/gradient.ts";
import { kernelShap } from "./shap/kernel.ts";
import { imageMasker } from "./shap/masker.ts";
import type { ShapValues } from "./shap/shap-values.ts";
import { smoothGrad } from "./smooth-grad.ts";

/** How an image is divided for methods that hide parts of it. */
export const superpixelMethods = { slic, quickshift, felzenszwalb } as const;
export type SuperpixelMethod = keyof typeof superpixelMethods;

/** Why does a classifier give an image this class? */
export interface ImageQuestion extends SamplingOptions {
  /** Images [n, c, h, w] -> logits [n, classes]. */
  readonly model: Layer;
  /** What methods that need scores alone ask instead. Default: the model's probabilities. */
  readonly scores?: BlackBox;
  /** As the model takes it, [c, h, w]. */
  readonly image: Tensor;
  /** The class. */
  readonly target: number;
  /** The picture that the image was made of, u8 [h, w, c], in which superpixels are looked for. */
  readonly picture: HostArray;
  /** For Grad-CAM and its kin: the key of the layer. Default: the last one whose output is a map. */
  readonly layer?: string;
  /** How often sampling methods ask the model. */
  readonly samples?: number;
  /** Default "slic". */
  readonly superpixels?: SuperpixelMethod;
}

/** A number that belongs to an explanation. */
export interface Fact {
  readonly label: string;
  readonly value: number | string;
}

/** What a method answers. */
export interface ImageAnswer {
  /** As large as the image. */
  readonly heatmap: Heatmap;
  readonly facts: readonly Fact[];
}

/** A method that explains a class of an image by a map. */
export interface ImageMethod {
  readonly title: string;
  /** What its map shows. */
  readonly about: string;
  readonly paper: string;
  explain(question: ImageQuestion): Promise<ImageAnswer>;
}

/** Probabilities of the classes, in one compiled call per batch: images [n, c, h, w] -> [n, classes]. */
export const probabilitiesOf =
  (model: Layer): BlackBox =>
  (images) =>
    softmax(predictLogits(model, images), -1);

const scoresOf = ({ scores, model }: ImageQuestion): BlackBox => scores ?? probabilitiesOf(model);

const batchOf = ({ image }: ImageQuestion): Tensor => image.unsqueeze(0);

/** What methods by gradients are asked. */
const asked = ({ target, batchSize }: ImageQuestion) => ({ target, batchSize });

/** What methods by weighted feature maps are asked. */
const atLayer = (question: ImageQuestion) => ({ ...asked(question), layer: question.layer });

/** What sampling methods are told besides. */
const sampling = ({ seed, onProgress, signal }: ImageQuestion) => ({ seed, onProgress, signal });

const ofMaps = ({ heatmaps: [heatmap], layer }: ClassMaps): ImageAnswer => ({
  heatmap,
  facts: layer === null ? [] : [{ label: "layer", value: layer }],
});
const ofValues = (
  attribution: Attribution,
  facts: readonly Fact[] = [],
  channels?: "sum" | "largest",
): ImageAnswer => ({
  heatmap: channelHeatmaps(attribution, channels)[0],
  facts,
});

const additivity = ({ gap }: ShapValues): Fact[] => [{ label: "additivity error", value: gap }];

const ofShap = (shap: ShapValues, { shape }: Tensor): ImageAnswer => ({
  heatmap: channelHeatmaps({ shape: [1, ...shape], values: shap.values })[0],
  facts: additivity(shap),
});

/** What an image may be where nothing is known of it: [2, c, h, w]. */
const absences = (image: Tensor): Tensor => {
  const whole = image.unsqueeze(0);
  return concatenate([whole.mul(0), gaussianBlur(whole, Math.max(...image.shape.slice(1)) / 20)], 0);
};

const count = ({ count }: Segmentation): Fact => ({ label: "superpixels", value: count });

/** All methods for images, by the name that the command line knows them by. */
export const imageMethods = {
  gradcam: {
    title: "Grad-CAM",
    about: "Where the last feature maps speak for the class: they are weighted by their mean gradient. Coarse.",
    paper: "Selvaraju et al. 2017",
    explain: async (q) => ofMaps(await gradCam(q.model, batchOf(q), atLayer(q))),
  },
  "gradcam++": {
    title: "Grad-CAM++",
    about: "Grad-CAM that counts places with a positive gradient alone, so that several objects of a class all show.",
    paper: "Chattopadhyay et al. 2018",
    explain: async (q) => ofMaps(await gradCamPlusPlus(q.model, batchOf(q), atLayer(q))),
  },
  cam: {
    title: "CAM",
    about: "The feature maps before the average, weighted by the head. For networks that end in one linear layer only.",
    paper: "Zhou et al. 2016",
    explain: async (q) => ofMaps(await cam(q.model, batchOf(q), asked(q))),
  },
  "guided-gradcam": {
    title: "Guided Grad-CAM",
    about: "Guided backpropagation where Grad-CAM is warm: fine lines, which need not be what the model relies on.",
    paper: "Selvaraju et al. 2017",
    explain: async (q) => ofValues(await guidedGradCam(q.model, batchOf(q), atLayer(q))),
  },
  saliency: {
    title: "Gradient",
    about: "How much a small change of each pixel would move the score, whatever its direction. Noisy.",
    paper: "Simonyan et al. 2014",
    explain: async (q) => ofValues(await saliency(q.model, batchOf(q), asked(q)), [], "largest"),
  },
  "input-x-gradient": {
    title: "Input × gradient",
    about: "A first estimate of what each pixel adds to the score, for and against. Noisy.",
    paper: "Shrikumar et al. 2016",
    explain: async (q) => ofValues(await inputXGradient(q.model, batchOf(q), asked(q))),
  },
  "guided-backprop": {
    title: "Guided backpropagation",
    about: "Gradients that flow back through active and positive units alone. Sharp, but hardly depends on the class.",
    paper: "Springenberg et al. 2015",
    explain: async (q) => ofValues(await guidedBackprop(q.model, batchOf(q), asked(q))),
  },
  "integrated-gradients": {
    title: "Integrated gradients",
    about:
      "What each pixel adds to the score on the way from a grey image to this one; all together are the difference.",
    paper: "Sundararajan et al. 2017",
    async explain(q) {
      const { onProgress, signal, samples } = q;
      const often = samples === undefined ? { tolerance: 1e-3 } : { steps: samples };
      const found = await integratedGradients(q.model, batchOf(q), { ...asked(q), ...often, onProgress, signal });
      const [difference, error] = [found.completeness.difference[0], found.completeness.error[0]];
      return ofValues(found, [
        { label: "steps", value: found.steps },
        { label: "completeness error", value: Math.abs(error / difference) },
      ]);
    },
  },
  smoothgrad: {
    title: "SmoothGrad",
    about: "The mean gradient of noisy copies of the image, whatever its direction: less noise than one gradient.",
    paper: "Smilkov et al. 2017",
    async explain(q) {
      const { samples } = q;
      const found = await smoothGrad(q.model, batchOf(q), { ...asked(q), ...sampling(q), samples, method: saliency });
      return ofValues(found, [], "largest");
    },
  },
  "gradient-shap": {
    title: "Gradient SHAP",
    about: "Integrated gradients averaged over what absence may be: a grey image and the picture out of focus.",
    paper: "Erion et al. 2021",
    async explain(q) {
      const options = { targets: [q.target], batchSize: q.batchSize, samples: q.samples ?? 50, ...sampling(q) };
      const [shap] = await gradientShap(forwardOf(q.model), batchOf(q), absences(q.image), options);
      return ofShap(shap, q.image);
    },
  },
  "deep-shap": {
    title: "Deep SHAP",
    about:
      "What each pixel adds compared with a grey image and the picture out of focus, by rules for every operation.",
    paper: "Lundberg and Lee 2017",
    async explain(q) {
      const options = { targets: [q.target], batchSize: q.batchSize, ...sampling(q) };
      const [shap] = await deepShap(forwardOf(q.model), batchOf(q), absences(q.image), options);
      return ofShap(shap, q.image);
    },
  },
  lime: {
    title: "LIME",
    about: "A linear model of which superpixels are seen, fitted around the picture; R² tells how far to believe it.",
    paper: "Ribeiro et al. 2016",
    async explain(q) {
      const segments = superpixelsOf(q);
      const options = { targets: [q.target], samples: q.samples, batchSize: q.batchSize, ...sampling(q) };
      const [{ heatmap, fidelity }] = await limeImage(scoresOf(q), q.image, { ...options, segments });
      return { heatmap, facts: [{ label: "R²", value: fidelity }, count(segments)] };
    },
  },
  shap: {
    title: "Kernel SHAP",
    about: "What each superpixel adds to the probability, shared out fairly; hidden ones have the mean colour.",
    paper: "Lundberg and Lee 2017",
    async explain(q) {
      const regions = superpixelsOf(q);
      const masker = imageMasker(q.image, regions);
      const options = { targets: [q.target], batchSize: q.batchSize, ...sampling(q) };
      const budget = Math.max(q.samples ?? 1000, 2 * regions.count);
      const [shap] = await kernelShap(scoresOf(q), masker, { ...options, budget });
      return { heatmap: regionHeatmap(shap, regions), facts: [...additivity(shap), count(regions)] };
    },
  },
  occlusion: {
    title: "Occlusion",
    about: "How much the probability falls when a grey square covers a place. Needs scores alone.",
    paper: "Zeiler and Fergus 2014",
    async explain(q) {
      const options = { target: q.target, batchSize: q.batchSize, ...sampling(q) };
      const { heatmaps } = await occlusion(scoresOf(q), batchOf(q), options);
      return { heatmap: heatmaps[0], facts: [] };
    },
  },
} as const satisfies Record<string, ImageMethod>;
export type ImageMethodName = keyof typeof imageMethods;
export const imageMethodNames = Object.keys(imageMethods) as readonly ImageMethodName[];

/** The superpixels of the picture. */
export const superpixelsOf = ({ picture, superpixels = "slic" }: ImageQuestion): Segmentation =>
  superpixelMethods[superpixels](picture);
