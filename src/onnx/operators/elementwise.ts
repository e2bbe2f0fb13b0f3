import {
  elu,
  gelu,
  hardswish,
  leakyRelu,
  mish,
  relu,
  sigmoid,
  silu,
  softplus,
  softsign,
  type Tensor,
  where,
} from "../../index.ts";
import { type Call, need, type Operator } from "../operator.ts";
import { dtypeOf } from "../tensor-proto.ts";

const unary =
  (fn: (x: Tensor) => Tensor): Operator =>
  (call) =>
    fn(need(call, 0));

const binary =
  (fn: (x: Tensor, y: Tensor) => Tensor): Operator =>
  (call) =>
    fn(need(call, 0), need(call, 1));

/** An operator of one input or more, from left to right. */
const variadic =
  (fn: (x: Tensor, y: Tensor) => Tensor) =>
  (call: Call): Tensor =>
    call.inputs.map((_, i) => need(call, i)).reduce(fn);

const isInteger = ({ dtype }: Tensor): boolean => dtype === "i32" || dtype === "u32" || dtype === "u8";

/** Quotient; that of integers is truncated. */
const divide = (x: Tensor, y: Tensor): Tensor =>
  isInteger(x) ? x.cast("f64").div(y.cast("f64")).cast(x.dtype) : x.div(y);

/** Values within [low, high]; bounds that are left out do not bind. */
function clip(call: Call): Tensor {
  const x = need(call, 0);
  const [, low, high] = call.inputs;
  const bound = (given: Tensor | null | undefined, name: string): Tensor | number | null =>
    given ?? (call.attrs.has(name) ? call.attrs.float(name, 0) : null);
  return x.clamp(bound(low, "min"), bound(high, "max"));
}

function remainder(call: Call): Tensor {
  const [x, y] = [need(call, 0), need(call, 1)];
  if (!call.attrs.int("fmod", 0)) return x.mod(y);
  // With the sign of x, as C's fmod.
  return x.abs().mod(y.abs()).mul(x.sign());
}

const add = (x: Tensor, y: Tensor) => x.add(y);

export const elementwise: Readonly<Record<string, Operator>> = {
  Abs: unary((x) => x.abs()),
  Acos: unary((x) => x.acos()),
  Add: binary(add),
  And: binary((x, y) => x.and(y)),
  Asin: unary((x) => x.asin()),
  Atan: unary((x) => x.atan()),
  BitwiseAnd: binary((x, y) => x.and(y)),
  BitwiseOr: binary((x, y) => x.or(y)),
  BitwiseXor: binary((x, y) => x.xor(y)),
  Cast: (call) => need(call, 0).cast(dtypeOf(call.what, call.attrs.int("to", 0))),
  CastLike: binary((x, y) => x.cast(y.dtype)),
  Ceil: unary((x) => x.ceil()),
  Clip: clip,
  Cos: unary((x) => x.cos()),
  Cosh: unary((x) => x.cosh()),
  Div: binary(divide),
  Elu: (call) => elu(need(call, 0), call.attrs.float("alpha", 1)),
  Equal: binary((x, y) => x.eq(y)),
  Erf: unary((x) => x.erf()),
  Exp: unary((x) => x.exp()),
  Floor: unary((x) => x.floor()),
  Gelu: (call) => gelu(need(call, 0), { approximate: call.attrs.text("approximate", "none") as "none" | "tanh" }),
  Greater: binary((x, y) => x.gt(y)),
  GreaterOrEqual: binary((x, y) => x.ge(y)),
  HardSigmoid(call) {
    const [alpha, beta] = [call.attrs.float("alpha", 0.2), call.attrs.float("beta", 0.5)];
    return need(call, 0).mul(alpha).add(beta).clamp(0, 1);
  },
  HardSwish: unary(hardswish),
  Identity: unary((x) => x),
  IsInf(call) {
    const x = need(call, 0);
    // A bound that is not asked for is replaced by NaN, which nothing equals.
    const bound = (name: string, value: number) => (call.attrs.int(name, 1) ? value : Number.NaN);
    return x
      .eq(bound("detect_negative", Number.NEGATIVE_INFINITY))
      .or(x.eq(bound("detect_positive", Number.POSITIVE_INFINITY)));
  },
  IsNaN: unary((x) => x.ne(x)),
  LeakyRelu: (call) => leakyRelu(need(call, 0), call.attrs.float("alpha", 0.01)),
  Less: binary((x, y) => x.lt(y)),
  LessOrEqual: binary((x, y) => x.le(y)),
  Log: unary((x) => x.log()),
  Max: variadic((x, y) => x.maximum(y)),
  Mean: (call) => variadic(add)(call).div(call.inputs.length),
  Min: variadic((x, y) => x.minimum(y)),
  Mish: unary(mish),
  Mod: remainder,
  Mul: binary((x, y) => x.mul(y)),
  Neg: unary((x) => x.neg()),
  Not: unary((x) => x.not()),
  Or: binary((x, y) => x.or(y)),
  PRelu: binary((x, slope) => where(x.gt(0), x, x.mul(slope))),
  Pow: binary((x, y) => x.pow(y).cast(x.dtype)),
  Reciprocal: unary((x) => x.reciprocal()),
  Relu: unary(relu),
  Round: unary((x) => x.round()),
  Selu(call) {
    const [alpha, gamma] = [call.attrs.float("alpha", 1.6732632), call.attrs.float("gamma", 1.050701)];
    return elu(need(call, 0), alpha).mul(gamma);
  },
  Sigmoid: unary(sigmoid),
  Sign: unary((x) => x.sign()),
  Sin: unary((x) => x.sin()),
  Sinh: unary((x) => x.sinh()),
  Softplus: unary(softplus),
  Softsign: unary(softsign),
  Sqrt: unary((x) => x.sqrt()),
  Sub: binary((x, y) => x.sub(y)),
  Sum: variadic(add),
  Swish: unary(silu),
  Tan: unary((x) => x.tan()),
  Tanh: unary((x) => x.tanh()),
  Where: (call) => where(need(call, 0), need(call, 1), need(call, 2)),
  Xor: binary((x, y) => x.xor(y)),
};
