import { ShapeError, showShape, unknownName } from "../../core/errors.ts";
import { sameShape } from "../../core/shape.ts";
import type { Tensor } from "../tensor.ts";

/** How the losses of the elements become the result: their mean, their sum, or as they are. */
export type Reduction = "mean" | "sum" | "none";

export interface ReductionOptions {
  /** Default "mean". */
  readonly reduction?: Reduction;
}

/** Reduces elementwise losses; the mean is over `count` where given, else over the number of elements. */
export function reduced(name: string, loss: Tensor, { reduction = "mean" }: ReductionOptions, count?: Tensor): Tensor {
  switch (reduction) {
    case "mean":
      return count ? loss.sum().div(count) : loss.mean();
    case "sum":
      return loss.sum();
    case "none":
      return loss;
    default:
      throw unknownName(`reduction of ${name}`, reduction, ["mean", "sum", "none"]);
  }
}

/** Throws unless both have one shape: a loss that broadcasts is a mistake more often than a wish. */
export function sameForm(name: string, input: Tensor, target: Tensor): void {
  if (!sameShape(input.shape, target.shape))
    throw new ShapeError(
      `${name}: the input is ${showShape(input.shape)}, the target ${showShape(target.shape)}; they must be equal, ` +
        "reshape or broadcast one of them",
    );
}
