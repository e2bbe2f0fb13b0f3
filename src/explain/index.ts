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
export type { Heatmap } from "./heatmap.ts";
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
export {
  type BlackBox,
  readScores,
  readTarget,
  type SamplingOptions,
  type ScoreFunction,
  type Scores,
  type Target,
} from "./scores.ts";
