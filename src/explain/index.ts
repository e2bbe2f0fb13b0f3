/** Explanations of predictions, for the models of this project and for any function that returns scores. */

export {
  type FelzenszwalbOptions,
  felzenszwalb,
  type QuickshiftOptions,
  quickshift,
  type Segmentation,
  type SlicOptions,
  slic,
} from "../superpixels/index.ts";
export type { BatchOptions } from "./batches.ts";
export { gaussianBlur } from "./blur.ts";
export { type CamOptions, cam } from "./cam.ts";
export type { ClassMaps } from "./class-maps.ts";
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
export {
  type Fact,
  type ImageAnswer,
  type ImageMethod,
  type ImageMethodName,
  type ImageQuestion,
  imageMethods,
  probabilitiesOf,
  type SuperpixelMethod,
} from "./image-methods.ts";
export { type IntegratedGradients, type IntegratedOptions, integratedGradients } from "./integrated.ts";
export { type ImageExplanation, type LimeImageOptions, limeImage } from "./lime/image.ts";
export type { Neighbourhood } from "./lime/moments.ts";
export type { Explanation, LimeOptions } from "./lime/sampling.ts";
export {
  cosineDistances,
  type FeatureSelection,
  type FeatureWeight,
  fitSurrogate,
  proximity,
  type Surrogate,
  type SurrogateOptions,
} from "./lime/surrogate.ts";
export {
  type Bin,
  type BinnedColumn,
  type CategoricalColumn,
  type Column,
  describeTable,
  type NumericColumn,
  type TableOptions,
} from "./lime/table.ts";
export { type ColumnWeight, type LimeTabularOptions, limeTabular } from "./lime/tabular.ts";
export { type LimeTextOptions, limeText, type WordWeight } from "./lime/text.ts";
export { type OcclusionOptions, type Occlusions, occlusion } from "./occlusion.ts";
export {
  type ExplanationPage,
  renderExplanations,
  type ShownClass,
  type ShownMethod,
  type ShownPicture,
} from "./page.ts";
export { type BarPlotOptions, barPlot } from "./plots/bar.ts";
export { summaryPlot } from "./plots/beeswarm.ts";
export { type DependencePlotOptions, dependencePlot } from "./plots/dependence.ts";
export type { PlotOptions } from "./plots/frame.ts";
export { type ImageMap, imagePlot, regionHeatmap } from "./plots/image.ts";
export { textPlot } from "./plots/text.ts";
export { waterfallPlot } from "./plots/waterfall.ts";
export type { Quadrature } from "./quadrature.ts";
export type { Explained, ScalarOptions, ScalarTarget, Scorer } from "./scalar.ts";
export {
  type BlackBox,
  readScores,
  readTarget,
  readTargets,
  type SamplingOptions,
  type ScoreFunction,
  type Scores,
  type ScoreTable,
  type Target,
} from "./scores.ts";
export type { ShapOptions } from "./shap/coalitions.ts";
export { deepShap } from "./shap/deep.ts";
export { exactShap } from "./shap/exact.ts";
export { type GradientShapOptions, gradientShap } from "./shap/gradient.ts";
export { type KernelShapOptions, kernelShap } from "./shap/kernel.ts";
export { type LinearModel, type LinearShapOptions, linearShap } from "./shap/linear.ts";
export {
  type ImageMaskerOptions,
  imageMasker,
  type MaskedRows,
  type Masker,
  type TableMaskerOptions,
  tableMasker,
  type WordMaskerOptions,
  wordMasker,
} from "./shap/masker.ts";
export type { NetworkShapOptions } from "./shap/network.ts";
export { type PermutationShapOptions, permutationShap } from "./shap/permutation.ts";
export type { ShapValues } from "./shap/shap-values.ts";
export { type TreeShapOptions, treeShap } from "./shap/tree-shap.ts";
export { predictTrees, type Tree, type TreeEnsemble, withCover } from "./shap/trees/ensemble.ts";
export { type EnsembleArrays, type TreeArrays, treesFromArrays } from "./shap/trees/read-arrays.ts";
export { treesFromLightgbm, treesFromXgboost, type XgboostOptions } from "./shap/trees/read-boosted.ts";
export { type MlForestOptions, treesFromMlForest } from "./shap/trees/read-ml-forest.ts";
export { type SmoothGradOptions, smoothGrad } from "./smooth-grad.ts";
export { lastMapLayer, mapLayers, type TokenGrid } from "./tap.ts";
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
