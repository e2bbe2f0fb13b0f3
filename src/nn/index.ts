export * from "./activation.ts";
export * from "./attention.ts";
export * from "./container.ts";
export * from "./conv.ts";
export * from "./dropout.ts";
export * from "./embedding.ts";
export { freeze, isBelow, type KeyMatch, type Trainable, trainable } from "./freeze.ts";
export * as init from "./init.ts";
export * from "./linear.ts";
export {
  Buffer,
  buffer,
  inEvalMode,
  initialize,
  type LoadOptions,
  type LoadReport,
  Module,
  Param,
  param,
  type StateDict,
} from "./module.ts";
export * from "./norm.ts";
export * from "./padding.ts";
export * from "./pool.ts";
export * from "./recurrent.ts";
export { allButLast, headOf, type Stage, stages } from "./stages.ts";
export * from "./upsample.ts";
