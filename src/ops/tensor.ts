import { evaluate } from "../backends/evaluate.ts";
import {
  arrayType,
  type DType,
  type HostArray,
  isFloat,
  isHalf,
  loadValues,
  promote,
  storeValues,
  type TypedArray,
} from "../core/dtype.ts";
import { ManabiError, ShapeError, showShape } from "../core/errors.ts";
import { broadcastShapes, normalizeAxes, normalizeAxis, type Shape, sizeOf } from "../core/shape.ts";
import { readNow, readValue } from "../core/value.ts";
import type { Node } from "../graph/node.ts";
import { broadcast, reshape, sum } from "../primitives/broadcast.ts";
import { dot } from "../primitives/contract.ts";
import { stopGradient } from "../primitives/control.ts";
import * as e from "../primitives/elementwise.ts";
import { argsort, gather, scatterAdd } from "../primitives/indexing.ts";
import { constant, data } from "../primitives/leaf.ts";
import { concat, flip, pad, permute, slice } from "../primitives/movement.ts";
import * as reduce from "../primitives/reduce.ts";
import { autocastDType } from "./autocast.ts";

/** What stands for a tensor in an operation: a number takes the dtype of the other operand. */
export type TensorLike = Tensor | number | boolean;

/** Axes by number, negative from the end; left out, all of them. */
export type Axes = number | readonly number[];

export interface ReduceOptions {
  /** Leaves reduced axes in the shape with size 1. */
  readonly keepDims?: boolean;
}

/**
 * An immutable n-dimensional array, computed when its values are asked for. Shape and dtype are known at once, so a
 * wrong call throws where it is made. There is nothing to dispose.
 */
export class Tensor {
  readonly #node: Node | null;

  constructor(node: Node | null) {
    this.#node = node;
  }

  /** The graph node behind this handle. */
  get node(): Node {
    return this.#node as Node;
  }
  get shape(): Shape {
    return this.node.shape;
  }
  get dtype(): DType {
    return this.node.dtype;
  }
  get rank(): number {
    return this.shape.length;
  }
  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  // Values

