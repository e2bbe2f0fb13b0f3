import { ShapeError, showShape } from "../core/errors.ts";
import type { Shape } from "../core/shape.ts";
import { makeNode, type Node, type Primitive, type VjpContext } from "../graph/node.ts";
import { type AxesAttrs, broadcast, insertAxes, reshape, sum } from "./broadcast.ts";
import { cast, div, eq, mul, where } from "./elementwise.ts";
import { constant, constantLike, iota } from "./leaf.ts";
import { permute } from "./movement.ts";

/** Axes are sorted, distinct and in range; they vanish from the shape. */
type Vjp = (context: VjpContext<AxesAttrs>) => (Node | null)[];
type Reduce = (x: Node, axes: readonly number[]) => Node;

const dropAxes = (shape: Shape, axes: readonly number[]) => shape.filter((_, i) => !axes.includes(i));

function reduce(name: string, needsElements: boolean, vjp: Vjp): [Primitive<AxesAttrs>, Reduce] {
  const prim: Primitive<AxesAttrs> = {
    name,
    infer([x], { axes }) {
      if (x.dtype === "bool" && (name === "sum" || name === "prod"))
        throw new ShapeError(`${name}: takes numbers, got bool; cast to i32 to count`);
      if (needsElements && axes.some((a) => x.shape[a] === 0))
        throw new ShapeError(`${name}: an axis of ${showShape(x.shape)} among [${axes}] is empty and has no ${name}`);
      return { shape: dropAxes(x.shape, axes), dtype: x.dtype };
    },
    vjp,
  };
  return [prim, (x, axes) => (axes.length ? makeNode(prim, [x], { axes }) : x)];
}

/** Ties share the cotangent equally. */
const shareTies: Vjp = ({ ct, out, inputs: [x], attrs: { axes } }) => {
  const hit = cast(eq(x, insertAxes(out, axes, x.shape)), x.dtype);
  return [mul(insertAxes(div(ct, sum(hit, axes)), axes, x.shape), hit)];
};
/** NaN if any is NaN. */
export const [maxPrim, max] = reduce("max", true, shareTies);
/** NaN if any is NaN. */
export const [minPrim, min] = reduce("min", true, shareTies);

/** The cotangent of one factor is the product of the others, taken anew so that zeros are exact (n^2 work). */
export const [prodPrim, prod] = reduce("prod", false, ({ ct, inputs: [x], attrs: { axes } }) => {
  const kept = x.shape.map((_, i) => i).filter((i) => !axes.includes(i));
  const outer = kept.map((i) => x.shape[i]);
  const n = axes.reduce((m, a) => m * x.shape[a], 1);
  const flat = reshape(permute(x, [...kept, ...axes]), [...outer, n]);
  const square = [...outer, n, n];
  const rows = broadcast(reshape(flat, [...outer, 1, n]), square);
  const diagonal = eq(iota(square, outer.length), iota(square, outer.length + 1));
  const others = prod(where(diagonal, constantLike(rows, 1), rows), [outer.length + 1]);
  const dFlat = mul(others, insertAxes(ct, [outer.length], [...outer, n]));
  const order = [...kept, ...axes];
  const back = reshape(
    dFlat,
    order.map((i) => x.shape[i]),
  );
  return [
    permute(
      back,
      order.map((_, i) => order.indexOf(i)),
    ),
  ];
});

function argReduce(name: string): [Primitive<AxesAttrs>, Reduce] {
  const prim: Primitive<AxesAttrs> = {
    name,
    infer([x], { axes }) {
      if (axes.some((a) => x.shape[a] === 0))
        throw new ShapeError(`${name}: an axis of ${showShape(x.shape)} among [${axes}] is empty and has no ${name}`);
      return { shape: dropAxes(x.shape, axes), dtype: "i32" };
    },
  };
  return [prim, (x, axes) => (axes.length ? makeNode(prim, [x], { axes }) : constant(0, x.shape, "i32"))];
}
/** First position of the maximum in row-major order over `axes`, as i32; the first NaN wins. */
export const [argmaxPrim, argmax] = argReduce("argmax");
/** First position of the minimum in row-major order over `axes`, as i32; the first NaN wins. */
export const [argminPrim, argmin] = argReduce("argmin");

export interface CumsumAttrs {
  readonly axis: number;
  readonly reverse: boolean;
  readonly exclusive: boolean;
}
export const cumsumPrim: Primitive<CumsumAttrs> = {
  name: "cumsum",
  infer([x]) {
    if (x.dtype === "bool") throw new ShapeError("cumsum: takes numbers, got bool; cast to i32 to count");
    return { shape: x.shape, dtype: x.dtype };
  },
  vjp: ({ ct, attrs: { axis, reverse, exclusive } }) => [cumsum(ct, { axis, reverse: !reverse, exclusive })],
};
/** Running sums along `axis`; `exclusive` leaves the own element out. */
export const cumsum = (x: Node, attrs: CumsumAttrs): Node => makeNode(cumsumPrim, [x], attrs);
