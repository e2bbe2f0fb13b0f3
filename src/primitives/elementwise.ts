import { type DType, isFloat } from "../core/dtype.ts";
import { ShapeError, showShape } from "../core/errors.ts";
import { sameShape } from "../core/shape.ts";
import { makeNode, type Node, type Primitive, type VjpContext } from "../graph/node.ts";
import { constantLike } from "./leaf.ts";

type None = Record<string, never>;
type Vjp = (context: VjpContext<None>) => (Node | null)[];
type Unary = (x: Node) => Node;
type Binary = (x: Node, y: Node) => Node;

function unary(name: string, accepts: (d: DType) => boolean, rule: string, vjp?: Vjp): [Primitive<None>, Unary] {
  const prim: Primitive<None> = {
    name,
    infer([x]) {
      if (!accepts(x.dtype)) throw new ShapeError(`${name}: takes ${rule}, got ${x.dtype}; cast it first`);
      return { shape: x.shape, dtype: x.dtype };
    },
    vjp,
  };
  return [prim, (x) => makeNode(prim, [x], {})];
}

/** The dtypes a binary operation takes, in words for its error. */
type Domain = readonly [accepts: (d: DType) => boolean, rule: string];

function binary(name: string, [accepts, rule]: Domain, result: "same" | "bool", vjp?: Vjp): [Primitive<None>, Binary] {
  const prim: Primitive<None> = {
    name,
    infer([x, y]) {
      if (x.dtype !== y.dtype) throw new ShapeError(`${name}: dtypes ${x.dtype} and ${y.dtype} differ; cast one`);
      if (!accepts(x.dtype)) throw new ShapeError(`${name}: takes ${rule}, got ${x.dtype}; cast it first`);
      if (!sameShape(x.shape, y.shape))
        throw new ShapeError(
          `${name}: shapes ${showShape(x.shape)} and ${showShape(y.shape)} differ; broadcast them first`,
        );
      return { shape: x.shape, dtype: result === "bool" ? "bool" : x.dtype };
    },
    vjp,
  };
  return [prim, (x, y) => makeNode(prim, [x, y], {})];
}

const numeric = (d: DType) => d !== "bool";
const float = isFloat;
const numbers: Domain = [numeric, "numbers"];
const bits: Domain = [(d) => !isFloat(d), "integers or bool"];
const anything: Domain = [() => true, "any dtype"];
const zeroVjp: Vjp = ({ inputs }) => inputs.map(() => null);

export const [negPrim, neg] = unary("neg", numeric, "numbers", ({ ct }) => [neg(ct)]);
export const [absPrim, abs] = unary("abs", numeric, "numbers", ({ ct, inputs: [x] }) => [mul(ct, sign(x))]);
export const [signPrim, sign] = unary("sign", numeric, "numbers", zeroVjp);
export const [floorPrim, floor] = unary("floor", float, "floats", zeroVjp);
export const [ceilPrim, ceil] = unary("ceil", float, "floats", zeroVjp);
/** To the nearest integer, halves to even. */
export const [roundPrim, round] = unary("round", float, "floats", zeroVjp);
export const [expPrim, exp] = unary("exp", float, "floats", ({ ct, out }) => [mul(ct, out)]);
export const [expm1Prim, expm1] = unary("expm1", float, "floats", ({ ct, out }) => [
  mul(ct, add(out, constantLike(out, 1))),
]);
export const [logPrim, log] = unary("log", float, "floats", ({ ct, inputs: [x] }) => [div(ct, x)]);
export const [log1pPrim, log1p] = unary("log1p", float, "floats", ({ ct, inputs: [x] }) => [
  div(ct, add(x, constantLike(x, 1))),
]);
export const [sqrtPrim, sqrt] = unary("sqrt", float, "floats", ({ ct, out }) => [
  div(mul(ct, constantLike(ct, 0.5)), out),
]);
export const [sinPrim, sin] = unary("sin", float, "floats", ({ ct, inputs: [x] }) => [mul(ct, cos(x))]);
export const [cosPrim, cos] = unary("cos", float, "floats", ({ ct, inputs: [x] }) => [neg(mul(ct, sin(x)))]);
export const [atanPrim, atan] = unary("atan", float, "floats", ({ ct, inputs: [x] }) => [
  div(ct, add(mul(x, x), constantLike(x, 1))),
]);
export const [tanhPrim, tanh] = unary("tanh", float, "floats", ({ ct, out }) => [
  mul(ct, sub(constantLike(out, 1), mul(out, out))),
]);
export const [erfPrim, erf] = unary("erf", float, "floats", ({ ct, inputs: [x] }) => [
  mul(mul(ct, constantLike(x, 2 / Math.sqrt(Math.PI))), exp(neg(mul(x, x)))),
]);
export const [notPrim, not] = unary("not", (d) => d === "bool", "bool");

