import { ManabiError } from "../../core/errors.ts";
import { type Tensor, where } from "../tensor.ts";
import { inFloat32 } from "../wide.ts";
import { type ReductionOptions, reduced, sameForm } from "./reduction.ts";

function difference(name: string, input: Tensor, target: Tensor): Tensor {
  sameForm(name, input, target);
  return input.sub(target);
}

/** Squared difference. */
export const mseLoss = inFloat32(
  (input: Tensor, target: Tensor, options: ReductionOptions = {}): Tensor =>
    reduced("mseLoss", difference("mseLoss", input, target).square(), options),
);

/** Absolute difference. */
export const l1Loss = inFloat32(
  (input: Tensor, target: Tensor, options: ReductionOptions = {}): Tensor =>
    reduced("l1Loss", difference("l1Loss", input, target).abs(), options),
);

/** d^2 / 2 for |d| up to `delta`, then delta (|d| - delta / 2) (Huber 1964). */
export const huberLoss = inFloat32(
  (input: Tensor, target: Tensor, options: ReductionOptions & { readonly delta?: number } = {}): Tensor => {
    const { delta = 1 } = options;
    if (!(delta > 0)) throw new ManabiError(`huberLoss: delta is ${delta}; it must be above 0`);
    const d = difference("huberLoss", input, target);
    const size = d.abs();
    return reduced("huberLoss", where(size.le(delta), d.square().mul(0.5), size.sub(delta / 2).mul(delta)), options);
  },
);

/** Huber loss over `beta`: the absolute difference, with a parabola below `beta` (Girshick 2015); beta 0 is L1. */
export const smoothL1Loss = inFloat32(
  (input: Tensor, target: Tensor, options: ReductionOptions & { readonly beta?: number } = {}): Tensor => {
    const { beta = 1 } = options;
    if (!(beta >= 0)) throw new ManabiError(`smoothL1Loss: beta is ${beta}; it must be at least 0`);
    const d = difference("smoothL1Loss", input, target);
    const size = d.abs();
    const losses = beta ? where(size.lt(beta), d.square().mul(0.5 / beta), size.sub(beta / 2)) : size;
    return reduced("smoothL1Loss", losses, options);
  },
);
