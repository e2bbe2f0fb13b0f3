import { ShapeError, showShape } from "../core/errors.ts";
import { makeNode, type Node, type Primitive } from "../graph/node.ts";
import type { AxisAttrs } from "./movement.ts";

const checkIndex = (name: string, index: Node) => {
  if (index.dtype !== "i32") throw new ShapeError(`${name}: the index must be i32, got ${index.dtype}; cast it first`);
};

/** out[.., i, ..] = x[.., index[.., i, ..], ..]: index has x's shape but for `axis`. Indices wrap below zero and clamp outside. */
export const gatherPrim: Primitive<AxisAttrs> = {
  name: "gather",
  infer([x, index], { axis }) {
    checkIndex("gather", index);
    if (x.shape.length !== index.shape.length || x.shape.some((d, i) => i !== axis && d !== index.shape[i]))
      throw new ShapeError(
        `gather: index ${showShape(index.shape)} must match x ${showShape(x.shape)} in every axis but ${axis}`,
      );
    if (x.shape[axis] === 0 && index.shape[axis] > 0)
      throw new ShapeError(`gather: axis ${axis} of ${showShape(x.shape)} is empty`);
    return { shape: index.shape, dtype: x.dtype };
  },
  vjp: ({ ct, inputs: [x, index], attrs: { axis } }) => [scatterAdd(index, ct, { axis, length: x.shape[axis] }), null],
};
export const gather = (x: Node, index: Node, axis: number): Node => makeNode(gatherPrim, [x, index], { axis });

export interface ScatterAttrs {
  readonly axis: number;
  /** Elements of the result along `axis`. */
  readonly length: number;
}
/** The adjoint of `gather`: out[.., index[.., i, ..], ..] += update[.., i, ..] on zeros; indices outside are dropped. */
export const scatterAddPrim: Primitive<ScatterAttrs> = {
  name: "scatterAdd",
  infer([index, update], { axis, length }) {
    checkIndex("scatterAdd", index);
    if (update.dtype === "bool") throw new ShapeError("scatterAdd: adds numbers, got bool; cast to i32 to count");
    if (index.shape.length !== update.shape.length || index.shape.some((d, i) => d !== update.shape[i]))
      throw new ShapeError(`scatterAdd: index ${showShape(index.shape)} and update ${showShape(update.shape)} differ`);
    return { shape: index.shape.map((d, i) => (i === axis ? length : d)), dtype: update.dtype };
  },
  vjp: ({ ct, inputs: [index], attrs: { axis } }) => [null, gather(ct, index, axis)],
};
export const scatterAdd = (index: Node, update: Node, attrs: ScatterAttrs): Node =>
  makeNode(scatterAddPrim, [index, update], attrs);

export interface SortAttrs {
  readonly axis: number;
  readonly descending: boolean;
  /** How many of the first positions to keep. */
  readonly limit: number;
}
/** Positions that sort `axis`, stable, NaN as the largest; the first `limit` of them, as i32. */
export const argsortPrim: Primitive<SortAttrs> = {
  name: "argsort",
  infer([x], { axis, limit }) {
    if (limit < 0 || limit > x.shape[axis])
      throw new ShapeError(`argsort: cannot keep ${limit} of the ${x.shape[axis]} elements along axis ${axis}`);
    return { shape: x.shape.map((d, i) => (i === axis ? limit : d)), dtype: "i32" };
  },
};
export const argsort = (x: Node, attrs: SortAttrs): Node => makeNode(argsortPrim, [x], attrs);
