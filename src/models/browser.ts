/** The part of `manabi/models` that fetches nothing: models by name. */
export {
  type CompoundBases,
  type CompoundScale,
  compoundScale,
  feasibleBases,
  flopsFactor,
  published as publishedBases,
  searchBases,
} from "./compound-scaling.ts";
export type { ModelOptions } from "./options.ts";
export { resizePositions } from "./positions.ts";
export {
  createModel,
  type Family,
  findModel,
  modelNames,
  models,
  type Variant,
} from "./registry.ts";
export { formatSummary, type Summary, type SummaryRow, summarize } from "./summary.ts";
export { type Described, describeTensors, modelsOf, type TakeOptions, takeWeights } from "./take-weights.ts";
