import { isFloat, type TypedArray } from "../../core/dtype.ts";
import { type Shape, sizeOf, stridesOf } from "../../core/shape.ts";
import type { AxesAttrs } from "../../primitives/broadcast.ts";
import { accumulator, around, empty, type Kernel, type Kernels, rounded } from "./kernel.ts";
import { eachRow, nest } from "./walk.ts";

/** Folds x[from .. from + n) into the cells acc[to + i * step]. */
type RowFold = (acc: TypedArray, to: number, step: number, x: TypedArray, from: number, n: number) => void;

/** Strides of the result as seen from `shape`: 0 along the reduced axes. */
function keptStrides(shape: Shape, axes: readonly number[]): number[] {
  const dense = stridesOf(shape.map((d, i) => (axes.includes(i) ? 1 : d)));
  return dense.map((s, i) => (axes.includes(i) ? 0 : s));
}

/** Walks x in memory order and folds every row into the cells it belongs to. */
const reduction =
  (start: number, floats: RowFold, integers = floats): Kernel<AxesAttrs> =>
  ({ node, inputs: [x], specs: [{ shape }], attrs: { axes } }) => {
    // Extrema are no sums: only f64 holds both infinity, where they start, and every integer.
    const extremum = !Number.isFinite(start);
    const acc = extremum ? new Float64Array(sizeOf(node.shape)) : accumulator(node.dtype, sizeOf(node.shape));
    acc.fill(start);
    const fold = isFloat(node.dtype) ? floats : integers;
    const loops = nest(shape, stridesOf(shape), keptStrides(shape, axes));
    const n = loops.shape[loops.shape.length - 1];
    const step = loops.strides[1][loops.shape.length - 1];
    eachRow(loops, (from, to) => fold(acc, to, step, x, from, n));
    return rounded(node, acc);
  };

/** The position of the first largest of sign * x, or of the first NaN. */
const position =
  (sign: 1 | -1): Kernel<AxesAttrs> =>
  ({ node, inputs: [x], specs: [{ shape }], attrs: { axes } }) => {
    const out = empty(node);
    const best = new Float64Array(out.length).fill(Number.NEGATIVE_INFINITY);
    out.fill(-1);
    const reduced = stridesOf(shape.map((d, i) => (axes.includes(i) ? d : 1)));
    const positions = reduced.map((s, i) => (axes.includes(i) ? s : 0));
    const loops = nest(shape, stridesOf(shape), keptStrides(shape, axes), positions);
    const last = loops.shape.length - 1;
    const n = loops.shape[last];
    const [, step, positionStep] = loops.strides.map((s) => s[last]);
    eachRow(loops, (from, to, at) => {
      for (let i = 0; i < n; i++, to += step, at += positionStep) {
        const v = sign * x[from + i];
        const b = best[to];
        if ((!(v <= b) && !Number.isNaN(b)) || out[to] < 0) {
          best[to] = v;
          out[to] = at;
        }
      }
    });
    return out;
  };

export const reduce = {
  sum: reduction(0, (acc, to, step, x, from, n) => {
    for (let i = 0; i < n; i++, to += step) acc[to] += x[from + i];
  }),
  prod: reduction(
    1,
    (acc, to, step, x, from, n) => {
      for (let i = 0; i < n; i++, to += step) acc[to] *= x[from + i];
    },
    (acc, to, step, x, from, n) => {
      for (let i = 0; i < n; i++, to += step) acc[to] = Math.imul(acc[to], x[from + i]);
    },
  ),
  max: reduction(Number.NEGATIVE_INFINITY, (acc, to, step, x, from, n) => {
    for (let i = 0; i < n; i++, to += step) acc[to] = Math.max(acc[to], x[from + i]);
  }),
  min: reduction(Number.POSITIVE_INFINITY, (acc, to, step, x, from, n) => {
    for (let i = 0; i < n; i++, to += step) acc[to] = Math.min(acc[to], x[from + i]);
  }),
  argmax: position(1),
  argmin: position(-1),

  cumsum({ node, inputs: [x], attrs: { axis, reverse, exclusive } }) {
    const { outer, length, inner } = around(node.shape, axis);
    const out = empty(node);
    const step = reverse ? -inner : inner;
    const integer = !isFloat(node.dtype);
    for (let o = 0; o < outer; o++)
      for (let i = 0; i < inner; i++) {
        let at = o * length * inner + i + (reverse ? (length - 1) * inner : 0);
        let sum = 0;
        for (let k = 0; k < length; k++, at += step) {
          if (exclusive) out[at] = sum;
          sum += x[at];
          if (integer) sum |= 0;
          if (!exclusive) out[at] = sum;
        }
      }
    return out;
  },
} satisfies Kernels<"sum" | "prod" | "max" | "min" | "argmax" | "argmin" | "cumsum">;
