/** ONNX: models out to other runtimes, and in from other frameworks. @module */
export { type ExportOptions, exportOnnx } from "./export.ts";
export { type LoadOnnxOptions, loadOnnx, type OnnxModel, type OnnxValue } from "./load.ts";
export type { InputSpec } from "./trace.ts";
