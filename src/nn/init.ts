import { type DType, filledArray, isFloat, isHalf, storeValues, type TypedArray } from "../core/dtype.ts";
import { ManabiError } from "../core/errors.ts";
import { type Key, Rng } from "../core/rng.ts";
import { type Shape, sizeOf } from "../core/shape.ts";

/** Fills a new parameter of `shape`; the same key gives the same values everywhere. */
export type Initializer = (shape: Shape, dtype: DType, key: Key) => TypedArray;

const fill =
  (into: (values: Float32Array | Float64Array, rng: Rng) => void): Initializer =>
  (shape, dtype, key) => {
    if (!isFloat(dtype)) throw new ManabiError(`init: random initial values are floats, this parameter is ${dtype}`);
    const values = new (dtype === "f64" ? Float64Array : Float32Array)(sizeOf(shape));
    into(values, new Rng(key));
    return isHalf(dtype) ? storeValues(values, dtype) : values;
  };

export const constantInit =
  (value: number): Initializer =>
  (shape, dtype) =>
    filledArray(sizeOf(shape), dtype, value);
export const zeros = constantInit(0);
export const ones = constantInit(1);
export const uniform = (low: number, high: number): Initializer =>
  fill((values, rng) => rng.fillUniform(values, low, high));
export const normal = (mean = 0, std = 1): Initializer => fill((values, rng) => rng.fillNormal(values, mean, std));
/** Normal within two standard deviations of the mean; what falls outside is drawn again. */
export const truncatedNormal = (mean = 0, std = 1): Initializer =>
  fill((values, rng) => {
    for (let i = 0; i < values.length; i++) {
      let x = rng.normal();
      while (Math.abs(x) > 2) x = rng.normal();
      values[i] = mean + std * x;
    }
  });

/** Inputs and outputs of one unit: weight [out, in, kernel..]. */
export function fans(shape: Shape): { fanIn: number; fanOut: number } {
  const field = sizeOf(shape.slice(2));
  return { fanIn: (shape[1] ?? 1) * field, fanOut: (shape[0] ?? 1) * field };
}

export interface KaimingOptions {
  readonly mode?: "fanIn" | "fanOut";
  /** sqrt(2) for ReLU; sqrt(2 / (1 + slope^2)) for leaky ReLU. */
  readonly gain?: number;
}

/** He et al. 2015: uniform within gain * sqrt(3 / fan). */
export const kaimingUniform =
  ({ mode = "fanIn", gain = Math.SQRT2 }: KaimingOptions = {}): Initializer =>
  (shape, dtype, key) => {
    const bound = gain * Math.sqrt(3 / fans(shape)[mode]);
    return uniform(-bound, bound)(shape, dtype, key);
  };
/** He et al. 2015: normal with deviation gain / sqrt(fan). */
export const kaimingNormal =
  ({ mode = "fanIn", gain = Math.SQRT2 }: KaimingOptions = {}): Initializer =>
  (shape, dtype, key) =>
    normal(0, gain / Math.sqrt(fans(shape)[mode]))(shape, dtype, key);
/** Glorot and Bengio 2010: uniform within gain * sqrt(6 / (fan in + fan out)). */
export const xavierUniform =
  (gain = 1): Initializer =>
  (shape, dtype, key) => {
    const { fanIn, fanOut } = fans(shape);
    const bound = gain * Math.sqrt(6 / (fanIn + fanOut));
    return uniform(-bound, bound)(shape, dtype, key);
  };
export const xavierNormal =
  (gain = 1): Initializer =>
  (shape, dtype, key) => {
    const { fanIn, fanOut } = fans(shape);
    return normal(0, gain * Math.sqrt(2 / (fanIn + fanOut)))(shape, dtype, key);
  };
