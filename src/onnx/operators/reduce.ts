import type { ReduceOptions, Tensor } from "../../index.ts";
import { type Call, need, numbers, numbersAt, type Operator } from "../operator.ts";

type Reduction = (x: Tensor, axes: readonly number[], options: ReduceOptions) => Tensor;

/** A reduction over axes, which are an attribute or, from some operator set on, an input; none means all, or none. */
const reduction =
  (fn: Reduction): Operator =>
  (call) => {
    const x = need(call, 0);
    const given = numbersAt(call, 1, "axes");
    if (!given?.length && call.attrs.int("noop_with_empty_axes", 0)) return x;
    const axes = given?.length ? given : x.shape.map((_, i) => i);
    return fn(x, axes, { keepDims: call.attrs.int("keepdims", 1) === 1 }).cast(x.dtype);
  };

const position =
  (fn: "argmax" | "argmin"): Operator =>
  (call) => {
    call.attrs.only("select_last_index", call.attrs.int("select_last_index", 0), [0]);
    return need(call, 0)[fn](call.attrs.int("axis", 0), { keepDims: call.attrs.int("keepdims", 1) === 1 });
  };

function topK(call: Call): readonly Tensor[] {
  const [k] = numbers(call, need(call, 1));
  return need(call, 0).topk(k, call.attrs.int("axis", -1), { largest: call.attrs.int("largest", 1) === 1 });
}

export const reductions: Readonly<Record<string, Operator>> = {
  ArgMax: position("argmax"),
  ArgMin: position("argmin"),
  CumSum(call) {
    const [axis] = numbers(call, need(call, 1));
    const [reverse, exclusive] = ["reverse", "exclusive"].map((name) => call.attrs.int(name, 0) === 1);
    return need(call, 0).cumsum(axis, { reverse, exclusive });
  },
  ReduceL1: reduction((x, axes, options) => x.abs().sum(axes, options)),
  ReduceL2: reduction((x, axes, options) => x.square().sum(axes, options).sqrt()),
  ReduceLogSum: reduction((x, axes, options) => x.sum(axes, options).log()),
  ReduceLogSumExp: reduction((x, axes, options) => x.logsumexp(axes, options)),
  ReduceMax: reduction((x, axes, options) => x.max(axes, options)),
  ReduceMean: reduction((x, axes, options) => x.mean(axes, options)),
  ReduceMin: reduction((x, axes, options) => x.min(axes, options)),
  ReduceProd: reduction((x, axes, options) => x.prod(axes, options)),
  ReduceSum: reduction((x, axes, options) => x.sum(axes, options)),
  ReduceSumSquare: reduction((x, axes, options) => x.square().sum(axes, options)),
  TopK: topK,
};
