import { computeDType, type DType, isFloat, isHalf, storedValue } from "../../../core/dtype.ts";
import { ManabiError } from "../../../core/errors.ts";

/**
 * Types of values in a shader. u8 and bool are u32, in memory too: WGSL has neither as an element of a buffer. A value of a
 * 16-bit dtype is an f32 on the grid of that dtype (docs/design/0002-half-precision.md); two of them share a word of memory.
 */
export type WgslType = "f32" | "i32" | "u32";

/** What the backend computes in, and how. */
const types: Partial<Record<DType, WgslType>> = {
  f32: "f32",
  f16: "f32",
  bf16: "f32",
  i32: "i32",
  u32: "u32",
  u8: "u32",
  bool: "u32",
};

export const webgpuDTypes: ReadonlySet<DType> = new Set(Object.keys(types) as DType[]);

/** The type of a value of `dtype` in a shader. */
export function wgslType(dtype: DType): WgslType {
  const type = types[dtype];
  if (!type) throw new ManabiError(`webgpu: no WGSL type for ${dtype}`);
  return type;
}

/** Bytes of a word, which is what a shader's memory consists of. */
export const wordBytes = 4;

/** Bytes of one element in the device's memory. */
export const elementBytes = (dtype: DType): number => (isHalf(dtype) ? wordBytes / 2 : wordBytes);

/** Bytes of the whole words that hold `length` elements. */
export const memoryBytes = (length: number, dtype: DType): number =>
  Math.ceil((length * elementBytes(dtype)) / wordBytes) * wordBytes;

/** A literal of exactly the value that `dtype` stores for `given`. */
export function literalW(given: number, dtype: DType): string {
  const value = storedValue(given, dtype);
  if (isFloat(dtype)) {
    // WGSL has no infinite and no missing literals, and may not keep the sign of zero.
    if (Number.isNaN(value)) return "missing()";
    if (!Number.isFinite(value)) return value > 0 ? "infinity()" : "-infinity()";
    if (Object.is(value, -0)) return "bitcast<f32>(0x80000000u)";
    return value < 0 ? `(${value}f)` : `${value}f`;
  }
  if (dtype !== "i32") return `${value}u`;
  return value < 0 ? `i32(${value})` : `${value}`;
}

/** A conversion as the `cast` primitive defines it, but for the rounding to a 16-bit dtype. */
export function convertW(x: string, from: DType, to: DType): string {
  if (computeDType(from) === computeDType(to)) return x;
  if (to === "bool") return isFloat(from) ? `select(0u, 1u, (bitcast<u32>(${x}) << 1u) != 0u)` : `u32((${x}) != 0)`;
  if (isFloat(from) && !isFloat(to)) return `f32_to_${to}(${x})`;
  const value = wgslType(from) === wgslType(to) ? x : `${wgslType(to)}(${x})`;
  return to === "u8" && from !== "bool" ? `(${value} & 0xffu)` : value;
}

/** A float on the grid of its dtype. */
export const roundW = (x: string, dtype: DType): string => (isHalf(dtype) ? `round_${dtype}(${x})` : x);

type Render = (args: readonly string[], dtype: DType) => string;

const infix =
  (operator: string): Render =>
  ([x, y]) =>
    `(${x} ${operator} ${y})`;
const builtin =
  (name: string): Render =>
  (args) =>
    `${name}(${args.join(", ")})`;
/** Functions of functions.ts, one for each type. */
const own =
  (name: string): Render =>
  (args, d) =>
    `${name}_${wgslType(d)}(${args.join(", ")})`;
const wrapped =
  (render: Render): Render =>
  (args, d) =>
    d === "u8" ? `(${render(args, d)} & 0xffu)` : render(args, d);
const comparison =
  (operator: string): Render =>
  ([x, y]) =>
    `u32(${x} ${operator} ${y})`;
const extreme =
  (operator: string, name: string): Render =>
  ([x, y], d) =>
    isFloat(d) ? `select(${y}, ${x}, ${x} ${operator} ${y} || is_missing(${x}))` : `${name}(${x}, ${y})`;

const calls: Record<string, Render> = {
  neg: wrapped(([x], d) => (wgslType(d) === "u32" ? `(0u - ${x})` : `(-${x})`)),
  abs: ([x], d) => (wgslType(d) === "u32" ? x : `abs(${x})`),
  sign: own("sign"),
  floor: builtin("floor"),
  ceil: builtin("ceil"),
  round: builtin("round"),
  exp: own("exp"),
  expm1: own("expm1"),
  log: own("log"),
  log1p: own("log1p"),
  sqrt: builtin("sqrt"),
  sin: own("sin"),
  cos: own("cos"),
  atan: own("atan"),
  tanh: own("tanh"),
  erf: own("erf"),
  not: ([x]) => `u32(${x} == 0u)`,
  add: wrapped(infix("+")),
  sub: wrapped(infix("-")),
  mul: wrapped(infix("*")),
  div: (args, d) => (isFloat(d) ? infix("/") : own("div"))(args, d),
  mod: own("mod"),
  pow: wrapped(own("pow")),
  maximum: extreme(">", "max"),
  minimum: extreme("<", "min"),
  eq: comparison("=="),
  ne: comparison("!="),
  lt: comparison("<"),
  le: comparison("<="),
  gt: comparison(">"),
  ge: comparison(">="),
  and: infix("&"),
  or: infix("|"),
  xor: infix("^"),
  where: ([c, x, y]) => `select(${y}, ${x}, ${c} != 0u)`,
};

/** Their results are values of the dtype if their operands are. */
const exact = new Set(["neg", "abs", "sign", "floor", "ceil", "round", "maximum", "minimum", "where"]);

/**
 * An elementwise primitive applied to WGSL expressions without side effects; `rounds` tells whether a result of a 16-bit
 * dtype still lacks its rounding.
 */
export function callW(
  name: string,
  args: readonly string[],
  argTypes: readonly DType[],
  dtype: DType,
): { readonly text: string; readonly rounds: boolean } {
  if (name === "cast") return { text: convertW(args[0], argTypes[0], dtype), rounds: argTypes[0] !== dtype };
  const render = calls[name];
  if (!render) throw new ManabiError(`webgpu: no WGSL for ${name}`);
  return { text: render(args, dtype), rounds: !exact.has(name) };
}
