export type { BackendName } from "./backends/provider.ts";
export {
  type BackendStatus,
  backendStatus,
  prepareBackend,
  setBackend,
  setProcessor,
  setThreads,
  threadCount,
} from "./backends/select.ts";
export type { WebGpuOptions } from "./backends/webgpu/open.ts";
export type { DType, HalfDType, HostArray, TypedArray } from "./core/dtype.ts";
export { FormatError, ManabiError, ShapeError } from "./core/errors.ts";
export type { Shape } from "./core/shape.ts";
export { type MatrixPrecision, matrixPrecision, setMatrixPrecision, withMatrixPrecision } from "./graph/precision.ts";
export * from "./ops/activation.ts";
export * from "./ops/attention.ts";
export { autocast } from "./ops/autocast.ts";
export {
  type ConvOptions,
  type ConvPadding,
  type ConvTransposeOptions,
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  type PerAxis,
  samePadding,
} from "./ops/conv.ts";
export * from "./ops/creation.ts";
export * from "./ops/dropout.ts";
export * from "./ops/functions.ts";
export { checkpoint, customVjp, type Gradients, grad, stopGradient, valueAndGrad, vjp } from "./ops/grad.ts";
export * from "./ops/indexing.ts";
export { type Jitted, jit } from "./ops/jit.ts";
export * from "./ops/joining.ts";
export * from "./ops/linear.ts";
export * from "./ops/loss/index.ts";
export * from "./ops/norm.ts";
export * from "./ops/padding.ts";
export * from "./ops/pool.ts";
export { defaultGenerator, Generator, manualSeed } from "./ops/random.ts";
export * from "./ops/resize.ts";
export { scan } from "./ops/scan.ts";
export {
  type Axes,
  concatenate as concat,
  fromHost,
  matmul,
  type ReduceOptions,
  Tensor,
  type TensorLike,
  tensor,
  where,
} from "./ops/tensor.ts";
export type { Tree } from "./ops/tree.ts";
export { Variable, variable } from "./ops/variable.ts";
