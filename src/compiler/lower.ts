import { arrayType, type DType, isFloat, isHalf, storedValue } from "../core/dtype.ts";
import { sizeOf } from "../core/shape.ts";
import type { Node } from "../graph/node.ts";
import type { AxesAttrs } from "../primitives/broadcast.ts";
import type { RandomAttrs } from "../primitives/control.ts";
import type { CastAttrs } from "../primitives/elementwise.ts";
import type { PrimitiveName } from "../primitives/index.ts";
import type { ConstantAttrs, IotaAttrs } from "../primitives/leaf.ts";
import type { AxisAttrs, FoldAttrs, PadAttrs, PermuteAttrs, SliceAttrs, WindowAttrs } from "../primitives/movement.ts";
import type { Expr, ReduceKind, Test } from "./expr.ts";
import {
  addIdx,
  divIdx,
  flatten,
  type Idx,
  type LoopVar,
  literal,
  modIdx,
  offsetIdx,
  ofRef,
  ofVar,
  scaleIdx,
  unflatten,
} from "./idx.ts";

/** How the value of an input at an index is had: a load where it has a buffer, else its own lowering. */
export interface LowerContext {
  at(node: Node, index: readonly Idx[]): Expr;
  /** The load of element `flat` of a buffer that holds `node`. */
  variable(size: number): LoopVar;
}

/**
 * `at`: the value at a position, in terms of the inputs' values: the primitive can be part of a kernel.
 * `op`: it is an instruction of its own, its inputs and its output are buffers.
 */
type Lowering =
  | { readonly kind: "at"; at(context: LowerContext, node: Node, index: readonly Idx[]): Expr }
  | { readonly kind: "op" }
  | { readonly kind: "leaf" };

const call: Lowering = {
  kind: "at",
  at: (k, node, index) => ({
    op: "call",
    name: node.prim.name,
    args: node.inputs.map((x) => k.at(x, index)),
    dtype: node.dtype,
  }),
};

const same: Lowering = { kind: "at", at: (k, { inputs: [x] }, index) => k.at(x, index) };
const op: Lowering = { kind: "op" };
const leaf: Lowering = { kind: "leaf" };

function reduce(kind: ReduceKind): Lowering {
  return {
    kind: "at",
    at(k, node, index) {
      const { axes } = node.attrs as AxesAttrs;
      const [x] = node.inputs;
      const vars = axes.map((a) => k.variable(x.shape[a]));
      let kept = 0;
      const inner = x.shape.map((_, i) => (axes.includes(i) ? ofVar(vars[axes.indexOf(i)]) : index[kept++]));
      const body = k.at(x, inner);
      const merged = kind === "sum" && sumOfSum(vars, body, node.dtype);
      if (merged) return merged;
      return { op: "reduce", kind, axes: vars, body, dtype: node.dtype };
    },
  };
}

/** A sum of a sum is one sum over more axes, unless the inner one is rounded to 16 bits. */
const sumOfSum = (vars: readonly LoopVar[], body: Expr, dtype: DType): Expr | null =>
  body.op === "reduce" && body.kind === "sum" && body.dtype === dtype && !isHalf(dtype)
    ? { ...body, axes: [...vars, ...body.axes] }
    : null;

/** `then` where all tests hold, else `value`; tests that always hold vanish, and guards of sums move into the sum. */
function guard(tests: readonly Test[], then: Expr, value: number): Expr {
  const open = tests.filter(({ index, lo, hi }) => index.lo < lo || index.hi >= hi);
  if (open.length === 0) return then;
  const other: Expr = { op: "const", value, dtype: then.dtype };
  if (then.op === "reduce" && then.kind === "sum" && value === 0) return { ...then, body: guard(open, then.body, 0) };
  if (then.op === "guard" && then.other.op === "const" && then.other.value === value)
    return { ...then, tests: [...open, ...then.tests] };
  return { op: "guard", tests: open, value: then, other, dtype: then.dtype };
}

