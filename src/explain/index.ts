/** Explanations of predictions, for the models of this project and for any function that returns scores. */
export type { Heatmap } from "./heatmap.ts";
export {
  type BlackBox,
  readScores,
  readTarget,
  type SamplingOptions,
  type ScoreFunction,
  type Scores,
  type Target,
} from "./scores.ts";
