import { computeDType, type DType, isFloat as isFloatDType, isHalf, storedValue } from "../../core/dtype.ts";
import { ManabiError } from "../../core/errors.ts";

/** Types of elements in memory. */
export const ctype: Record<DType | "i64", string> = {
  f32: "float",
  f64: "double",
  f16: "uint16_t",
  bf16: "uint16_t",
  i32: "int32_t",
  u32: "uint32_t",
  u8: "uint8_t",
  bool: "uint8_t",
  i64: "int64_t",
};

/** The type of a value in a kernel: one of a 16-bit dtype is a float that lies on the grid of that dtype. */
export const valueType = (dtype: DType | "i64"): string => ctype[computeDType(dtype)];

const isFloat = (d: DType | "i64") => d !== "i64" && isFloatDType(d);

/** The value of an element in memory. */
export const loadC = (element: string, dtype: DType): string =>
  isHalf(dtype) ? `mnb_from_${dtype}(${element})` : element;

/** What is stored for a value, which is rounded to a 16-bit dtype on the way. */
export const storeC = (value: string, dtype: DType): string => (isHalf(dtype) ? `mnb_to_${dtype}(${value})` : value);

/** A float on the grid of its dtype. */
export const roundC = (value: string, dtype: DType): string => (isHalf(dtype) ? `mnb_round_${dtype}(${value})` : value);

/** A literal of exactly the value that `dtype` stores for `given`. */
export function constantC(given: number, stored: DType): string {
  const value = storedValue(given, stored);
  const dtype = computeDType(stored);
  if (isFloat(dtype)) {
    if (Number.isNaN(value)) return "NAN";
    if (!Number.isFinite(value)) return value > 0 ? "INFINITY" : "-INFINITY";
    const text = Object.is(value, -0) ? "-0.0" : String(value);
    const number = `${/[.e]/.test(text) ? text : `${text}.0`}${dtype === "f32" ? "f" : ""}`;
    return text.startsWith("-") ? `(${number})` : number;
  }
  if (dtype === "u32") return `${value}u`;
  return value === -(2 ** 31) ? "INT32_MIN" : value < 0 ? `(${value})` : `${value}`;
}

/** A conversion as the `cast` primitive defines it, but for the rounding to a 16-bit dtype. */
export function convertC(x: string, from: DType | "i64", to: DType | "i64"): string {
  if (from === to) return x;
  if (to === "bool") return `(uint8_t)((${x}) != 0)`;
  if (isFloat(from) && !isFloat(to)) return `mnb_${computeDType(from)}_to_${to}(${x})`;
  return valueType(from) === valueType(to) ? x : `(${valueType(to)})(${x})`;
}

/** A conversion as the `cast` primitive defines it. */
export const castC = (x: string, from: DType | "i64", to: DType): string =>
  from === to ? x : roundC(convertC(x, from, to), to);

type Render = (args: readonly string[], dtype: DType) => string;

const infix =
  (operator: string): Render =>
  ([x, y]) =>
    `(${x} ${operator} ${y})`;
/** Built-ins of the compiler, with the suffix of C for f32. */
const builtin =
  (name: string): Render =>
  ([x], d) =>
    `__builtin_${name}${d === "f32" ? "f" : ""}(${x})`;
/** Functions of kernel.h. */
const own =
  (name: string): Render =>
  (args, d) =>
    `mnb_${name}_${d === "bool" ? "u8" : d}(${args.join(", ")})`;
/** Functions that kernel.h has for f32; libm computes them in f64. */
const fast =
  (name: string): Render =>
  (args, d) =>
    (d === "f32" ? own(name) : builtin(name))(args, d);
/** Wraps results of C's promoted small integers. */
const wrapped =
  (render: Render): Render =>
  (args, d) =>
    d === "u8" ? `(uint8_t)${render(args, d)}` : render(args, d);

const calls: Record<string, Render> = {
  neg: wrapped(([x]) => `(-${x})`),
  abs: (args, d) =>
    isFloat(d) ? builtin("fabs")(args, d) : d === "i32" ? `(${args[0]} < 0 ? -${args[0]} : ${args[0]})` : args[0],
  sign: ([x], d) => (isFloat(d) ? own("sign")([x], d) : `(${ctype[d]})((${x} > 0) - (${x} < 0))`),
  floor: builtin("floor"),
  ceil: builtin("ceil"),
  round: builtin("rint"),
  exp: fast("exp"),
  expm1: fast("expm1"),
  log: fast("log"),
  log1p: fast("log1p"),
  sqrt: builtin("sqrt"),
  sin: fast("sin"),
  cos: fast("cos"),
  atan: fast("atan"),
  tanh: fast("tanh"),
  erf: fast("erf"),
  not: ([x]) => `(uint8_t)!${x}`,
  add: wrapped(infix("+")),
  sub: wrapped(infix("-")),
  mul: wrapped(infix("*")),
  div: (args, d) => (isFloat(d) ? infix("/")(args, d) : own("div")(args, d)),
  mod: own("mod"),
  pow: (args, d) => (isFloat(d) ? `__builtin_pow${d === "f32" ? "f" : ""}(${args.join(", ")})` : own("pow")(args, d)),
  maximum: ([x, y], d) =>
    isFloat(d) ? `((${x} > ${y} || ${x} != ${x}) ? ${x} : ${y})` : `(${x} > ${y} ? ${x} : ${y})`,
  minimum: ([x, y], d) =>
    isFloat(d) ? `((${x} < ${y} || ${x} != ${x}) ? ${x} : ${y})` : `(${x} < ${y} ? ${x} : ${y})`,
  eq: infix("=="),
  ne: infix("!="),
  lt: infix("<"),
  le: infix("<="),
  gt: infix(">"),
  ge: infix(">="),
  and: infix("&"),
  or: infix("|"),
  xor: infix("^"),
  where: ([c, x, y]) => `(${c} ? ${x} : ${y})`,
};

/** An elementwise primitive applied to C expressions; `rounds` tells whether a result still lacks its rounding. */
export function callC(
  name: string,
  args: readonly string[],
  argTypes: readonly DType[],
  dtype: DType,
): { readonly text: string; readonly rounds: boolean } {
  if (name === "cast") return { text: convertC(args[0], argTypes[0], dtype), rounds: argTypes[0] !== dtype };
  const render = calls[name];
  if (!render) throw new ManabiError(`native: no C for ${name}`);
  return { text: render(args, computeDType(dtype)), rounds: !exact.has(name) };
}

/** Their results are values of the dtype if their operands are. */
const exact = new Set(["neg", "abs", "sign", "floor", "ceil", "round", "maximum", "minimum", "where"]);
