import { storedValue } from "../core/dtype.ts";
import { ShapeError, showShape } from "../core/errors.ts";
import { sameShape } from "../core/shape.ts";
import { makeNode, type Node, type Primitive } from "../graph/node.ts";
import type { AxesAttrs } from "./broadcast.ts";

export interface PermuteAttrs {
  readonly perm: readonly number[];
}
export const permutePrim: Primitive<PermuteAttrs> = {
  name: "permute",
  infer([x], { perm }) {
    const seen = [...perm].sort((a, b) => a - b);
    if (perm.length !== x.shape.length || seen.some((p, i) => p !== i))
      throw new ShapeError(`permute: [${perm}] does not order the ${x.shape.length} axes of ${showShape(x.shape)}`);
    return { shape: perm.map((p) => x.shape[p]), dtype: x.dtype };
  },
  vjp({ ct, attrs: { perm } }) {
    const inverse = new Array<number>(perm.length);
    perm.forEach((p, i) => {
      inverse[p] = i;
    });
    return [permute(ct, inverse)];
  },
};
export const permute = (x: Node, perm: readonly number[]): Node =>
  perm.every((p, i) => p === i) && perm.length === x.shape.length ? x : makeNode(permutePrim, [x], { perm });

export interface SliceAttrs {
  readonly starts: readonly number[];
  readonly sizes: readonly number[];
  readonly steps: readonly number[];
}
/** out[i] = x[starts + i * steps]. */
export const slicePrim: Primitive<SliceAttrs> = {
  name: "slice",
  infer([x], { starts, sizes, steps }) {
    x.shape.forEach((d, i) => {
      if (starts[i] < 0 || steps[i] < 1 || (sizes[i] > 0 && starts[i] + (sizes[i] - 1) * steps[i] >= d))
        throw new ShapeError(
          `slice: start ${starts[i]}, size ${sizes[i]}, step ${steps[i]} leave axis ${i} of ${showShape(x.shape)}`,
        );
    });
    return { shape: sizes, dtype: x.dtype };
  },
  vjp({ ct, inputs: [x], attrs: { starts, sizes, steps } }) {
    const hi = x.shape.map((d, i) => (sizes[i] === 0 ? d : d - 1 - starts[i] - (sizes[i] - 1) * steps[i]));
    return [
      pad(ct, { lo: sizes.map((s, i) => (s === 0 ? 0 : starts[i])), hi, interior: steps.map((s) => s - 1), value: 0 }),
    ];
  },
};
export const slice = (x: Node, attrs: SliceAttrs): Node =>
  sameShape(x.shape, attrs.sizes) ? x : makeNode(slicePrim, [x], attrs);

export interface PadAttrs {
  readonly lo: readonly number[];
  readonly hi: readonly number[];
  /** Elements between neighbours. */
  readonly interior: readonly number[];
  readonly value: number;
}
const padded = (d: number, lo: number, hi: number, interior: number) =>
  lo + hi + (d === 0 ? 0 : d + (d - 1) * interior);
export const padPrim: Primitive<PadAttrs> = {
  name: "pad",
  infer([x], { lo, hi, interior }) {
    if ([...lo, ...hi, ...interior].some((p) => p < 0))
      throw new ShapeError(`pad: amounts [${lo}], [${hi}], [${interior}] must be >= 0; slice to crop`);
    return { shape: x.shape.map((d, i) => padded(d, lo[i], hi[i], interior[i])), dtype: x.dtype };
  },
  vjp: ({ ct, inputs: [x], attrs: { lo, interior } }) => [
    slice(ct, { starts: lo, sizes: x.shape, steps: interior.map((s) => s + 1) }),
  ],
};
export const pad = (x: Node, attrs: PadAttrs): Node => {
  const { lo, hi, interior } = attrs;
  return x.shape.every((d, i) => padded(d, lo[i], hi[i], interior[i]) === d && lo[i] === 0)
    ? x
    : makeNode(padPrim, [x], { ...attrs, value: storedValue(attrs.value, x.dtype) });
};

export const flipPrim: Primitive<AxesAttrs> = {
  name: "flip",
  infer: ([x]) => ({ shape: x.shape, dtype: x.dtype }),
  vjp: ({ ct, attrs: { axes } }) => [flip(ct, axes)],
};
export const flip = (x: Node, axes: readonly number[]): Node => (axes.length ? makeNode(flipPrim, [x], { axes }) : x);

