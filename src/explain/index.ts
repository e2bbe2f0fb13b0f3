/** Explanations of predictions, for the models of this project and for any function that returns scores. */
export type { BatchOptions } from "./batches.ts";
export { type CamOptions, cam } from "./cam.ts";
export type { ClassMaps } from "./class-maps.ts";
export { type GradCamOptions, gradCam, gradCamPlusPlus, guidedGradCam } from "./grad-cam.ts";
export {
  type Attribution,
  type GradientMethod,
  type GradientOptions,
  guidedBackprop,
  inputXGradient,
  type SaliencyOptions,
  saliency,
} from "./gradients.ts";
export { type ChannelReduction, channelHeatmaps, type Heatmap, resizeHeatmap } from "./heatmap.ts";
export { type IntegratedGradients, type IntegratedOptions, integratedGradients } from "./integrated.ts";
export { type OcclusionOptions, type Occlusions, occlusion } from "./occlusion.ts";
export type { Quadrature } from "./quadrature.ts";
export type { Explained, ScalarOptions, ScalarTarget, Scorer } from "./scalar.ts";
export {
  type BlackBox,
  readScores,
  readTarget,
  type SamplingOptions,
  type ScoreFunction,
  type Scores,
  type Target,
} from "./scores.ts";
export { type SmoothGradOptions, smoothGrad } from "./smooth-grad.ts";
export { lastMapLayer, mapLayers, type TokenGrid } from "./tap.ts";
