import { isFloat } from "../core/dtype.ts";
import { ShapeError, showShape } from "../core/errors.ts";
import { type Shape, sameShape } from "../core/shape.ts";
import { makeNode, type Node, type Primitive } from "../graph/node.ts";
import { type PrecisionAttrs, precisionAttrs } from "../graph/precision.ts";
import { permute } from "./movement.ts";

/** Batched matrix product: [b.., m, k] x [b.., k, n] -> [b.., m, n], batch axes equal. */
export const dotPrim: Primitive<PrecisionAttrs> = {
  name: "dot",
  infer([x, y]) {
    const [rank, m, k, n] = [x.shape.length, x.shape.at(-2), x.shape.at(-1), y.shape.at(-1)];
    const batch = x.shape.slice(0, -2);
    if (
      m === undefined ||
      k === undefined ||
      n === undefined ||
      y.shape.length !== rank ||
      y.shape[rank - 2] !== k ||
      !sameShape(batch, y.shape.slice(0, -2))
    )
      throw new ShapeError(
        `dot: ${showShape(x.shape)} x ${showShape(y.shape)} do not multiply; the rule is [b.., m, k] x [b.., k, n]`,
      );
    if (x.dtype !== y.dtype || !isFloat(x.dtype))
      throw new ShapeError(`dot: takes two tensors of one float dtype, got ${x.dtype} and ${y.dtype}; cast first`);
    return { shape: [...batch, m, n], dtype: x.dtype };
  },
  vjp: ({ ct, inputs: [x, y], attrs }) => [dot(ct, swapLast(y), attrs), dot(swapLast(x), ct, attrs)],
};
export const dot = (x: Node, y: Node, attrs: PrecisionAttrs = precisionAttrs()): Node =>
  makeNode(dotPrim, [x, y], attrs);

const swapLast = (x: Node): Node => {
  const perm = x.shape.map((_, i) => i);
  const n = perm.length;
  [perm[n - 1], perm[n - 2]] = [perm[n - 2], perm[n - 1]];
  return permute(x, perm);
};

/** One entry per spatial axis. */
export interface ConvAttrs extends PrecisionAttrs {
  readonly stride: readonly number[];
  readonly padding: readonly (readonly [low: number, high: number])[];
  readonly dilation: readonly number[];
  readonly groups: number;
}

/** Output extent of one spatial axis. */
export const convExtent = (
  x: number,
  kernel: number,
  stride: number,
  [lo, hi]: readonly [number, number],
  dilation: number,
): number => Math.floor((x + lo + hi - (kernel - 1) * dilation - 1) / stride) + 1;

function checkConv(name: string, x: Node, w: Node, { stride, padding, dilation, groups }: ConvAttrs): void {
  if (x.dtype !== w.dtype || !isFloat(x.dtype))
    throw new ShapeError(`${name}: takes two tensors of one float dtype, got ${x.dtype} and ${w.dtype}; cast first`);
  if (x.shape.length !== w.shape.length || x.shape.length < 3 || x.shape.length > 5)
    throw new ShapeError(`${name}: ${showShape(x.shape)} and ${showShape(w.shape)} must both have rank 3, 4 or 5`);
  const spatial = x.shape.length - 2;
  const atLeast = (low: number, values: readonly number[]) => values.every((v) => Number.isInteger(v) && v >= low);
  if (
    [stride, padding, dilation].some((list) => list.length !== spatial) ||
    !atLeast(1, [...stride, ...dilation, groups]) ||
    !atLeast(0, padding.flat())
  )
    throw new ShapeError(
      `${name}: stride [${stride}], padding ${JSON.stringify(padding)}, dilation [${dilation}], groups ${groups}: ` +
        `x ${showShape(x.shape)} takes ${spatial} of each of the first three; stride, dilation and groups are ` +
        "integers >= 1, padding >= 0",
    );
}

/** The extents that a gradient is asked for must be those of a convolution that gives `y`. */
function checkExtents(name: string, x: Shape, kernel: Shape, y: Node, attrs: ConvAttrs): void {
  const { stride, padding, dilation } = attrs;
  const out = x.map((d, i) => convExtent(d, kernel[i], stride[i], padding[i], dilation[i]));
  if (!sameShape(out, y.shape.slice(2)))
    throw new ShapeError(
      `${name}: input ${showShape(x)} and kernel ${showShape(kernel)} with stride [${stride}], padding ` +
        `${JSON.stringify(padding)}, dilation [${dilation}] give extents ${showShape(out)}, y is ${showShape(y.shape)}`,
    );
}

