import type { OpInstruction } from "../../../compiler/instruction.ts";
import type { Call } from "../call.ts";
import { depthwiseCalls, isDepthwise } from "./conv-depthwise.ts";
import { gatherCall, gatherCalls, packCall, packedWeights } from "./conv-gather.ts";
import { type ConvShape, convShape, forwardPlan, inputGradPlan, isPointwise } from "./conv-plan.ts";
import { weightGradCalls } from "./conv-weight-grad.ts";
import { thinWeightGradCalls } from "./conv-weight-thin.ts";
import { fillCalls } from "./fill.ts";
import { productCalls } from "./gemm.ts";
import { type Real, realOf } from "./real.ts";
import { type Place, placeOf, product } from "./work.ts";

const realName = (op: OpInstruction, base: string): Real => realOf(op.name.slice(base.length + 1).split("_")[0]);

/** conv_*: x, w -> y. */
export function convCalls(op: OpInstruction): readonly Call[] {
  const real = realName(op, "conv");
  const s = convShape(op);
  const [x, w, y] = [0, 1, 2].map((i) => placeOf(op, i));
  const size = s.n * s.o * product(s.out);
  if (size === 0) return [];
  if (s.c === 0) return fillCalls(y, 0, size * real.bytes);
  if (isPointwise(s)) return pointwise(real, s, w, x, y, false);
  return gathered(real, forwardPlan(s), x, w, y);
}

/** Elements of the weights once they are packed; 0 if a convolution of this shape reads them as they are. */
export function packedConvElements(op: OpInstruction): number {
  const real = realName(op, "conv");
  const s = convShape(op);
  if (s.n * s.c * s.o * product(s.out) === 0 || isPointwise(s)) return 0;
  const plan = forwardPlan(s);
  return isDepthwise(plan, real) ? 0 : packedWeights(real, plan);
}

/** conv_pack_*: w -> w packed. */
export const convPackCalls = (op: OpInstruction): readonly Call[] => [
  packCall(realName(op, "conv_pack"), forwardPlan(convShape(op)), placeOf(op, 0), placeOf(op, 1)),
];

/** conv_packed_*: x, w packed -> y. */
export function convPackedCalls(op: OpInstruction): readonly Call[] {
  const [x, w, y] = [0, 1, 2].map((i) => placeOf(op, i));
  return [gatherCall(realName(op, "conv_packed"), forwardPlan(convShape(op)), x, w, y)];
}

/** conv_input_grad_*: y, w -> x. */
export function convInputGradCalls(op: OpInstruction): readonly Call[] {
  const real = realName(op, "conv_input_grad");
  const s = convShape(op);
  const [y, w, x] = [0, 1, 2].map((i) => placeOf(op, i));
  const size = s.n * s.c * product(s.in);
  if (size === 0) return [];
  if (s.o === 0) return fillCalls(x, 0, size * real.bytes);
  if (isPointwise(s)) return pointwise(real, s, w, y, x, true);
  return gathered(real, inputGradPlan(s), y, w, x);
}

const gathered: typeof gatherCalls = (real, plan, ...places) =>
  (isDepthwise(plan, real) ? depthwiseCalls : gatherCalls)(real, plan, ...places);

/** conv_weight_grad_*: x, y -> w. */
export function convWeightGradCalls(op: OpInstruction): readonly Call[] {
  const real = realName(op, "conv_weight_grad");
  const s = convShape(op);
  const [x, y, w] = [0, 1, 2].map((i) => placeOf(op, i));
  const size = s.o * (s.c / s.groups) * product(s.kernel);
  if (size === 0) return [];
  if (s.n * product(s.out) * product(s.in) === 0) return fillCalls(w, 0, size * real.bytes);
  const calls = s.groups > 1 && s.groups === s.c ? thinWeightGradCalls : weightGradCalls;
  return calls(real, forwardPlan(s), x, y, w);
}

/** out [n, groups, rows, positions] = W source, or the transpose of W. */
function pointwise(
  real: Real,
  s: ConvShape,
  w: Place,
  source: Place,
  out: Place,
  transposed: boolean,
): readonly Call[] {
  const [o, c, positions] = [s.o / s.groups, s.c / s.groups, product(s.in)];
  const [m, k] = transposed ? [c, o] : [o, c];
  return productCalls({
    ...{ real, m, k, n: positions },
    a: { place: w, row: transposed ? 1 : c, column: transposed ? c : 1 },
    b: { place: source, row: positions, column: 1 },
    c: out,
    batch: [
      { size: s.n, a: 0, b: s.groups * k * positions },
      { size: s.groups, a: o * c, b: k * positions },
    ],
  });
}
