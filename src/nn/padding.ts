import { type PadOptions, pad } from "../ops/padding.ts";
import type { Tensor } from "../ops/tensor.ts";
import { Module } from "./module.ts";

/**
 * x [n, c, s..] padded by `amounts`: a number for all sides of all spatial axes, or [before, after] for each of the last
 * axes. By `mode` it stands for PyTorch's ConstantPad, ReflectionPad, ReplicationPad and CircularPad of any rank.
 */
export class Pad extends Module {
  readonly amounts: number | readonly (readonly [number, number])[];
  readonly options: PadOptions;

  constructor(amounts: number | readonly (readonly [number, number])[], options: PadOptions = {}) {
    super();
    this.amounts = amounts;
    this.options = options;
  }

  forward(x: Tensor): Tensor {
    const { amounts } = this;
    const pairs = typeof amounts === "number" ? x.shape.slice(2).map(() => [amounts, amounts] as const) : amounts;
    return pad(x, pairs, this.options);
  }
}
