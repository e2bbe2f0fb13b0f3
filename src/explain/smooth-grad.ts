import { ManabiError, unknownName } from "../core/errors.ts";
import { jit } from "../ops/jit.ts";
import { Generator } from "../ops/random.ts";
import { concatenate, type Tensor } from "../ops/tensor.ts";
import { batchSizeOf, countOf, spans } from "./batches.ts";
import { type Attribution, type GradientMethod, type GradientOptions, saliency } from "./gradients.ts";
import type { Scorer } from "./scalar.ts";
import type { SamplingOptions } from "./scores.ts";

export interface SmoothGradOptions extends GradientOptions, SamplingOptions {
  /** The method that is averaged; default: the plain gradient, with its sign. Options of its own are given by a
   *  function: `(m, x, o) => integratedGradients(m, x, { ...o, steps: 20 })`. */
  readonly method?: GradientMethod;
  /** Noisy copies of each example (default 50). */
  readonly samples?: number;
  /** Standard deviation of the noise over the range, largest minus smallest value, of an example (default 0.15). */
  readonly noise?: number;
  /** "mean" is SmoothGrad, "square" averages squares, "variance" is VarGrad (Adebayo et al. 2018). */
  readonly average?: "mean" | "square" | "variance";
}

const plainGradient: GradientMethod = (model, inputs, options) =>
  saliency(model, inputs, { ...options, absolute: false });

const averages = {
  mean: (sum: number, _: number, n: number) => sum / n,
  square: (_: number, squares: number, n: number) => squares / n,
  variance: (sum: number, squares: number, n: number) => Math.max(0, squares / n - (sum / n) ** 2),
};

/**
 * The mean of a gradient method over copies of the inputs with Gaussian noise (Smilkov et al. 2017, arXiv:1706.03825):
 * what is noise in a gradient goes, what is near many copies stays. The class is that of the inputs without noise. The
 * same seed gives the same noise, whatever the batch size.
 */
export async function smoothGrad(model: Scorer, inputs: Tensor, options: SmoothGradOptions = {}): Promise<Attribution> {
  const { method = plainGradient, samples = 50, noise = 0.15, average = "mean", seed = 0 } = options;
  if (!Number.isInteger(samples) || samples < 1)
    throw new ManabiError(`samples: an integer >= 1 is needed, got ${samples}`);
  if (!(noise >= 0)) throw new ManabiError(`noise: a part of the range >= 0 is needed, got ${noise}`);
  if (!Object.hasOwn(averages, average)) throw unknownName("average of smoothGrad", average, Object.keys(averages));
  const count = countOf(inputs);
  const batchSize = batchSizeOf(options, inputs);
  const { scores, classes, shape } = await plainGradient(model, inputs, { target: options.target, batchSize });
  const generator = new Generator(seed);
  const axes = inputs.shape.slice(1).map((_, i) => i + 1);
  const keep = { keepDims: true } as const;
  const std = inputs.max(axes, keep).sub(inputs.min(axes, keep)).mul(noise);
  // Compiled once, and drawn copy by copy, so that the noise does not depend on the batch size.
  const noisy = jit((x: Tensor, std: Tensor) => generator.normal(x.shape, { dtype: x.dtype }).mul(std).add(x));
  const [total, squares] = [new Float64Array(inputs.size), new Float64Array(inputs.size)];
  for (const [from, to] of spans(samples, Math.max(1, Math.floor(batchSize / count)))) {
    options.signal?.throwIfAborted();
    const copies = Array.from({ length: to - from }, () => noisy(inputs, std));
    const target = classes ? copies.flatMap(() => [...classes]) : options.target;
    const { values } = await method(model, concatenate(copies, 0), { target, batchSize });
    for (const [j, value] of values.entries()) {
      total[j % total.length] += value;
      squares[j % total.length] += value * value;
    }
    options.onProgress?.(to * count, samples * count);
  }
  const merge = averages[average];
  return { scores, classes, shape, values: total.map((sum, j) => merge(sum, squares[j], samples)) };
}