export const [addPrim, add] = binary("add", numbers, "same", ({ ct }) => [ct, ct]);
export const [subPrim, sub] = binary("sub", numbers, "same", ({ ct }) => [ct, neg(ct)]);
export const [mulPrim, mul] = binary("mul", numbers, "same", ({ ct, inputs: [x, y] }) => [mul(ct, y), mul(ct, x)]);
/** Quotient; integers truncate toward zero, and x / 0 is 0. */
export const [divPrim, div] = binary("div", numbers, "same", ({ ct, out, inputs: [, y] }) => {
  const dx = div(ct, y);
  return [dx, neg(mul(dx, out))];
});
/** Remainder with the sign of the divisor, as Python's `%`; integers modulo 0 are 0. */
export const [modPrim, mod] = binary("mod", numbers, "same", ({ ct, inputs: [x, y] }) => [
  ct,
  neg(mul(ct, floor(div(x, y)))),
]);
export const [powPrim, pow] = binary("pow", numbers, "same", ({ ct, out, inputs: [x, y] }) => {
  const [zero, one] = [constantLike(x, 0), constantLike(x, 1)];
  // d/dx is 0 where y is 0, even at x = 0; d/dy is 0 where x is 0 and y >= 0. The inner `where`s keep powers and log
  // finite there, for gradients of higher order too.
  const dead = eq(x, zero);
  const dx = mul(mul(ct, y), pow(where(and(dead, eq(y, zero)), one, x), sub(y, one)));
  const dy = where(dead, zero, mul(mul(ct, out), log(where(dead, one, x))));
  return [dx, dy];
});

/** Where both are equal each takes half of the cotangent. */
const extremum =
  (wins: (x: Node, y: Node) => Node): Vjp =>
  ({ ct, inputs: [x, y] }) => {
    const half = mul(ct, constantLike(ct, 0.5));
    const zero = constantLike(ct, 0);
    const tie = eq(x, y);
    return [where(tie, half, where(wins(x, y), ct, zero)), where(tie, half, where(wins(y, x), ct, zero))];
  };
/** NaN if either is NaN. */
export const [maximumPrim, maximum] = binary(
  "maximum",
  anything,
  "same",
  extremum((x, y) => gt(x, y)),
);
/** NaN if either is NaN. */
export const [minimumPrim, minimum] = binary(
  "minimum",
  anything,
  "same",
  extremum((x, y) => lt(x, y)),
);

export const [eqPrim, eq] = binary("eq", anything, "bool");
export const [nePrim, ne] = binary("ne", anything, "bool");
export const [ltPrim, lt] = binary("lt", anything, "bool");
export const [lePrim, le] = binary("le", anything, "bool");
export const [gtPrim, gt] = binary("gt", anything, "bool");
export const [gePrim, ge] = binary("ge", anything, "bool");
/** Bitwise on integers, logical on bool. */
export const [andPrim, and] = binary("and", bits, "same");
export const [orPrim, or] = binary("or", bits, "same");
export const [xorPrim, xor] = binary("xor", bits, "same");

export const wherePrim: Primitive<None> = {
  name: "where",
  infer([c, x, y]) {
    if (c.dtype !== "bool") throw new ShapeError(`where: the condition must be bool, got ${c.dtype}`);
    if (x.dtype !== y.dtype) throw new ShapeError(`where: dtypes ${x.dtype} and ${y.dtype} differ`);
    if (!sameShape(c.shape, x.shape) || !sameShape(x.shape, y.shape))
      throw new ShapeError(`where: shapes ${[c, x, y].map((n) => showShape(n.shape)).join(", ")} differ`);
    return { shape: x.shape, dtype: x.dtype };
  },
  vjp({ ct, inputs: [c] }) {
    const zero = constantLike(ct, 0);
    return [null, where(c, ct, zero), where(c, zero, ct)];
  },
};
export const where = (c: Node, x: Node, y: Node): Node => makeNode(wherePrim, [c, x, y], {});

export interface CastAttrs {
  readonly dtype: DType;
}
/** Conversion; float to integer truncates toward zero and saturates (NaN is 0), anything to bool is `!= 0`. */
export const castPrim: Primitive<CastAttrs> = {
  name: "cast",
  infer: ([x], { dtype }) => ({ shape: x.shape, dtype }),
  vjp: ({ ct, inputs: [x] }) => [isFloat(x.dtype) ? cast(ct, x.dtype) : null],
};
export const cast = (x: Node, dtype: DType): Node => (x.dtype === dtype ? x : makeNode(castPrim, [x], { dtype }));
