export { type BackendName, type BackendStatus, backendStatus, setBackend, setThreads } from "./backends/select.ts";
export type { DType, HostArray, TypedArray } from "./core/dtype.ts";
export { FormatError, ManabiError, ShapeError } from "./core/errors.ts";
export type { Shape } from "./core/shape.ts";
export { checkpoint, type Gradients, grad, stopGradient, valueAndGrad, vjp } from "./ops/grad.ts";
export { type Jitted, jit } from "./ops/jit.ts";
export * from "./ops/loss/index.ts";
export { defaultGenerator, Generator, manualSeed } from "./ops/random.ts";
export { scan } from "./ops/scan.ts";
export {
  type Axes,
  concatenate,
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
