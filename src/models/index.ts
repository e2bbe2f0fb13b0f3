/** Models by name, and weights for them. */
export * from "./browser.ts";
export {
  describeWeights,
  fileClassifier,
  findWeights,
  isTimmRepository,
  loadWeights,
  openWeights,
  type Pretrained,
  type PretrainedOptions,
  pretrained,
  weightNames,
} from "./pretrained.ts";
export type { Weights } from "./weights/catalogue.ts";
export type { ClassifierFile, WeightsFile } from "./weights/file.ts";
