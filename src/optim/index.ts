export { clipByNorm, clipByValue, globalNorm } from "./clip.ts";
export { type Averageable, Ema, ema } from "./ema.ts";
export { type LayerwiseOptions, layerwiseDecay } from "./layerwise.ts";
export {
  noDecay,
  type Optimizable,
  Optimizer,
  type OptimizerOptions,
  optimizer,
  type ParamGroup,
} from "./optimizer.ts";
export {
  type AdagradOptions,
  type AdamOptions,
  adagrad,
  adam,
  adamW,
  type LambOptions,
  lamb,
  type RmspropOptions,
  type Rule,
  type RuleStep,
  rmsprop,
  type SgdOptions,
  sgd,
} from "./rules.ts";
export { GradScaler, type GradScalerOptions, gradScaler } from "./scaler.ts";
export {
  constant,
  cosineAnnealing,
  exponentialLR,
  linearLR,
  multiStepLR,
  type OneCycleOptions,
  oneCycle,
  polynomialLR,
  type Rate,
  type Schedule,
  sequential,
  stepLR,
  warmup,
} from "./schedule.ts";
