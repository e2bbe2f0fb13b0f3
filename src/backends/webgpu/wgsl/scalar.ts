import { type DType, isFloat, storedValue } from "../../../core/dtype.ts";
import { ManabiError } from "../../../core/errors.ts";

/** Types of values in a shader. u8 and bool are u32, in memory too: WGSL has neither as an element of a buffer. */
export type WgslType = "f32" | "i32" | "u32";

/** What the backend computes in, and how. */
const types: Partial<Record<DType, WgslType>> = { f32: "f32", i32: "i32", u32: "u32", u8: "u32", bool: "u32" };

export const webgpuDTypes: ReadonlySet<DType> = new Set(Object.keys(types) as DType[]);

/** The type of a value of `dtype` in a shader. */
export function wgslType(dtype: DType): WgslType {
  const type = types[dtype];
  if (!type) throw new ManabiError(`webgpu: no WGSL type for ${dtype}`);
  return type;
}

/** Bytes of one element in the device's memory. */
export const elementBytes = 4;

/** A literal of exactly the value that `dtype` stores for `given`. */
export function literalW(given: number, dtype: DType): string {
  const value = storedValue(given, dtype);
  if (dtype === "f32") {
    // WGSL has no infinite and no missing literals, and may not keep the sign of zero.
    if (Number.isNaN(value)) return "missing()";
    if (!Number.isFinite(value)) return value > 0 ? "infinity()" : "-infinity()";
    if (Object.is(value, -0)) return "bitcast<f32>(0x80000000u)";
    return value < 0 ? `(${value}f)` : `${value}f`;
  }
  if (dtype !== "i32") return `${value}u`;
  return value < 0 ? `i32(${value})` : `${value}`;
}

/** A conversion as the `cast` primitive defines it. */
export function castW(x: string, from: DType, to: DType): string {
  if (from === to) return x;
  if (to === "bool") return from === "f32" ? `select(0u, 1u, (bitcast<u32>(${x}) << 1u) != 0u)` : `u32((${x}) != 0)`;
  if (from === "f32") return `f32_to_${to}(${x})`;
  const value = wgslType(from) === wgslType(to) ? x : `${wgslType(to)}(${x})`;
  return to === "u8" && from !== "bool" ? `(${value} & 0xffu)` : value;
}

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

/** An elementwise primitive applied to WGSL expressions without side effects. */
export function callW(name: string, args: readonly string[], argTypes: readonly DType[], dtype: DType): string {
  if (name === "cast") return castW(args[0], argTypes[0], dtype);
  const render = calls[name];
  if (!render) throw new ManabiError(`webgpu: no WGSL for ${name}`);
  return render(args, dtype);
}