export interface AxisAttrs {
  readonly axis: number;
}
export const concatPrim: Primitive<AxisAttrs> = {
  name: "concat",
  infer(xs, { axis }) {
    const [first] = xs;
    for (const x of xs)
      if (
        x.dtype !== first.dtype ||
        x.shape.length !== first.shape.length ||
        x.shape.some((d, i) => i !== axis && d !== first.shape[i])
      )
        throw new ShapeError(
          `concat: ${xs.map((t) => `${t.dtype}${showShape(t.shape)}`).join(", ")} must agree in dtype and all axes but ${axis}`,
        );
    const total = xs.reduce((n, x) => n + x.shape[axis], 0);
    return { shape: first.shape.map((d, i) => (i === axis ? total : d)), dtype: first.dtype };
  },
  vjp({ ct, inputs, attrs: { axis } }) {
    let start = 0;
    return inputs.map((x) => {
      const starts = x.shape.map((_, i) => (i === axis ? start : 0));
      start += x.shape[axis];
      return slice(ct, { starts, sizes: x.shape, steps: x.shape.map(() => 1) });
    });
  },
};
export const concat = (xs: readonly Node[], axis: number): Node =>
  xs.length === 1 ? xs[0] : makeNode(concatPrim, xs, { axis });

export interface WindowAttrs {
  readonly axis: number;
  /** Elements per window. */
  readonly size: number;
  readonly stride: number;
  readonly dilation: number;
}
const span = (size: number, dilation: number) => (size - 1) * dilation + 1;
/** Sliding windows as a view: [.., l, ..] -> [.., windows, size, ..], out[o, k] = x[o * stride + k * dilation]. */
export const unfoldPrim: Primitive<WindowAttrs> = {
  name: "unfold",
  infer([x], { axis, size, stride, dilation }) {
    const windows = Math.floor((x.shape[axis] - span(size, dilation)) / stride) + 1;
    if (windows < 1)
      throw new ShapeError(
        `unfold: a window of ${size} (dilation ${dilation}) spans ${span(size, dilation)}, axis ${axis} of ` +
          `${showShape(x.shape)} has ${x.shape[axis]}; pad first or use a smaller window`,
      );
    return { shape: [...x.shape.slice(0, axis), windows, size, ...x.shape.slice(axis + 1)], dtype: x.dtype };
  },
  vjp: ({ ct, inputs: [x], attrs: { axis, stride, dilation } }) => [
    fold(ct, { axis, length: x.shape[axis], stride, dilation }),
  ],
};
export const unfold = (x: Node, attrs: WindowAttrs): Node => makeNode(unfoldPrim, [x], attrs);

export interface FoldAttrs {
  readonly axis: number;
  /** Elements of the result along `axis`. */
  readonly length: number;
  readonly stride: number;
  readonly dilation: number;
}
/** The adjoint of `unfold`: overlapping windows are summed, [.., windows, size, ..] -> [.., length, ..]. */
export const foldPrim: Primitive<FoldAttrs> = {
  name: "fold",
  infer([x], { axis, length, stride, dilation }) {
    const [windows, size] = x.shape.slice(axis, axis + 2);
    const covered = windows === 0 ? 0 : (windows - 1) * stride + span(size, dilation);
    if (covered > length)
      throw new ShapeError(
        `fold: ${windows} windows of ${size} (stride ${stride}, dilation ${dilation}) of ${showShape(x.shape)} cover ` +
          `${covered} elements, the result has ${length}`,
      );
    return { shape: [...x.shape.slice(0, axis), length, ...x.shape.slice(axis + 2)], dtype: x.dtype };
  },
  vjp: ({ ct, inputs: [x], attrs: { axis, stride, dilation } }) => [
    unfold(slice(ct, firstSpan(ct, axis, (x.shape[axis] - 1) * stride + span(x.shape[axis + 1], dilation))), {
      axis,
      size: x.shape[axis + 1],
      stride,
      dilation,
    }),
  ],
};
export const fold = (x: Node, attrs: FoldAttrs): Node => makeNode(foldPrim, [x], attrs);

const firstSpan = (x: Node, axis: number, length: number): SliceAttrs => ({
  starts: x.shape.map(() => 0),
  sizes: x.shape.map((d, i) => (i === axis ? length : d)),
  steps: x.shape.map(() => 1),
});
