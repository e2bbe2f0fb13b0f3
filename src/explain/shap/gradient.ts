import { ManabiError } from "../../core/errors.ts";
import { Rng, seedKey } from "../../core/rng.ts";
import { vjp } from "../../ops/grad.ts";
import type { Tensor } from "../../ops/tensor.ts";
import type { ScoreFunction } from "../scores.ts";
import { checkNetworkInput, explainNetwork, type NetworkShapOptions, type Pairs } from "./network.ts";
import type { ShapValues } from "./shap-values.ts";

export interface GradientShapOptions extends NetworkShapOptions {
  /** Draws of a background row and a point on the way from it to the example. */
  readonly samples?: number;
}

/**
 * Gradient SHAP, or expected gradients (Erion et al. 2021): integrated gradients averaged over the rows of `background`
 * [rows, ...], both averages by random draws. x is [n, ...]; one entry per target. The values add up in expectation only:
 * `gap` and `standardErrors` say how far the draws were from that.
 */
export async function gradientShap(
  fn: ScoreFunction,
  x: Tensor,
  background: Tensor,
  options: GradientShapOptions = {},
): Promise<ShapValues[]> {
  checkNetworkInput("gradientShap", x, background);
  const { samples = 200, seed = 0 } = options;
  if (!Number.isInteger(samples) || samples < 1)
    throw new ManabiError(`gradientShap: samples is ${samples}; it must be an integer of at least 1`);
  const rng = new Rng(seedKey(seed));
  const rows = Int32Array.from({ length: samples }, () => rng.int(background.shape[0]));
  const positions = Float64Array.from({ length: samples }, () => rng.uniform());
  const method = { name: "gradientShap", attribute: contributions, tolerance: null };
  return explainNetwork(method, fn, x, background, { rows, positions, drawn: true }, options);
}

/** The gradient on the way, times the change of every number. */
function contributions(fn: ScoreFunction, { own, reference, position, cotangent }: Pairs): Tensor {
  const change = own.sub(reference);
  const [scores, pull] = vjp(fn, reference.add(change.mul(position)));
  return pull(cotangent.cast(scores.dtype))[0].mul(change);
}
