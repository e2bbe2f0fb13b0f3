import { ManabiError } from "../../core/errors.ts";
import { Tensor } from "../../ops/tensor.ts";
import { barrier } from "../../primitives/control.ts";
import type { ScoreFunction } from "../scores.ts";
import { checkNetworkInput, explainNetwork, type NetworkShapOptions, type Pairs } from "./network.ts";
import { multipliers } from "./rescale.ts";
import { type ShapValues, tolerances } from "./shap-values.ts";

/**
 * Deep SHAP (Lundberg and Lee 2017): DeepLIFT's contributions of every number of the examples x [n, ...], averaged over
 * the rows of `background` [rows, ...]; approximate Shapley values in the time of a few backward passes. One entry per
 * target. The function is explained as the graph of operations it builds; call `eval()` on a model first.
 */
export async function deepShap(
  fn: ScoreFunction,
  x: Tensor,
  background: Tensor,
  options: NetworkShapOptions = {},
): Promise<ShapValues[]> {
  checkNetworkInput("deepShap", x, background);
  const rows = Int32Array.from({ length: background.shape[0] }, (_, i) => i);
  const samples = { rows, positions: new Float64Array(rows.length), drawn: false };
  const method = { name: "deepShap", attribute: contributions, tolerance: tolerances.deep };
  return explainNetwork(method, fn, x, background, samples, options);
}

/** The multipliers times the change of every number. */
function contributions(fn: ScoreFunction, { own, reference, cotangent }: Pairs): Tensor {
  // Leaves of their own, so that only what goes through the argument counts.
  const [input, other] = [barrier(own.node, []), barrier(reference.node, [])];
  const scores = fn(new Tensor(input));
  const found = multipliers(scores.node, cotangent.cast(scores.dtype).node, input, other);
  if (!found)
    throw new ManabiError(
      "deepShap: the scores do not depend on the examples; the function must compute them from its argument",
    );
  return new Tensor(found).mul(own.sub(reference));
}
