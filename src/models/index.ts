/** Models by name, and weights for them. */
export * from "./browser.ts";
export {
  describeWeights,
  findWeights,
  isTimmRepository,
  loadWeights,
  loadWithNewHead,
  type Pretrained,
  type PretrainedOptions,
  pretrained,
  weightNames,
} from "./pretrained.ts";
export type { Weights } from "./weights/catalogue.ts";
