import { ManabiError, ShapeError, showShape } from "../core/errors.ts";
import { normalizeAxis } from "../core/shape.ts";
import { customVjp, stopGradient } from "./grad.ts";
import { positivePart, rectifier } from "./rectifier.ts";
import { type Tensor, where } from "./tensor.ts";
import { inFloat32, roundedOnce } from "./wide.ts";

// Every function here is elementwise and keeps the shape, unless it says otherwise. Where a branch is not taken its
// argument is replaced before a function that could overflow, so that gradients are finite at both ends.

/** max(x, 0); the gradient at 0 is 0. */
export const relu = rectifier(positivePart);

/** x where positive, else `negativeSlope` x. */
export const leakyRelu = (x: Tensor, negativeSlope = 0.01): Tensor => where(x.gt(0), x, x.mul(negativeSlope));

/** x where positive, else weight x; the weight has one element or one per channel (axis 1). */
export function prelu(x: Tensor, weight: Tensor): Tensor {
  if (weight.size !== 1 && (x.rank < 2 || weight.size !== x.shape[1]))
    throw new ShapeError(
      `prelu: weight ${showShape(weight.shape)} must have one element or one per channel of x ${showShape(x.shape)}`,
    );
  const perChannel = x.shape.map((_, axis) => (axis === 1 ? weight.size : 1));
  return where(x.gt(0), x, x.mul(weight.reshape(weight.size === 1 ? [] : perChannel)));
}

/** x where positive, else alpha (e^x - 1). */
export const elu = roundedOnce((x: Tensor, alpha: number = 1): Tensor => {
  const positive = x.gt(0);
  return where(positive, x, where(positive, 0, x).expm1().mul(alpha));
});

/** Scaled ELU, which keeps mean 0 and variance 1 through layers (Klambauer et al. 2017). */
export const selu = roundedOnce((x: Tensor): Tensor => elu(x, 1.6732632423543772).mul(1.0507009873554805));

/** x within [low, high], clipped outside; the gradient at the bounds is 0. */
export const hardtanh = (x: Tensor, low = -1, high = 1): Tensor => x.clamp(low, high);

/** min(max(x, 0), 6). */
export const relu6 = rectifier((x) => hardtanh(x, 0, 6));

/** relu6(x + 3) / 6. */
export const hardsigmoid = roundedOnce((x: Tensor): Tensor => hardtanh(x.add(3), 0, 6).div(6));

/** x relu6(x + 3) / 6 (Howard et al. 2019). */
export const hardswish = roundedOnce((x: Tensor): Tensor => x.mul(hardsigmoid(x)));

/** 1 / (1 + e^-x). */
export const sigmoid: (x: Tensor) => Tensor = roundedOnce(
  customVjp(
    (x: Tensor) => x.neg().exp().add(1).reciprocal(),
    ({ ct, out }) => [ct.mul(out).mul(out.neg().add(1))],
  ),
);

/** log(1 + e^(beta x)) / beta. */
export const softplus = inFloat32((x: Tensor, beta: number = 1): Tensor => {
  const scaled = beta === 1 ? x : x.mul(beta);
  return beta === 1 ? unitSoftplus(scaled) : unitSoftplus(scaled).div(beta);
});
const unitSoftplus: (x: Tensor) => Tensor = customVjp(
  (x) => x.maximum(0).add(x.abs().neg().exp().log1p()),
  ({ ct, inputs: [x] }) => [ct.mul(sigmoid(x))],
);

/** log(sigmoid(x)). */
export const logSigmoid = roundedOnce((x: Tensor): Tensor => unitSoftplus(x.neg()).neg());

/** x sigmoid(x), also called swish. */
export const silu = roundedOnce((x: Tensor): Tensor => x.mul(sigmoid(x)));

/** x tanh(softplus(x)) (Misra 2019). */
export const mish = roundedOnce((x: Tensor): Tensor => x.mul(unitSoftplus(x).tanh()));

/** x / (1 + |x|). */
export const softsign = roundedOnce((x: Tensor): Tensor => x.div(x.abs().add(1)));

export interface GeluOptions {
  /** "tanh" is the approximation of GPT-2; "none" (default) is exact. */
  readonly approximate?: "none" | "tanh";
}

/** x P(X <= x) for a standard normal X (Hendrycks and Gimpel 2016). */
export const gelu = roundedOnce((x: Tensor, { approximate = "none" }: GeluOptions = {}): Tensor => {
  if (approximate === "none") return exactGelu(x);
  if (approximate === "tanh") return tanhGelu(x);
  throw new ManabiError(`gelu: approximate is "none" or "tanh", got ${JSON.stringify(approximate)}`);
});

// The gradients compute erf and tanh again: to keep them would cost more than that, in passes over memory.

const half = (x: Tensor): Tensor => x.mul(0.5);
const normalCdf = (x: Tensor): Tensor => half(x.mul(Math.SQRT1_2).erf().add(1));

const exactGelu: (x: Tensor) => Tensor = customVjp(
  (x) => x.mul(normalCdf(x)),
  ({ ct, inputs: [x] }) => {
    const density = half(x.square())
      .neg()
      .exp()
      .mul(1 / Math.sqrt(2 * Math.PI));
    return [ct.mul(normalCdf(x).add(x.mul(density)))];
  },
);

const scale = Math.sqrt(2 / Math.PI);
const cubic = 0.044715;
const tanhOf = (x: Tensor): Tensor => x.mul(x.square().mul(cubic).add(1)).mul(scale).tanh();

const tanhGelu: (x: Tensor) => Tensor = customVjp(
  (x) => half(x).mul(tanhOf(x).add(1)),
  ({ ct, inputs: [x] }) => {
    const t = tanhOf(x);
    const slope = x
      .square()
      .mul(3 * cubic)
      .add(1)
      .mul(scale);
    const rest = half(x).mul(t.square().neg().add(1)).mul(slope);
    return [ct.mul(half(t.add(1)).add(rest))];
  },
);

/** a sigmoid(b) of the two halves a, b of x along `axis`, which halves. */
export const glu = roundedOnce((x: Tensor, axis: number = -1): Tensor => {
  const at = normalizeAxis("glu", axis, x.rank);
  const size = x.shape[at];
  if (size % 2) throw new ShapeError(`glu: axis ${axis} of ${showShape(x.shape)} must have an even size`);
  return x.slice(at, 0, size / 2).mul(sigmoid(x.slice(at, size / 2)));
});

/** e^x over its sum along `axis`. */
export const softmax = inFloat32((x: Tensor, axis: number = -1): Tensor => {
  const e = x.sub(stopGradient(x.max(axis, { keepDims: true }))).exp();
  return e.div(e.sum(axis, { keepDims: true }));
});

/** The logarithm of softmax along `axis`, without overflow. */
export const logSoftmax = inFloat32((x: Tensor, axis: number = -1): Tensor => {
  const shifted = x.sub(stopGradient(x.max(axis, { keepDims: true })));
  return shifted.sub(shifted.exp().sum(axis, { keepDims: true }).log());
});
