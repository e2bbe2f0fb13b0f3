/** Explanations of predictions, for the models of this project and for any function that returns scores. */
export { gaussianBlur } from "./blur.ts";
export {
  type ColourMap,
  colourGradient,
  colourMaps,
  colourTable,
  contour,
  type DrawOptions,
  drawHeatmap,
  type OverlayOptions,
  outline,
  overlay,
} from "./draw.ts";
export { type Heatmap, resizeHeatmap } from "./heatmap.ts";
export {
  type BlackBox,
  readScores,
  readTarget,
  type SamplingOptions,
  type ScoreFunction,
  type Scores,
  type Target,
} from "./scores.ts";
export {
  type Canvas,
  type RandomOrderOptions,
  type RemovalCurve,
  type RemovalCurves,
  type RemovalOptions,
  randomRemovalCurves,
  removalCurves,
  removalGain,
} from "./trust/deletion-insertion.ts";
export {
  type RandomizationOptions,
  type RandomizationResult,
  type RandomizationStep,
  type RandomizationVerdict,
  randomizationTest,
} from "./trust/randomization.ts";
export { rankCorrelation, structuralSimilarity } from "./trust/similarity.ts";
