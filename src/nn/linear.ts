import { linear } from "../ops/linear.ts";
import type { Tensor } from "../ops/tensor.ts";
import { uniform } from "./init.ts";
import { Module, type Param, param } from "./module.ts";

/** x weight^T + bias: [.., in] -> [.., out]. */
export class Linear extends Module {
  weight: Param; // [out, in]
  bias: Param | null; // [out]

  constructor(inFeatures: number, outFeatures: number, options: { readonly bias?: boolean } = {}) {
    super();
    const bound = 1 / Math.sqrt(inFeatures);
    this.weight = param([outFeatures, inFeatures], uniform(-bound, bound));
    this.bias = (options.bias ?? true) ? param([outFeatures], uniform(-bound, bound)) : null;
  }

  forward(x: Tensor): Tensor {
    return linear(x, this.weight, this.bias);
  }
}
