import { computeDType, type DType } from "../core/dtype.ts";
import { ManabiError, ShapeError, showShape } from "../core/errors.ts";
import { checkShape, type Shape } from "../core/shape.ts";
import { constant, iota } from "../primitives/leaf.ts";
import { Tensor, where } from "./tensor.ts";

export interface CreationOptions {
  /** Default f32. */
  readonly dtype?: DType;
}

/** `value` everywhere; holds no memory until it is computed with. */
export function full(shape: Shape, value: number | boolean, options: CreationOptions = {}): Tensor {
  checkShape("full", shape);
  const { dtype = typeof value === "boolean" ? "bool" : "f32" } = options;
  return new Tensor(constant(Number(value), shape, dtype));
}
export const zeros = (shape: Shape, options?: CreationOptions): Tensor => full(shape, 0, options);
export const ones = (shape: Shape, options?: CreationOptions): Tensor => full(shape, 1, options);
/** Zeros of the shape and dtype of x. */
export const zerosLike = (x: Tensor): Tensor => full(x.shape, 0, { dtype: x.dtype });
/** Ones of the shape and dtype of x. */
export const onesLike = (x: Tensor): Tensor => full(x.shape, 1, { dtype: x.dtype });

/** The position along `axis` of every element of `shape`. */
const positions = (shape: Shape, axis: number, dtype: DType): Tensor => new Tensor(iota(shape, axis, dtype));

/** start, start + step, .. below `stop`; with one argument 0 .. stop - 1. */
export function arange(start: number, stop?: number, step = 1, options: CreationOptions = {}): Tensor {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  const count = Math.max(0, Math.ceil((to - from) / step));
  if (!Number.isFinite(count)) throw new ManabiError(`arange: ${from} to ${to} by ${step} is no finite range`);
  const whole = Number.isInteger(from) && Number.isInteger(step);
  const { dtype = whole ? "i32" : "f32" } = options;
  return positions([count], 0, computeDType(dtype)).mul(step).add(from).cast(dtype);
}

/** `count` values from `start` to `stop`, both included, evenly spaced. */
export function linspace(start: number, stop: number, count: number, options: CreationOptions = {}): Tensor {
  checkShape("linspace", [count]);
  const { dtype = "f32" } = options;
  const index = positions([count], 0, computeDType(dtype));
  const step = count > 1 ? (stop - start) / (count - 1) : 0;
  // Each half is counted from its own end, so that both ends are exact.
  const back = index.neg().add(count - 1);
  return where(index.lt(count / 2), index.mul(step).add(start), back.mul(-step).add(stop)).cast(dtype);
}

/** The identity matrix [rows, columns]. */
export function eye(rows: number, columns = rows, options: CreationOptions = {}): Tensor {
  checkShape("eye", [rows, columns]);
  const shape = [rows, columns];
  return positions(shape, 0, "i32")
    .eq(positions(shape, 1, "i32"))
    .cast(options.dtype ?? "f32");
}

/** Column minus row of every element of the last two axes. */
function diagonals(op: string, x: Tensor): Tensor {
  if (x.rank < 2) throw new ShapeError(`${op}: takes matrices [.., m, n], got ${showShape(x.shape)}`);
  const shape = x.shape.slice(-2);
  return positions(shape, 1, "i32").sub(positions(shape, 0, "i32"));
}
/** x on and below the given diagonal of its last two axes, zero above. */
export const tril = (x: Tensor, diagonal = 0): Tensor => where(diagonals("tril", x).le(diagonal), x, 0);
/** x on and above the given diagonal of its last two axes, zero below. */
export const triu = (x: Tensor, diagonal = 0): Tensor => where(diagonals("triu", x).ge(diagonal), x, 0);

/** One axis more at the end, of size `classes`: 1 at the index, else 0 (i32 unless `dtype` says otherwise). */
export function oneHot(index: Tensor, classes: number, options: CreationOptions = {}): Tensor {
  checkShape("oneHot", [classes]);
  return index
    .unsqueeze(-1)
    .eq(positions([...index.shape.map(() => 1), classes], index.rank, index.dtype))
    .cast(options.dtype ?? "i32");
}
