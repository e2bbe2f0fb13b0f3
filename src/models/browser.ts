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
export { resizePositions } from "./positions.ts";
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