  /** A copy of the values in row-major order; those of 16-bit floats as f32. */
  async data(): Promise<TypedArray> {
    return copyOfValues(await this.#read(), this.dtype);
  }
  /** `data()` where the backend can wait without yielding; throws where values lie on a device. */
  dataSync(): TypedArray {
    return copyOfValues(readNow(evaluate([this.node])[0], "await tensor.data()"), this.dtype);
  }
  /** The value of a tensor with one element. */
  async item(): Promise<number> {
    this.#mustBeOne();
    return loadValues(await this.#read(), this.dtype)[0];
  }
  /** `item()` where the backend can wait without yielding; throws where the value lies on a device. */
  itemSync(): number {
    this.#mustBeOne();
    return loadValues(readNow(evaluate([this.node])[0], "await tensor.item()"), this.dtype)[0];
  }
  /** Shape, dtype and a copy of the values as they are stored: 16-bit floats as their patterns. */
  async host(): Promise<HostArray> {
    return { shape: this.shape, dtype: this.dtype, data: (await this.#read()).slice() as TypedArray };
  }
  async #read(): Promise<TypedArray> {
    return readValue(evaluate([this.node])[0]);
  }
  #mustBeOne(): void {
    if (this.size !== 1)
      throw new ShapeError(`item: takes a tensor with one element, this one is ${showShape(this.shape)}`);
  }
  toString(): string {
    return `Tensor(${this.dtype}${showShape(this.shape)})`;
  }
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }

  // Arithmetic, with broadcasting

  add(y: TensorLike): Tensor {
    return binary("add", e.add, this, y);
  }
  sub(y: TensorLike): Tensor {
    return binary("sub", e.sub, this, y);
  }
  mul(y: TensorLike): Tensor {
    return binary("mul", e.mul, this, y);
  }
  /** Quotient; integers give f32, as in PyTorch. */
  div(y: TensorLike): Tensor {
    return binary("div", e.div, toFloat(this), y);
  }
  /** Remainder with the sign of the divisor. */
  mod(y: TensorLike): Tensor {
    return binary("mod", e.mod, this, y);
  }
  /** Power; small integer exponents are multiplications. */
  pow(y: TensorLike): Tensor {
    if (y === 2) return this.mul(this);
    if (y === 1) return this;
    if (y === 0.5) return this.sqrt();
    if (y === -1) return this.reciprocal();
    return binary("pow", e.pow, float32Operand(this), y);
  }
  maximum(y: TensorLike): Tensor {
    return binary("maximum", e.maximum, this, y);
  }
  minimum(y: TensorLike): Tensor {
    return binary("minimum", e.minimum, this, y);
  }
  eq(y: TensorLike): Tensor {
    return binary("eq", e.eq, this, y);
  }
  ne(y: TensorLike): Tensor {
    return binary("ne", e.ne, this, y);
  }
  lt(y: TensorLike): Tensor {
    return binary("lt", e.lt, this, y);
  }
  le(y: TensorLike): Tensor {
    return binary("le", e.le, this, y);
  }
  gt(y: TensorLike): Tensor {
    return binary("gt", e.gt, this, y);
  }
  ge(y: TensorLike): Tensor {
    return binary("ge", e.ge, this, y);
  }
  /** Logical on bool, bitwise on integers. */
  and(y: TensorLike): Tensor {
    return binary("and", e.and, this, y);
  }
  or(y: TensorLike): Tensor {
    return binary("or", e.or, this, y);
  }
  xor(y: TensorLike): Tensor {
    return binary("xor", e.xor, this, y);
  }
  not(): Tensor {
    return new Tensor(e.not(this.node));
  }
  neg(): Tensor {
    return new Tensor(e.neg(this.node));
  }
  abs(): Tensor {
    return new Tensor(e.abs(this.node));
  }
  sign(): Tensor {
    return new Tensor(e.sign(this.node));
  }
  floor(): Tensor {
    return new Tensor(e.floor(this.node));
  }
  ceil(): Tensor {
    return new Tensor(e.ceil(this.node));
  }
  /** To the nearest integer, halves to even. */
  round(): Tensor {
    return new Tensor(e.round(this.node));
  }
  exp(): Tensor {
    return new Tensor(e.exp(toWide(this).node));
  }
  expm1(): Tensor {
    return new Tensor(e.expm1(toWide(this).node));
  }
  log(): Tensor {
    return new Tensor(e.log(toWide(this).node));
  }
  log1p(): Tensor {
    return new Tensor(e.log1p(toWide(this).node));
  }
  sqrt(): Tensor {
    return new Tensor(e.sqrt(toFloat(this).node));
  }
  rsqrt(): Tensor {
    return roundedOnce(toWide(this), (x) => x.sqrt().reciprocal());
  }
  square(): Tensor {
    return this.mul(this);
  }
  reciprocal(): Tensor {
    const x = toWide(this);
    return new Tensor(e.div(constant(1, x.shape, x.dtype), x.node));
  }
  sin(): Tensor {
    return new Tensor(e.sin(toFloat(this).node));
  }
  cos(): Tensor {
    return new Tensor(e.cos(toFloat(this).node));
  }
  tan(): Tensor {
    return roundedOnce(toWide(this), (x) => x.sin().div(x.cos()));
  }
  atan(): Tensor {
    return new Tensor(e.atan(toFloat(this).node));
  }
  asin(): Tensor {
    return roundedOnce(toWide(this), (x) => x.div(x.neg().add(1).mul(x.add(1)).sqrt()).atan());
  }
  acos(): Tensor {
    return roundedOnce(toWide(this), (x) =>
      x
        .asin()
        .neg()
        .add(Math.PI / 2),
    );
  }
  sinh(): Tensor {
    return roundedOnce(toWide(this), (x) => x.expm1().sub(x.neg().expm1()).mul(0.5));
  }
  cosh(): Tensor {
    return roundedOnce(toWide(this), (x) => {
      const grown = x.exp();
      return grown.add(grown.reciprocal()).mul(0.5);
    });
  }
  tanh(): Tensor {
    return new Tensor(e.tanh(toFloat(this).node));
  }
  erf(): Tensor {
    return new Tensor(e.erf(toFloat(this).node));
  }
  /** Values below `low` become `low`, values above `high` become `high`; the gradient at the bounds is 0. */
  clamp(low: TensorLike | null, high: TensorLike | null = null): Tensor {
    const above = low === null ? this : where(this.le(low), low, this);
    return high === null ? above : where(above.ge(high), high, above);
  }
  /** Elements of this where `condition` holds, else of `other`. */
  where(condition: Tensor, other: TensorLike): Tensor {
    return where(condition, this, other);
  }
  cast(dtype: DType): Tensor {
    return new Tensor(e.cast(this.node, dtype));
  }

  // Reductions

  sum(axes?: Axes, options: ReduceOptions = {}): Tensor {
    return reduceBy("sum", sum, this.dtype === "bool" ? this.cast("i32") : float32Operand(this), axes, options);
  }
  mean(axes?: Axes, options: ReduceOptions = {}): Tensor {
    const count = normalizeAxes("mean", axes, this.rank).reduce((n, a) => n * this.shape[a], 1);
    return roundedOnce(toFloat(this), (x) => x.sum(axes, options).div(count));
  }
  prod(axes?: Axes, options: ReduceOptions = {}): Tensor {
    return reduceBy("prod", reduce.prod, float32Operand(this), axes, options);
  }
  /** Ties share the gradient equally. */
  max(axes?: Axes, options: ReduceOptions = {}): Tensor {
    return reduceBy("max", reduce.max, this, axes, options);
  }
  min(axes?: Axes, options: ReduceOptions = {}): Tensor {
    return reduceBy("min", reduce.min, this, axes, options);
  }
  /** First position of the maximum along `axis` (left out: of the flat tensor), i32. */
  argmax(axis?: number, options: ReduceOptions = {}): Tensor {
    return reduceBy("argmax", reduce.argmax, this, axis, options);
  }
  argmin(axis?: number, options: ReduceOptions = {}): Tensor {
    return reduceBy("argmin", reduce.argmin, this, axis, options);
  }
  /** Mean squared deviation; `correction` is subtracted from the count (1: unbiased, PyTorch's default). */
  variance(axes?: Axes, options: ReduceOptions & { readonly correction?: number } = {}): Tensor {
    const { correction = 1 } = options;
    const count = normalizeAxes("variance", axes, this.rank).reduce((n, a) => n * this.shape[a], 1);
    return roundedOnce(this, (x) =>
      x
        .sub(x.mean(axes, { keepDims: true }))
        .square()
        .sum(axes, options)
        .div(Math.max(0, count - correction)),
    );
  }
  std(axes?: Axes, options: ReduceOptions & { readonly correction?: number } = {}): Tensor {
    return roundedOnce(this, (x) => x.variance(axes, options).sqrt());
  }
  /** log(sum(e^x)) without overflow. */
  logsumexp(axes?: Axes, options: ReduceOptions = {}): Tensor {
    return roundedOnce(float32Operand(this), (x) => {
      const highest = new Tensor(stopGradient(x.max(axes, { keepDims: true }).node));
      // Where all is -Infinity there is nothing to shift by.
      const shift = where(highest.abs().eq(Number.POSITIVE_INFINITY), 0, highest);
      const sum = x.sub(shift).exp().sum(axes, { keepDims: true }).log().add(shift);
      return options.keepDims ? sum : sum.squeeze(normalizeAxes("logsumexp", axes, x.rank));
    });
  }
  /** Vector norm over `axes`: of order 2, 1, Infinity or another positive number; its gradient at 0 is 0. */
  norm(axes?: Axes, { ord = 2, ...options }: ReduceOptions & { readonly ord?: number } = {}): Tensor {
    if (!(ord > 0)) throw new ManabiError(`norm: the order must be positive, got ${ord}`);
    return roundedOnce(float32Operand(this), (x) => {
      const size = x.abs();
      if (ord === Number.POSITIVE_INFINITY) return size.max(axes, options);
      if (ord === 1) return size.sum(axes, options);
      const sum = (ord === 2 ? x.square() : size.pow(ord)).sum(axes, options);
      const zero = sum.eq(0);
      return where(zero, 0, where(zero, 1, sum).pow(1 / ord));
    });
  }
  any(axes?: Axes, options: ReduceOptions = {}): Tensor {
    return reduceBy("any", reduce.max, this.cast("bool"), axes, options);
  }
  all(axes?: Axes, options: ReduceOptions = {}): Tensor {
    return reduceBy("all", reduce.min, this.cast("bool"), axes, options);
  }
  cumsum(axis: number, options: { readonly reverse?: boolean; readonly exclusive?: boolean } = {}): Tensor {
    const { reverse = false, exclusive = false } = options;
    const at = normalizeAxis("cumsum", axis, this.rank);
    return new Tensor(reduce.cumsum(float32Operand(this).node, { axis: at, reverse, exclusive }));
  }

  // Movement

  /** The same elements in another shape; one size may be -1. */
  reshape(shape: Shape): Tensor {
    const open = shape.indexOf(-1);
    if (open < 0) return new Tensor(reshape(this.node, shape));
    const known = shape.reduce((n, d, i) => (i === open ? n : n * d), 1);
    if (shape.indexOf(-1, open + 1) >= 0 || known === 0 || this.size % known)
      throw new ShapeError(
        `reshape: ${showShape(this.shape)} (${this.size} elements) does not fill ${showShape(shape)}`,
      );
    return new Tensor(
      reshape(
        this.node,
        shape.map((d, i) => (i === open ? this.size / known : d)),
      ),
    );
  }
  /** Axes `start` to `end` joined into one. */
  flatten(start = 0, end = -1): Tensor {
    if (this.rank === 0) return this.reshape([1]);
    const [a, b] = [normalizeAxis("flatten", start, this.rank), normalizeAxis("flatten", end, this.rank)];
    return this.reshape([...this.shape.slice(0, a), sizeOf(this.shape.slice(a, b + 1)), ...this.shape.slice(b + 1)]);
  }
  permute(axes: readonly number[]): Tensor {
    return new Tensor(
      permute(
        this.node,
        axes.map((a) => normalizeAxis("permute", a, this.rank)),
      ),
    );
  }
  /** Swaps two axes. */
  transpose(a = -2, b = -1): Tensor {
    const order = this.shape.map((_, i) => i);
    const [i, j] = [normalizeAxis("transpose", a, this.rank), normalizeAxis("transpose", b, this.rank)];
    [order[i], order[j]] = [j, i];
    return new Tensor(permute(this.node, order));
  }
  broadcastTo(shape: Shape): Tensor {
    return new Tensor(broadcastNode("broadcastTo", this.node, shape));
  }
  squeeze(axes?: Axes): Tensor {
    const list =
      axes === undefined
        ? this.shape.flatMap((d, i) => (d === 1 ? [i] : []))
        : normalizeAxes("squeeze", axes, this.rank).filter((a) => this.shape[a] === 1);
    return this.reshape(this.shape.filter((_, i) => !list.includes(i)));
  }
  unsqueeze(axis: number): Tensor {
    const at = normalizeAxis("unsqueeze", axis, this.rank + 1);
    return this.reshape([...this.shape.slice(0, at), 1, ...this.shape.slice(at)]);
  }
  /** Elements from `start` (inclusive) to `end` (exclusive) along `axis`; negative positions count from the end. */
  slice(axis: number, start: number, end: number = this.shape[axis < 0 ? axis + this.rank : axis], step = 1): Tensor {
    const at = normalizeAxis("slice", axis, this.rank);
    const n = this.shape[at];
    if (!Number.isInteger(step) || step < 1)
      throw new ShapeError(`slice: step ${step} must be an integer >= 1; flip() reverses`);
    const from = Math.min(n, Math.max(0, start < 0 ? start + n : start));
    const to = Math.min(n, Math.max(from, end < 0 ? end + n : end));
    const only = <T>(value: T, rest: (d: number) => T) => this.shape.map((d, i) => (i === at ? value : rest(d)));
    return new Tensor(
      slice(this.node, {
        starts: only(from, () => 0),
        sizes: only(Math.ceil((to - from) / step), (d) => d),
        steps: only(step, () => 1),
      }),
    );
  }
  /** The slice at `index` along `axis`, without that axis. */
  select(axis: number, index: number): Tensor {
    const at = normalizeAxis("select", axis, this.rank);
    const i = index < 0 ? index + this.shape[at] : index;
    if (!Number.isInteger(index) || i < 0 || i >= this.shape[at])
      throw new ShapeError(`select: index ${index} is out of range for axis ${at} of ${showShape(this.shape)}`);
    return this.slice(at, i, i + 1).reshape(this.shape.filter((_, a) => a !== at));
  }
  /** Pads with `value`; one [before, after] pair per axis, the last pair for the last axis. Negative amounts crop. */
  pad(amounts: readonly (readonly [number, number])[], value = 0): Tensor {
    if (amounts.length > this.rank)
      throw new ShapeError(
        `pad: ${amounts.length} pairs given for ${showShape(this.shape)}, which has ${this.rank} axes`,
      );
    const all = [...this.shape.slice(amounts.length).map(() => [0, 0] as const), ...amounts];
    let x: Tensor = this;
    all.forEach(([lo, hi], axis) => {
      if (lo < 0 || hi < 0) x = x.slice(axis, Math.max(0, -lo), x.shape[axis] - Math.max(0, -hi));
    });
    const up = (k: 0 | 1) => all.map((p) => Math.max(0, p[k]));
    return new Tensor(pad(x.node, { lo: up(0), hi: up(1), interior: all.map(() => 0), value }));
  }
  flip(axes: Axes): Tensor {
    return new Tensor(flip(this.node, normalizeAxes("flip", axes, this.rank)));
  }
  /** The tensor repeated `times[i]` times along axis i; further leading counts add axes. */
  tile(times: readonly number[]): Tensor {
    const rank = Math.max(this.rank, times.length);
    const shape = [...new Array(rank - this.rank).fill(1), ...this.shape];
    const counts = [...new Array(rank - times.length).fill(1), ...times];
    const spread = this.reshape(shape.flatMap((d) => [1, d])).broadcastTo(shape.flatMap((d, i) => [counts[i], d]));
    return spread.reshape(shape.map((d, i) => d * counts[i]));
  }

  // Products and indexing

  /** Matrix product with NumPy's rules: 1-D operands are vectors, leading axes are batches and broadcast. */
  matmul(y: Tensor): Tensor {
    return matmul(this, y);
  }
  /** out[i][j] = this[index[i][j]][j] for axis 0, and so on: `index` has the rank of this and fits it in other axes. */
  gather(axis: number, index: Tensor): Tensor {
    const at = normalizeAxis("gather", axis, this.rank);
    if (index.rank !== this.rank)
      throw new ShapeError(`gather: index ${showShape(index.shape)} must have the rank of x ${showShape(this.shape)}`);
    let x: Tensor = this;
    index.shape.forEach((d, i) => {
      if (i !== at && d < x.shape[i]) x = x.slice(i, 0, d);
    });
    return new Tensor(gather(x.node, e.cast(index.node, "i32"), at));
  }
  /** Slices of this along `axis` at the positions in `index` (any shape), which takes the place of the axis. */
  take(index: Tensor, axis = 0): Tensor {
    const at = normalizeAxis("take", axis, this.rank);
    const [before, after] = [this.shape.slice(0, at), this.shape.slice(at + 1)];
    const flat = index.cast("i32").reshape([...before.map(() => 1), index.size, ...after.map(() => 1)]);
    const picked = gather(this.node, broadcast(flat.node, [...before, index.size, ...after]), at);
    return new Tensor(reshape(picked, [...before, ...index.shape, ...after]));
  }
  /** This with `update` added at the positions in `index` along `axis`. */
  scatterAdd(axis: number, index: Tensor, update: Tensor): Tensor {
    const at = normalizeAxis("scatterAdd", axis, this.rank);
    const added = scatterAdd(e.cast(index.node, "i32"), update.node, { axis: at, length: this.shape[at] });
    const rest = this.shape.map((d, i) => [0, d - added.shape[i]] as const);
    return this.add(new Tensor(added).pad(rest));
  }
  /** Positions that sort along `axis`, i32; stable, NaN as the largest. */
  argsort(axis = -1, options: { readonly descending?: boolean } = {}): Tensor {
    const at = normalizeAxis("argsort", axis, this.rank);
    return new Tensor(argsort(this.node, { axis: at, descending: options.descending ?? false, limit: this.shape[at] }));
  }
  /** Sorted values and their positions. */
  sort(axis = -1, options: { readonly descending?: boolean } = {}): [values: Tensor, indices: Tensor] {
    const indices = this.argsort(axis, options);
    return [this.gather(axis, indices), indices];
  }
  /** The k largest (or smallest) values along `axis`, in order, and their positions. */
  topk(k: number, axis = -1, options: { readonly largest?: boolean } = {}): [values: Tensor, indices: Tensor] {
    const at = normalizeAxis("topk", axis, this.rank);
    if (!Number.isInteger(k) || k < 0 || k > this.shape[at])
      throw new ShapeError(
        `topk: k = ${k} is not within 0..${this.shape[at]}, the size of axis ${at} of ${showShape(this.shape)}`,
      );
    const indices = new Tensor(argsort(this.node, { axis: at, descending: options.largest ?? true, limit: k }));
    return [this.gather(at, indices), indices];
  }
}

// What the methods are made of

function copyOfValues(stored: TypedArray, dtype: DType): TypedArray {
  const values = loadValues(stored, dtype);
  return values === stored ? (stored.slice() as TypedArray) : values;
}

function toFloat(x: Tensor): Tensor {
  return isFloat(x.dtype) ? x : x.cast("f32");
}

/** An operand of a product, in the dtype of autocast where it is in force; f64 stays. */
export function productOperand<T extends Tensor | null>(x: T): T | Tensor {
  const dtype = autocastDType();
  return x && dtype && isFloat(x.dtype) && x.dtype !== "f64" ? x.cast(dtype) : x;
}

/** An operand of what autocast wants in f32. */
const float32Operand = (x: Tensor): Tensor => (autocastDType() && isHalf(x.dtype) ? x.cast("f32") : x);

/** The same of a function of floats. */
const toWide = (x: Tensor): Tensor => float32Operand(toFloat(x));

/** `fn` of several steps as one operation of 16-bit floats: computed in f32, the result rounded once (see wide.ts). */
const roundedOnce = (x: Tensor, fn: (x: Tensor) => Tensor): Tensor =>
  isHalf(x.dtype) ? fn(x.cast("f32")).cast(x.dtype) : fn(x);

/** A tensor from a tensor-like operand that meets `other`. */
export function operand(x: TensorLike, other: Tensor): Tensor {
  if (x instanceof Tensor) return x;
  if (typeof x === "boolean") return new Tensor(constant(Number(x), [], "bool"));
  if (typeof x !== "number") throw new ManabiError(`expected a tensor or a number, got ${typeof x}`);
  const dtype = isFloat(other.dtype) || (Number.isInteger(x) && other.dtype !== "bool") ? other.dtype : "f32";
  return new Tensor(constant(x, [], dtype));
}

function broadcastNode(op: string, x: Node, shape: Shape): Node {
  const full = broadcastShapes(op, x.shape, shape);
  if (full.length !== shape.length || full.some((d, i) => d !== shape[i]))
    throw new ShapeError(`${op}: ${showShape(x.shape)} does not broadcast to ${showShape(shape)}`);
  const lead = shape.length - x.shape.length;
  return broadcast(lead ? reshape(x, [...new Array(lead).fill(1), ...x.shape]) : x, shape);
}

/** Applies a primitive of two equal shapes with promotion and broadcasting. */
function binary(name: string, prim: (x: Node, y: Node) => Node, x: Tensor, like: TensorLike): Tensor {
  const y = operand(like, x);
  const dtype = promote(x.dtype, y.dtype);
  const shape = broadcastShapes(name, x.shape, y.shape);
  const side = (t: Tensor) => broadcastNode(name, e.cast(t.node, dtype), shape);
  return new Tensor(prim(side(x), side(y)));
}

function reduceBy(
  name: string,
  prim: (x: Node, axes: readonly number[]) => Node,
  x: Tensor,
  axes: Axes | undefined,
  { keepDims = false }: ReduceOptions,
): Tensor {
  const list = normalizeAxes(name, axes, x.rank);
  const out = prim(x.node, list);
  if (!keepDims) return new Tensor(out);
  return new Tensor(
    reshape(
      out,
      x.shape.map((d, i) => (list.includes(i) ? 1 : d)),
    ),
  );
}

/** Elements of `x` where `condition` holds, else of `y`; all three broadcast. */
export function where(condition: Tensor, x: TensorLike, y: TensorLike): Tensor {
  const like = x instanceof Tensor ? x : y instanceof Tensor ? y : new Tensor(constant(0, [], "f32"));
  const [a, b] = [operand(x, like), operand(y, like)];
  const dtype = promote(a.dtype, b.dtype);
  const shape = broadcastShapes("where", broadcastShapes("where", condition.shape, a.shape), b.shape);
  const side = (t: Tensor, d: DType) => broadcastNode("where", e.cast(t.node, d), shape);
  return new Tensor(e.where(side(condition, "bool"), side(a, dtype), side(b, dtype)));
}

/** Matrix product with NumPy's rules. */
export const matmul = (x: Tensor, y: Tensor): Tensor => product(productOperand(x), productOperand(y));

/** `matmul` of operands that are what they shall be under autocast. */
export function product(x: Tensor, y: Tensor): Tensor {
  if (x.rank === 0 || y.rank === 0)
    throw new ShapeError(
      `matmul: takes vectors, matrices and batches, got ${showShape(x.shape)} and ${showShape(y.shape)}`,
    );
  const [a, b] = [x.rank === 1 ? x.unsqueeze(0) : x, y.rank === 1 ? y.unsqueeze(1) : y];
  const [m, k] = a.shape.slice(-2);
  const [k2, n] = b.shape.slice(-2);
  if (k !== k2)
    throw new ShapeError(
      `matmul: ${showShape(x.shape)} x ${showShape(y.shape)} do not multiply; the rule is [.., m, k] x [.., k, n]`,
    );
  const dtype = promote(a.dtype, b.dtype);
  let out: Tensor;
  if (b.rank === 2 && a.rank > 2) {
    // A batch times one matrix is one large product.
    const rows = sizeOf(a.shape.slice(0, -1));
    out = new Tensor(dot(e.cast(a.reshape([rows, k]).node, dtype), e.cast(b.node, dtype))).reshape([
      ...a.shape.slice(0, -1),
      n,
    ]);
  } else {
    const batch = broadcastShapes("matmul", a.shape.slice(0, -2), b.shape.slice(0, -2));
    const side = (t: Tensor, rows: number, cols: number) =>
      broadcastNode("matmul", e.cast(t.node, dtype), [...batch, rows, cols]);
    out = new Tensor(dot(side(a, m, k), side(b, k, n)));
  }
  if (x.rank === 1) out = out.squeeze(y.rank === 1 ? [-1, -2] : -2);
  else if (y.rank === 1) out = out.squeeze(-1);
  return out;
}

/** Tensors joined along an existing axis. */
export function concatenate(tensors: readonly Tensor[], axis = 0): Tensor {
  if (tensors.length === 0) throw new ShapeError("concat: takes at least one tensor");
  const dtype = tensors.map((t) => t.dtype).reduce(promote);
  const at = normalizeAxis("concat", axis, tensors[0].rank);
  return new Tensor(
    concat(
      tensors.map((t) => e.cast(t.node, dtype)),
      at,
    ),
  );
}

type Nested = number | boolean | readonly Nested[];

/**
 * A tensor from nested arrays, or from flat values and a shape. Numbers are f32, booleans bool, typed arrays their own
 * type, unless `dtype` says otherwise. A typed array of the right type is held, not copied: do not change it afterwards;
 * that of f16 and bf16 is a Uint16Array of patterns, other numbers are rounded to them.
 */
export function tensor(
  values: Nested | TypedArray,
  options: { readonly shape?: Shape; readonly dtype?: DType } | Shape = {},
): Tensor {
  const { shape, dtype } = Array.isArray(options)
    ? { shape: options as Shape, dtype: undefined }
    : (options as { shape?: Shape; dtype?: DType });
  if (ArrayBuffer.isView(values)) {
    const array = values as TypedArray;
    const type = dtype ?? typedArrayDtype(array);
    const stored = arrayType(type) === array.constructor ? array : storeValues(array, type);
    return new Tensor(data({ shape: shape ?? [array.length], dtype: type, data: stored }));
  }
  const found: number[] = [];
  let sawNumber = false;
  const collect = (v: Nested): number[] => {
    if (typeof v === "number" || typeof v === "boolean") {
      if (typeof v === "number") sawNumber = true;
      found.push(Number(v));
      return [];
    }
    const shapes = v.map(collect);
    if (shapes.some((s) => s.length !== shapes[0].length || s.some((d, i) => d !== shapes[0][i])))
      throw new ShapeError("tensor: the nested arrays are ragged; all rows of an axis must have equal length");
    return [v.length, ...(shapes[0] ?? [])];
  };
  const nested = collect(values as Nested);
  const type = dtype ?? (sawNumber || found.length === 0 ? "f32" : "bool");
  return new Tensor(data({ shape: shape ?? nested, dtype: type, data: storeValues(found, type) }));
}

function typedArrayDtype(array: TypedArray): DType {
  if (array instanceof Float32Array) return "f32";
  if (array instanceof Float64Array) return "f64";
  if (array instanceof Int32Array) return "i32";
  if (array instanceof Uint32Array) return "u32";
  if (array instanceof Uint8Array) return "u8";
  throw new ManabiError(
    `tensor: ${(array as object).constructor.name} has no dtype; pass { dtype } with a matching array`,
  );
}

/** A tensor that holds a host array. */
export const fromHost = ({ shape, dtype, data: values }: HostArray): Tensor =>
  new Tensor(data({ shape, dtype, data: values }));
