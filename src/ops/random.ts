import { computeDType, type DType } from "../core/dtype.ts";
import { seedKey } from "../core/rng.ts";
import type { Shape } from "../core/shape.ts";
import { randomBits } from "../primitives/control.ts";
import { div } from "../primitives/elementwise.ts";
import { constant } from "../primitives/leaf.ts";
import { Tensor, tensor } from "./tensor.ts";
import { Variable } from "./variable.ts";

/**
 * A stream of random tensors: Threefry-2x32 of a key and a counter that every draw advances. The counter is a variable,
 * so draws inside of a jitted step differ from step to step, and a saved state continues the stream.
 */
export class Generator {
  /** u32 [3]: key, key, counter. */
  readonly state: Variable;

  constructor(seed: number) {
    const [k0, k1] = seedKey(seed);
    this.state = new Variable(tensor(Uint32Array.of(k0, k1, 0)));
  }

  /** Starts the stream of another seed. */
  seed(seed: number): void {
    const [k0, k1] = seedKey(seed);
    this.state.assign(tensor(Uint32Array.of(k0, k1, 0)));
  }

  /** 32 random bits per element, u32. */
  bits(shape: Shape): Tensor {
    const state = this.state.value;
    this.state.assign(state.add(tensor(Uint32Array.of(0, 0, 1))));
    return new Tensor(randomBits(state.node, shape));
  }

  /** Uniform in [low, high). */
  uniform(
    shape: Shape,
    options: { readonly low?: number; readonly high?: number; readonly dtype?: DType } = {},
  ): Tensor {
    const { low = 0, high = 1, dtype = "f32" } = options;
    // As many bits as fill the mantissa, without rounding up to 1.
    const digits = dtype === "bf16" ? 8 : dtype === "f16" ? 11 : 24;
    const integers = new Tensor(div(this.bits(shape).node, constant(2 ** (32 - digits), shape, "u32")));
    const unit = integers.cast(computeDType(dtype)).mul(2 ** -digits);
    return unit
      .mul(high - low)
      .add(low)
      .cast(dtype);
  }

  /** Normal with the given mean and standard deviation (Box-Muller). */
  normal(
    shape: Shape,
    options: { readonly mean?: number; readonly std?: number; readonly dtype?: DType } = {},
  ): Tensor {
    const { mean = 0, std = 1, dtype = "f32" } = options;
    const wide = { dtype: computeDType(dtype) };
    const radius = this.uniform(shape, wide).neg().add(1).log().mul(-2).sqrt();
    const angle = this.uniform(shape, wide).mul(2 * Math.PI);
    return radius.mul(angle.cos()).mul(std).add(mean).cast(dtype);
  }

  /** True with probability `p`. */
  bernoulli(p: number, shape: Shape): Tensor {
    return this.uniform(shape).lt(p);
  }
}

/** The stream that layers draw from unless they are given one of their own. */
export const defaultGenerator = new Generator(0);

/** Seeds the default stream. */
export const manualSeed = (seed: number): void => defaultGenerator.seed(seed);
