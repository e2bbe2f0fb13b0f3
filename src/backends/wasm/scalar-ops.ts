import { type DType, isFloat, storedValue } from "../../core/dtype.ts";
import { ManabiError } from "../../core/errors.ts";
import * as literal from "./assembler.ts";
import {
  type Callee,
  call,
  extract,
  type FunctionBuilder,
  i32,
  type ModuleBuilder,
  op,
  select,
  type Value,
  type ValueType,
} from "./assembler.ts";
import { f64Function } from "./f64-functions.ts";
import type { LaneWriter } from "./math.ts";
import * as math from "./math.ts";

/** The type of one value; small integers are held without a sign. */
export const scalarType = (dtype: DType): ValueType => (dtype === "f32" || dtype === "f64" ? dtype : "i32");

/** A literal of exactly the value that `dtype` stores for `given`. */
export function scalarConstant(given: number, dtype: DType): Value {
  const value = storedValue(given, dtype);
  return dtype === "f32" ? literal.f32(value) : dtype === "f64" ? literal.f64(value) : i32(value);
}

/** Functions of f32 that are written for four lanes. */
export const laneFunctions: Readonly<Record<string, (w: LaneWriter, ...args: Value[]) => Value>> = {
  ...{ exp: math.exp, expm1: math.expm1, log: math.log, log1p: math.log1p, sin: math.sin, cos: math.cos },
  ...{ atan: math.atan, tanh: math.tanh, erf: math.erf, pow: math.pow },
};

const isSigned = (dtype: DType): boolean => dtype === "i32";
/** The suffix of instructions that tell signed integers from others. */
export const suffix = (dtype: DType): string => (isFloat(dtype) ? "" : isSigned(dtype) ? "_s" : "_u");
export const comparisons: ReadonlySet<string> = new Set(["eq", "ne", "lt", "le", "gt", "ge"]);
/** Names of the instructions that compute a primitive, the same for one value and for lanes. */
export const instructions: Readonly<Record<string, string>> = {
  ...{ floor: "floor", ceil: "ceil", round: "nearest", sqrt: "sqrt", add: "add", sub: "sub", mul: "mul" },
};

/** An elementwise primitive on single values; `dtype` is that of the result, `from` that of the first argument. */
export function scalarCall(w: LaneWriter, name: string, args: readonly Value[], from: DType, dtype: DType): Value {
  if (name === "cast") return castScalar(args[0], from, dtype);
  const [x, y] = args;
  if (comparisons.has(name)) return op(`${scalarType(from)}.${name}${/eq|ne/.test(name) ? "" : suffix(from)}`, x, y);
  if (name === "where") return select(x, y, args[2]);
  const value = isFloat(dtype) ? floatCall(w, name, args, dtype) : integerCall(w, name, args, dtype);
  // What small integers exceed by is cut off.
  return dtype === "u8" ? op("i32.and", value, i32(255)) : value;
}

function floatCall(w: LaneWriter, name: string, args: readonly Value[], dtype: DType): Value {
  const type = scalarType(dtype);
  const [x, y] = args;
  const plain = (instruction: string, ...operands: Value[]) => op(`${type}.${instruction}`, ...operands);
  const zero = scalarConstant(0, dtype);
  if (instructions[name]) return plain(instructions[name], ...args);
  switch (name) {
    case "neg":
    case "abs":
      return plain(name, x);
    case "div":
      return plain("div", x, y);
    case "maximum":
      return plain("max", x, y);
    case "minimum":
      return plain("min", x, y);
    case "sign": {
      const one = plain("copysign", scalarConstant(1, dtype), x);
      // Zeros and NaN are their own signs.
      return select(plain("gt", plain("abs", x), zero), one, x);
    }
    case "mod":
      return plain("sub", x, plain("mul", y, plain("floor", plain("div", x, y))));
    default: {
      if (dtype === "f64") return call(f64Function(w.module, name), ...args);
      const lanes = laneFunctions[name];
      if (!lanes) throw new ManabiError(`wasm: no code for ${name}`);
      return extract("f32x4", lanes(w, ...args.map((a) => w.f.let(op("f32x4.splat", a)))), 0);
    }
  }
}

