import { type InterpolateOptions, interpolate } from "../ops/resize.ts";
import type { Tensor } from "../ops/tensor.ts";
import { Module } from "./module.ts";

/** x [n, c, s..] resampled to `size` or by `scaleFactor`. */
export class Upsample extends Module {
  readonly options: InterpolateOptions;

  constructor(options: InterpolateOptions) {
    super();
    this.options = options;
  }

  forward(x: Tensor): Tensor {
    return interpolate(x, this.options);
  }
}