export const lowerings = {
  constant: {
    kind: "at",
    at: (_, { attrs, dtype }) => ({ op: "const", value: (attrs as ConstantAttrs).value, dtype }),
  },
  iota: {
    kind: "at",
    at: (_, { attrs, dtype }, index) => ({ op: "index", index: index[(attrs as IotaAttrs).axis], dtype }),
  },
  data: leaf,
  input: leaf,
  neg: call,
  abs: call,
  sign: call,
  floor: call,
  ceil: call,
  round: call,
  exp: call,
  expm1: call,
  log: call,
  log1p: call,
  sqrt: call,
  sin: call,
  cos: call,
  atan: call,
  tanh: call,
  erf: call,
  not: call,
  add: call,
  sub: call,
  mul: call,
  div: call,
  mod: call,
  pow: call,
  maximum: call,
  minimum: call,
  eq: call,
  ne: call,
  lt: call,
  le: call,
  gt: call,
  ge: call,
  and: call,
  or: call,
  xor: call,
  where: call,
  cast: {
    kind: "at",
    at(k, { inputs: [x], attrs }, index) {
      const { dtype } = attrs as CastAttrs;
      const value = k.at(x, index);
      if (value.op === "const") return { op: "const", value: castConstant(value.value, x.dtype, dtype), dtype };
      return { op: "call", name: "cast", args: [value], dtype };
    },
  },
  sum: reduce("sum"),
  prod: reduce("prod"),
  max: reduce("max"),
  min: reduce("min"),
  argmax: reduce("argmax"),
  argmin: reduce("argmin"),
  cumsum: op,
  reshape: {
    kind: "at",
    at: (k, { inputs: [x], shape }, index) => k.at(x, unflatten(flatten(index, shape), x.shape)),
  },
  permute: {
    kind: "at",
    at(k, { inputs: [x], attrs }, index) {
      const inner = new Array<Idx>(index.length);
      (attrs as PermuteAttrs).perm.forEach((p, i) => {
        inner[p] = index[i];
      });
      return k.at(x, inner);
    },
  },
  broadcast: {
    kind: "at",
    at: (k, { inputs: [x] }, index) =>
      k.at(
        x,
        index.map((i, axis) => (x.shape[axis] === 1 ? literal(0) : i)),
      ),
  },
  slice: {
    kind: "at",
    at(k, { inputs: [x], attrs }, index) {
      const { starts, steps } = attrs as SliceAttrs;
      return k.at(
        x,
        index.map((i, axis) => offsetIdx(scaleIdx(i, steps[axis]), starts[axis])),
      );
    },
  },
  pad: {
    kind: "at",
    at(k, { inputs: [x], attrs, dtype }, index) {
      const { lo, interior, value } = attrs as PadAttrs;
      if (sizeOf(x.shape) === 0) return { op: "const", value, dtype };
      const tests: Test[] = [];
      const inner = index.map((i, axis) => {
        const step = interior[axis] + 1;
        const from = offsetIdx(i, -lo[axis]);
        if (step > 1) {
          tests.push({ index: from, lo: 0, hi: (x.shape[axis] - 1) * step + 1 });
          tests.push({ index: modIdx(from, step), lo: 0, hi: 1 });
        } else tests.push({ index: from, lo: 0, hi: x.shape[axis] });
        return divIdx(from, step);
      });
      return guard(tests, k.at(x, inner), value);
    },
  },
  flip: {
    kind: "at",
    at: (k, { inputs: [x], attrs }, index) =>
      k.at(
        x,
        index.map((i, axis) =>
          (attrs as AxesAttrs).axes.includes(axis) ? offsetIdx(scaleIdx(i, -1), x.shape[axis] - 1) : i,
        ),
      ),
  },
  concat: op,
  unfold: {
    kind: "at",
    at(k, { inputs: [x], attrs }, index) {
      const { axis, stride, dilation } = attrs as WindowAttrs;
      const i = addIdx(scaleIdx(index[axis], stride), scaleIdx(index[axis + 1], dilation));
      return k.at(x, [...index.slice(0, axis), i, ...index.slice(axis + 2)]);
    },
  },
  fold: {
    kind: "at",
    at(k, node, index) {
      const { axis, stride, dilation } = node.attrs as FoldAttrs;
      const [x] = node.inputs;
      const [windows, size] = [x.shape[axis], x.shape[axis + 1]];
      const v = k.variable(size);
      // Window o covers position i with its element v where i = o * stride + v * dilation.
      const from = addIdx(index[axis], scaleIdx(ofVar(v), -dilation));
      const tests: Test[] = [{ index: from, lo: 0, hi: (windows - 1) * stride + 1 }];
      if (stride > 1) tests.push({ index: modIdx(from, stride), lo: 0, hi: 1 });
      const value = k.at(x, [...index.slice(0, axis), divIdx(from, stride), ofVar(v), ...index.slice(axis + 1)]);
      const body = guard(tests, value, 0);
      return sumOfSum([v], body, node.dtype) ?? { op: "reduce", kind: "sum", axes: [v], body, dtype: node.dtype };
    },
  },
  dot: op,
  conv: op,
  convInputGrad: op,
  convWeightGrad: op,
  attention: op,
  attentionGrad: op,
  gather: {
    kind: "at",
    at(k, { inputs: [x, index], attrs }, at) {
      const { axis } = attrs as AxisAttrs;
      const position = k.at(index, at);
      return k.at(
        x,
        at.map((i, a) => (a === axis ? ofRef(position, x.shape[axis]) : i)),
      );
    },
  },
  scatterAdd: op,
  argsort: op,
  stopGradient: same,
  barrier: same,
  scan: op,
  pick: op,
  randomBits: {
    kind: "at",
    at(k, { inputs: [state], attrs, dtype }, index) {
      const words = [0, 1, 2].map((i) => k.at(state, [literal(i)]));
      return { op: "random", state: words, index: flatten(index, (attrs as RandomAttrs).shape), dtype };
    },
  },
} satisfies Record<PrimitiveName, Lowering>;

function castConstant(value: number, from: DType, to: DType): number {
  if (isFloat(to)) return storedValue(value, to);
  if (to === "bool") return value !== 0 ? 1 : 0;
  // Floats saturate, integers wrap.
  if (!isFloat(from)) return arrayType(to).from([value])[0];
  if (Number.isNaN(value)) return 0;
  const [lo, hi] = to === "i32" ? [-(2 ** 31), 2 ** 31 - 1] : to === "u32" ? [0, 2 ** 32 - 1] : [0, 255];
  return Math.min(hi, Math.max(lo, Math.trunc(value)));
}
