import { ShapeError, showShape } from "../core/errors.ts";
import { type Shape, sameShape, sizeOf } from "../core/shape.ts";
import { makeNode, type Node, type Primitive } from "../graph/node.ts";

export interface ShapeAttrs {
  readonly shape: Shape;
}
export const reshapePrim: Primitive<ShapeAttrs> = {
  name: "reshape",
  infer([x], { shape }) {
    if (sizeOf(x.shape) !== sizeOf(shape))
      throw new ShapeError(
        `reshape: ${showShape(x.shape)} has ${sizeOf(x.shape)} elements, ${showShape(shape)} has ${sizeOf(shape)}`,
      );
    return { shape, dtype: x.dtype };
  },
  vjp: ({ ct, inputs: [x] }) => [reshape(ct, x.shape)],
};
export const reshape = (x: Node, shape: Shape): Node =>
  sameShape(x.shape, shape) ? x : makeNode(reshapePrim, [x], { shape });

export interface AxesAttrs {
  readonly axes: readonly number[];
}
/** Axes are sorted, distinct and in range; they vanish from the shape. Adjoint of `broadcast`. */
export const sumPrim: Primitive<AxesAttrs> = {
  name: "sum",
  infer([x], { axes }) {
    if (x.dtype === "bool") throw new ShapeError("sum: takes numbers, got bool; cast to i32 to count");
    return { shape: x.shape.filter((_, i) => !axes.includes(i)), dtype: x.dtype };
  },
  vjp: ({ ct, inputs: [x], attrs: { axes } }) => [insertAxes(ct, axes, x.shape)],
};
export const sum = (x: Node, axes: readonly number[]): Node => (axes.length ? makeNode(sumPrim, [x], { axes }) : x);

/** Repeats axes of size 1; the rank stays. */
export const broadcastPrim: Primitive<ShapeAttrs> = {
  name: "broadcast",
  infer([x], { shape }) {
    if (x.shape.length !== shape.length || x.shape.some((d, i) => d !== shape[i] && d !== 1))
      throw new ShapeError(`broadcast: ${showShape(x.shape)} does not extend to ${showShape(shape)}`);
    return { shape, dtype: x.dtype };
  },
  vjp({ ct, inputs: [x] }) {
    const axes = x.shape.flatMap((d, i) => (d === ct.shape[i] ? [] : [i]));
    return [reshape(sum(ct, axes), x.shape)];
  },
};
export const broadcast = (x: Node, shape: Shape): Node =>
  sameShape(x.shape, shape) ? x : makeNode(broadcastPrim, [x], { shape });

/** Puts reduced axes back, repeated to `shape`. */
export const insertAxes = (x: Node, axes: readonly number[], shape: Shape): Node =>
  broadcast(
    reshape(
      x,
      shape.map((d, i) => (axes.includes(i) ? 1 : d)),
    ),
    shape,
  );
