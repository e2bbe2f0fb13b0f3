import { ShapeError, showShape } from "../core/errors.ts";
import { product, productOperand, type Tensor } from "./tensor.ts";
import { roundedOnce } from "./wide.ts";

/** x weight^T + bias: x [.., in], weight [out, in], bias [out] -> [.., out]. */
export function linear(x: Tensor, weight: Tensor, bias: Tensor | null = null): Tensor {
  if (weight.rank !== 2 || x.rank === 0 || x.shape[x.rank - 1] !== weight.shape[1])
    throw new ShapeError(
      `linear: weight ${showShape(weight.shape)} is [out, in] and expects x [.., ${weight.shape.at(-1) ?? "in"}], ` +
        `x is ${showShape(x.shape)}`,
    );
  if (bias && (bias.rank !== 1 || bias.shape[0] !== weight.shape[0]))
    throw new ShapeError(`linear: bias ${showShape(bias.shape)} must be [${weight.shape[0]}]`);
  return affine(productOperand(x), productOperand(weight), productOperand(bias));
}

const affine = roundedOnce((x: Tensor, weight: Tensor, bias: Tensor | null): Tensor => {
  const y = product(x, weight.transpose());
  return bias ? y.add(bias) : y;
});
