export * from "./activation.ts";
export * from "./container.ts";
export * from "./conv.ts";
export * from "./dropout.ts";
export * as init from "./init.ts";
export * from "./linear.ts";
export {
  Buffer,
  buffer,
  initialize,
  type LoadOptions,
  type LoadReport,
  Module,
  Param,
  param,
  type StateDict,
} from "./module.ts";
export * from "./norm.ts";
export * from "./pool.ts";