function integerCall(w: LaneWriter, name: string, args: readonly Value[], dtype: DType): Value {
  const [x, y] = args;
  const zero = i32(0);
  if (instructions[name]) return op(`i32.${instructions[name]}`, ...args);
  switch (name) {
    case "neg":
      return op("i32.sub", zero, x);
    case "abs":
      return isSigned(dtype) ? select(op("i32.lt_s", x, zero), op("i32.sub", zero, x), x) : x;
    case "sign":
      return isSigned(dtype) ? op("i32.sub", op("i32.gt_s", x, zero), op("i32.lt_s", x, zero)) : op("i32.ne", x, zero);
    case "not":
      return op("i32.eqz", x);
    case "maximum":
      return select(op(`i32.gt${suffix(dtype)}`, x, y), x, y);
    case "minimum":
      return select(op(`i32.lt${suffix(dtype)}`, x, y), x, y);
    case "and":
    case "or":
    case "xor":
      return op(`i32.${name}`, x, y);
    default:
      return call(integerFunction(w.module, name, isSigned(dtype)), x, y);
  }
}

/** Quotients, remainders and powers, which lanes have no instructions for, as functions of their own. */
export function integerFunction(module: ModuleBuilder, name: string, signed: boolean): Callee {
  const make = integerFunctions[name];
  if (!make) throw new ManabiError(`wasm: no code for ${name}`);
  return module.once(`${name}_${signed ? "i32" : "u32"}`, () =>
    module.function(null, ["i32", "i32"], "i32", (f, x, y) => make(f, x, y, signed)),
  );
}

type IntegerBody = (f: FunctionBuilder, x: literal.Local, y: literal.Local, signed: boolean) => Value;

const integerFunctions: Readonly<Record<string, IntegerBody>> = {
  div(f, x, y, signed) {
    f.if(op("i32.eqz", y), () => f.return(i32(0)));
    // -2^31 / -1 has no quotient in 32 bits.
    if (signed) f.if(op("i32.eq", y, i32(-1)), () => f.return(op("i32.sub", i32(0), x)));
    return op(signed ? "i32.div_s" : "i32.div_u", x, y);
  },
  mod(f, x, y, signed) {
    f.if(op("i32.eqz", y), () => f.return(i32(0)));
    if (!signed) return op("i32.rem_u", x, y);
    const rest = f.let(op("i32.rem_s", x, y));
    const differ = op("i32.lt_s", op("i32.xor", rest, y), i32(0));
    return select(op("i32.and", op("i32.ne", rest, i32(0)), differ), op("i32.add", rest, y), rest);
  },
  pow(f, x, y, signed) {
    if (signed)
      f.if(op("i32.lt_s", y, i32(0)), () => {
        // 1 / x^-y, which is 0 unless x is 1 or -1.
        f.if(op("i32.eq", x, i32(1)), () => f.return(i32(1)));
        f.if(op("i32.ne", x, i32(-1)), () => f.return(i32(0)));
        f.return(select(op("i32.and", y, i32(1)), i32(-1), i32(1)));
      });
    const result = f.let(i32(1));
    f.while(
      () => y,
      () => {
        f.if(op("i32.and", y, i32(1)), () => f.set(result, op("i32.mul", result, x)));
        f.set(x, op("i32.mul", x, x));
        f.set(y, op("i32.shr_u", y, i32(1)));
      },
    );
    return result;
  },
};

/** A conversion as the `cast` primitive defines it. */
export function castScalar(x: Value, from: DType, to: DType): Value {
  if (from === to) return x;
  if (to === "bool") return isFloat(from) ? op(`${from}.ne`, x, scalarConstant(0, from)) : op("i32.ne", x, i32(0));
  if (isFloat(to)) {
    if (isFloat(from)) return to === "f32" ? op("f32.demote_f64", x) : op("f64.promote_f32", x);
    return op(`${to}.convert_i32${suffix(from)}`, x);
  }
  if (!isFloat(from)) return to === "u8" && from !== "bool" ? op("i32.and", x, i32(255)) : x;
  // Saturates, and makes NaN 0.
  const whole = op(`i32.trunc_sat_${from}${suffix(to)}`, x);
  return to === "u8" ? op("i32.and", select(op("i32.lt_u", whole, i32(255)), whole, i32(255)), i32(255)) : whole;
}
