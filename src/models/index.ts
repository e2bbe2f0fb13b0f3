/** Models by name, and weights for them. */

export {
  type CompoundBases,
  type CompoundScale,
  compoundScale,
  feasibleBases,
  flopsFactor,
  published as publishedBases,
  searchBases,
} from "./compound-scaling.ts";
export { resizePositions } from "./positions.ts";
export {
  findWeights,
  isTimmRepository,
  loadWeights,
  type Pretrained,
  type PretrainedOptions,
  pretrained,
  weightNames,
} from "./pretrained.ts";
export {
  createModel,
  type Family,
  findModel,
  type ModelOptions,
  modelNames,
  models,
  type Variant,
} from "./registry.ts";
export { formatSummary, type Summary, type SummaryRow, summarize } from "./summary.ts";
export type { Weights } from "./weights/catalogue.ts";