/** Cross-correlation: x [n, c, s..], w [o, c / groups, k..] -> [n, o, s'..]; 1 to 3 spatial axes. */
export const convPrim: Primitive<ConvAttrs> = {
  name: "conv",
  infer([x, w], attrs) {
    checkConv("conv", x, w, attrs);
    const { stride, padding, dilation, groups } = attrs;
    const [n, c, ...spatial] = x.shape;
    const [o, cg, ...kernel] = w.shape;
    if (cg * groups !== c)
      throw new ShapeError(
        `conv: weight ${showShape(w.shape)} with ${groups} group(s) expects ${cg * groups} input channels, x is ${showShape(x.shape)}`,
      );
    if (o % groups) throw new ShapeError(`conv: ${o} output channels do not divide into ${groups} groups`);
    const out = spatial.map((d, i) => convExtent(d, kernel[i], stride[i], padding[i], dilation[i]));
    if (out.some((d) => d < 1))
      throw new ShapeError(
        `conv: kernel ${showShape(kernel)} (dilation [${dilation}]) is larger than the padded input; x is ${showShape(x.shape)}, padding ${JSON.stringify(padding)}`,
      );
    return { shape: [n, o, ...out], dtype: x.dtype };
  },
  vjp: ({ ct, inputs: [x, w], attrs }) => [
    convInputGrad(ct, w, { ...attrs, spatial: x.shape.slice(2) }),
    convWeightGrad(x, ct, { ...attrs, kernel: w.shape.slice(2) }),
  ],
};
export const conv = (x: Node, w: Node, attrs: ConvAttrs): Node => makeNode(convPrim, [x, w], attrs);

export interface ConvInputGradAttrs extends ConvAttrs {
  /** Spatial extents of the result. */
  readonly spatial: readonly number[];
}
/** Adjoint of `conv` in x, which is transposed convolution: y [n, o, s'..], w [o, c / groups, k..] -> [n, c, s..]. */
export const convInputGradPrim: Primitive<ConvInputGradAttrs> = {
  name: "convInputGrad",
  infer([y, w], attrs) {
    checkConv("convInputGrad", y, w, attrs);
    const { groups, spatial } = attrs;
    if (y.shape[1] !== w.shape[0] || w.shape[0] % groups)
      throw new ShapeError(
        `convInputGrad: weight ${showShape(w.shape)} expects ${w.shape[0]} channels in ${groups} equal group(s), ` +
          `y is ${showShape(y.shape)}`,
      );
    checkExtents("convInputGrad", spatial, w.shape.slice(2), y, attrs);
    return { shape: [y.shape[0], w.shape[1] * groups, ...spatial], dtype: y.dtype };
  },
  vjp: ({ ct, inputs: [y, w], attrs }) => [
    conv(ct, w, convAttrs(attrs)),
    convWeightGrad(ct, y, { ...convAttrs(attrs), kernel: w.shape.slice(2) }),
  ],
};
export const convInputGrad = (y: Node, w: Node, attrs: ConvInputGradAttrs): Node =>
  makeNode(convInputGradPrim, [y, w], attrs);

export interface ConvWeightGradAttrs extends ConvAttrs {
  /** Spatial extents of the result. */
  readonly kernel: readonly number[];
}
/** Adjoint of `conv` in w: x [n, c, s..], y [n, o, s'..] -> [o, c / groups, k..]. */
export const convWeightGradPrim: Primitive<ConvWeightGradAttrs> = {
  name: "convWeightGrad",
  infer([x, y], attrs) {
    checkConv("convWeightGrad", x, y, attrs);
    const { groups, kernel } = attrs;
    if (x.shape[0] !== y.shape[0] || x.shape[1] % groups || y.shape[1] % groups)
      throw new ShapeError(
        `convWeightGrad: x ${showShape(x.shape)} and y ${showShape(y.shape)} must agree in the first axis, and their ` +
          `channels divide into ${groups} group(s)`,
      );
    checkExtents("convWeightGrad", x.shape.slice(2), kernel, y, attrs);
    return { shape: [y.shape[1], x.shape[1] / groups, ...kernel], dtype: x.dtype };
  },
  vjp: ({ ct, inputs: [x, y], attrs }) => [
    convInputGrad(y, ct, { ...convAttrs(attrs), spatial: x.shape.slice(2) }),
    conv(x, ct, convAttrs(attrs)),
  ],
};
export const convWeightGrad = (x: Node, y: Node, attrs: ConvWeightGradAttrs): Node =>
  makeNode(convWeightGradPrim, [x, y], attrs);

const convAttrs = ({ stride, padding, dilation, groups, precision }: ConvAttrs): ConvAttrs => ({
  stride,
  padding,
  dilation,
  groups,
  ...(precision && { precision }),
});
