import type { TypedArray } from "../../core/dtype.ts";
import type { Shape } from "../../core/shape.ts";

/** A loop nest over at most three operands; `strides` has one list per operand. */
export interface Nest {
  /** At least one axis. */
  readonly shape: readonly number[];
  readonly strides: readonly (readonly number[])[];
}

/** The loops over `shape`, without axes of size 1 and with neighbours merged that every operand walks as one. */
export function nest(shape: Shape, ...strides: readonly Shape[]): Nest {
  const extents: number[] = [];
  const steps: number[][] = strides.map(() => []);
  shape.forEach((size, axis) => {
    if (size === 1) return;
    const last = extents.length - 1;
    if (last >= 0 && steps.every((step, k) => step[last] === strides[k][axis] * size)) {
      extents[last] *= size;
      steps.forEach((step, k) => {
        step[last] = strides[k][axis];
      });
    } else {
      extents.push(size);
      steps.forEach((step, k) => {
        step.push(strides[k][axis]);
      });
    }
  });
  if (extents.length) return { shape: extents, strides: steps };
  return { shape: [1], strides: steps.map(() => [1]) };
}

/** Calls `row` once per run of the last axis, with the offset of each operand, in row-major order. */
export function eachRow({ shape, strides }: Nest, row: (a: number, b: number, c: number) => void): void {
  if (shape.includes(0)) return;
  const outer = shape.length - 1;
  const none = shape.map(() => 0);
  const [sa, sb = none, sc = none] = strides;
  const index = none.slice();
  let a = 0;
  let b = 0;
  let c = 0;
  for (;;) {
    row(a, b, c);
    let d = outer - 1;
    for (; d >= 0; d--) {
      a += sa[d];
      b += sb[d];
      c += sc[d];
      if (++index[d] < shape[d]) break;
      a -= sa[d] * shape[d];
      b -= sb[d] * shape[d];
      c -= sc[d] * shape[d];
      index[d] = 0;
    }
    if (d < 0) return;
  }
}

/** An array read or written by strides, which may be 0 or negative. */
export interface View {
  readonly data: TypedArray;
  readonly offset: number;
  readonly strides: readonly number[];
}

/**
 * The same memory, as integers if its elements have four bytes. A loop that only moves values then meets three types of
 * array; V8 compiles a loop for up to four, and from the fifth on it runs twenty times slower.
 */
export const words = (x: TypedArray): TypedArray =>
  x instanceof Float32Array || x instanceof Uint32Array ? new Int32Array(x.buffer, x.byteOffset, x.length) : x;

/** to[i] = from[i] for every index i of `shape`; both arrays are of one type. */
export function copyView(shape: Shape, to: View, from: View): void {
  const [out, x] = [words(to.data), words(from.data)];
  eachPair(shape, to, from, (o, p, n, toStep, fromStep) => {
    for (let i = 0; i < n; i++, o += toStep, p += fromStep) out[o] = x[p];
  });
}

/** to[i] += from[i] for every index i of `shape`; indices may coincide in `to`. */
export function addView(shape: Shape, to: View, from: View): void {
  const [out, x] = [to.data, from.data];
  eachPair(shape, to, from, (o, p, n, toStep, fromStep) => {
    for (let i = 0; i < n; i++, o += toStep, p += fromStep) out[o] += x[p];
  });
}

type PairRow = (to: number, from: number, n: number, toStep: number, fromStep: number) => void;

function eachPair(shape: Shape, to: View, from: View, row: PairRow): void {
  const loops = nest(shape, to.strides, from.strides);
  const last = loops.shape.length - 1;
  const n = loops.shape[last];
  const [toStep, fromStep] = loops.strides.map((s) => s[last]);
  eachRow(loops, (a, b) => row(to.offset + a, from.offset + b, n, toStep, fromStep));
}
