/** Training: recipes with typed arguments, runs and their folders, metrics, reports. */

export { type ImageInput, imageInput } from "../data/image-input.ts";
export {
  type Arg,
  type ArgSpec,
  ArgsError,
  type ArgValue,
  type ArgValues,
  checkArgs,
  choice,
  defaults,
  flag,
  flagName,
  float,
  formatArgs,
  helpText,
  int,
  parseArgs,
  text,
} from "./args.ts";
export type { CheckpointPolicy } from "./checkpoint-policy.ts";
export { type ClassifierCard, cardNotes, readCard } from "./classifier.ts";
export { classifierReport } from "./classifier-report.ts";
export { type Environment, readEnvironment } from "./environment.ts";
export {
  type EvaluateOptions,
  type Evaluation,
  evaluateClassifier,
  type Judged,
  predictLogits,
  topClasses,
} from "./evaluate.ts";
export { extractFeatures, FeatureDataset, splitHead } from "./features.ts";
export { fetchProgress } from "./fetching.ts";
export {
  accuracy,
  argmaxRows,
  type ClassScore,
  ConfusionMatrix,
  classScores,
  macroAverage,
  mostConfused,
  RunningMean,
  topKAccuracy,
} from "./metrics.ts";
export { type MetricRecord, type MetricValue, readMetrics } from "./metrics-log.ts";
export type { OutputMode, OutputOptions, TextStream } from "./output.ts";
export { batchSheet, contactSheet, pictureOf } from "./pictures.ts";
export { type ProgressPlan, showDuration, showNumber } from "./progress.ts";
export {
  type ExecuteOptions,
  execute,
  type Outcome,
  type Recipe,
  type RecipeDefinition,
  recipe,
  resume,
} from "./recipe.ts";
export type * from "./report/data.ts";
export { html, Markup } from "./report/markup.ts";
export { renderReport } from "./report/page.ts";
export { encodePng, type Picture } from "./report/png.ts";
export { writeReport } from "./report/write.ts";
export {
  type BeginOptions,
  NonFiniteLossError,
  Run,
  RunInterrupted,
  type RunOptions,
  type SessionOptions,
} from "./run.ts";
export {
  currentStatus,
  type Metric,
  type RunRecord,
  type RunStatus,
  readRunRecord,
  type Session,
} from "./run-record.ts";
export {
  type ComparedRow,
  compareRuns,
  listRuns,
  type RunComparison,
  type RunSummary,
  readRun,
} from "./runs.ts";
export { type Part, savedNumbers } from "./state.ts";
export {
  findStart,
  inputAt,
  type StartingWeights,
  type StartOptions,
  scalingOf,
  startModel,
  type TrainedPartsOptions,
  type TransferMode,
  trainedParts,
} from "./transfer.ts";
