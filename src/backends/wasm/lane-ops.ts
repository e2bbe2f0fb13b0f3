import { type DType, isFloat } from "../../core/dtype.ts";
import { call, extract, i32, op, replace, shuffle32, type Value } from "./assembler.ts";
import { f64Function } from "./f64-functions.ts";
import type { LaneWriter } from "./math.ts";
import { comparisons, instructions, integerFunction, laneFunctions, suffix } from "./scalar-ops.ts";

/**
 * Four neighbouring values: one vector, or two of f64. bool is a mask of 32 bits per lane, u8 an integer.
 */
export type Lanes = readonly Value[];

/** What functions on lanes of every dtype are written with. */
export interface LaneOpsWriter extends LaneWriter {
  f64x2(value: number): Value;
}

const shapeOf = (dtype: DType): "f32x4" | "f64x2" | "i32x4" =>
  dtype === "f32" ? "f32x4" : dtype === "f64" ? "f64x2" : "i32x4";

/** Lanes of one vector. */
const perVector = (dtype: DType): number => (dtype === "f64" ? 2 : 4);

/** The same value in all lanes. */
export function splat(value: Value, dtype: DType): Lanes {
  if (dtype === "bool") return [op("i32x4.neg", op("i32x4.splat", value))];
  const vector = op(`${shapeOf(dtype)}.splat`, value);
  return dtype === "f64" ? [vector, vector] : [vector];
}

/** One of the four; of a bool 0 or 1. */
export function laneOf(lanes: Lanes, dtype: DType, lane: number): Value {
  const per = perVector(dtype);
  const value = extract(shapeOf(dtype), lanes[Math.floor(lane / per)], lane % per);
  return dtype === "bool" ? op("i32.and", value, i32(1)) : value;
}

/** Four values as lanes. */
export function fromFour(four: readonly Value[], dtype: DType): Lanes {
  const shape = shapeOf(dtype);
  const per = perVector(dtype);
  const vectors: Value[] = [];
  for (let at = 0; at < 4; at += per) {
    let vector = op(`${shape}.splat`, four[at]);
    for (let lane = 1; lane < per; lane++) vector = replace(shape, vector, lane, four[at + lane]);
    vectors.push(vector);
  }
  return dtype === "bool" ? [op("i32x4.neg", vectors[0])] : vectors;
}

/** A mask of 32 bits per lane as two of 64. */
const widen = (mask: Value): Lanes => [op("i64x2.extend_low_i32x4_s", mask), op("i64x2.extend_high_i32x4_s", mask)];
const narrow = ([low, high]: Lanes): Value => shuffle32(low, high, [0, 2, 4, 6]);
/** 0 or 1 in place of a mask. */
export const fromMask = (mask: Value): Value => op("i32x4.neg", mask);

/** `yes` in the lanes that the mask is set in, `no` in the others. */
export function pickLanes(mask: Value, yes: Lanes, no: Lanes, dtype: DType): Lanes {
  const masks = dtype === "f64" ? widen(mask) : [mask];
  return yes.map((y, i) => op("v128.bitselect", y, no[i], masks[i]));
}

/** An elementwise primitive; `dtype` is that of the result, `from` that of the first argument. Arguments are variables. */
export function laneCall(w: LaneOpsWriter, name: string, args: readonly Lanes[], from: DType, dtype: DType): Lanes {
  if (name === "cast") return castLanes(w, args[0], from, dtype);
  if (name === "where") return pickLanes(args[0][0], args[1], args[2], dtype);
  if (comparisons.has(name)) return [compare(name, args, from)];
  if (dtype === "bool") return [boolCall(name, args)];
  if (dtype === "f64" && !f64Instructions.has(name))
    return eachLane(w, args, dtype, (four) => call(f64Function(w.module, name), ...four));
  if (!isFloat(dtype) && (name === "div" || name === "mod" || name === "pow"))
    return eachLane(w, args, dtype, (four) => {
      const value = call(integerFunction(w.module, name, dtype === "i32"), ...four);
      return dtype === "u8" ? op("i32.and", value, i32(255)) : value;
    });
  return args[0].map((_, i) => {
    const parts = args.map((a) => a[i]);
    return isFloat(dtype) ? floatVector(w, name, parts, dtype) : integerVector(w, name, parts, dtype);
  });
}

const f64Instructions = new Set([
  ...Object.keys(instructions),
  ...["neg", "abs", "sign", "div", "mod", "maximum", "minimum"],
]);

/** Lane by lane. */
function eachLane(w: LaneOpsWriter, args: readonly Lanes[], dtype: DType, one: (four: Value[]) => Value): Lanes {
  const values = [0, 1, 2, 3].map((lane) => w.f.let(one(args.map((a) => laneOf(a, dtype, lane)))));
  return fromFour(values, dtype);
}

/** Masks of 32 bits. */
function compare(name: string, args: readonly Lanes[], from: DType): Value {
  const [x, y] = from === "bool" ? args.map(([mask]) => [fromMask(mask)]) : args;
  const sign = isFloat(from) || /eq|ne/.test(name) ? "" : from === "u32" ? "_u" : "_s";
  const masks = x.map((part, i) => op(`${shapeOf(from)}.${name}${sign}`, part, y[i]));
  return from === "f64" ? narrow(masks) : masks[0];
}

function boolCall(name: string, args: readonly Lanes[]): Value {
  const [x, y] = args.map(([mask]) => mask);
  if (name === "not") return op("v128.not", x);
  const instruction = name === "maximum" ? "or" : name === "minimum" ? "and" : name;
  return op(`v128.${instruction}`, x, y);
}

function floatVector(w: LaneOpsWriter, name: string, args: readonly Value[], dtype: DType): Value {
  const shape = shapeOf(dtype);
  const [x, y] = args;
  const plain = (instruction: string, ...operands: Value[]) => op(`${shape}.${instruction}`, ...operands);
  const constant = (value: number) => (dtype === "f32" ? w.f32x4(value) : w.f64x2(value));
  if (instructions[name]) return plain(instructions[name], ...args);
  switch (name) {
    case "neg":
    case "abs":
    case "div":
      return plain(name, ...args);
    case "maximum":
      return plain("max", x, y);
    case "minimum":
      return plain("min", x, y);
    case "sign": {
      const signBit = op("v128.and", x, constant(-0));
      const one = op("v128.or", constant(1), signBit);
      // Zeros and NaN are their own signs.
      return op("v128.bitselect", one, x, plain("gt", plain("abs", x), constant(0)));
    }
    case "mod":
      return plain("sub", x, plain("mul", y, plain("floor", plain("div", x, y))));
    default:
      return laneFunctions[name](w, ...args);
  }
}

function integerVector(w: LaneOpsWriter, name: string, args: readonly Value[], dtype: DType): Value {
  const value = integerInstruction(w, name, args, dtype);
  return dtype === "u8" ? op("v128.and", value, w.i32x4(255)) : value;
}

function integerInstruction(w: LaneOpsWriter, name: string, args: readonly Value[], dtype: DType): Value {
  const [x, y] = args;
  const signed = dtype === "i32";
  if (instructions[name]) return op(`i32x4.${instructions[name]}`, ...args);
  switch (name) {
    case "neg":
      return op("i32x4.neg", x);
    case "abs":
      return signed ? op("i32x4.abs", x) : x;
    case "sign":
      if (!signed) return op("i32x4.min_u", x, w.i32x4(1));
      return op("i32x4.sub", op("i32x4.lt_s", x, w.i32x4(0)), op("i32x4.gt_s", x, w.i32x4(0)));
    case "maximum":
      return op(`i32x4.max${suffix(dtype)}`, x, y);
    case "minimum":
      return op(`i32x4.min${suffix(dtype)}`, x, y);
    default:
      return op(`v128.${name}`, x, y);
  }
}

/** A conversion as the `cast` primitive defines it. */
export function castLanes(w: LaneOpsWriter, x: Lanes, from: DType, to: DType): Lanes {
  if (from === to) return x;
  if (from === "bool") return castLanes(w, [fromMask(x[0])], "u8", to);
  if (to === "bool") return [compare("ne", [x, zeros(w, from)], from)];
  if (to === "f64") return toF64(x[0], from);
  if (from === "f64" && to === "f32")
    return [shuffle32(op("f32x4.demote_f64x2_zero", x[0]), op("f32x4.demote_f64x2_zero", x[1]), [0, 1, 4, 5])];
  if (to === "f32") return [op(`f32x4.convert_i32x4${suffix(from)}`, x[0])];
  if (!isFloat(from)) return to === "u8" ? [op("v128.and", x[0], w.i32x4(255))] : x;
  const sign = suffix(to);
  const whole =
    from === "f32"
      ? op(`i32x4.trunc_sat_f32x4${sign}`, x[0])
      : shuffle32(...(x.map((v) => op(`i32x4.trunc_sat_f64x2${sign}_zero`, v)) as [Value, Value]), [0, 1, 4, 5]);
  return [to === "u8" ? op("i32x4.min_u", whole, w.i32x4(255)) : whole];
}

const zeros = (w: LaneOpsWriter, dtype: DType): Lanes =>
  dtype === "f64" ? [w.f64x2(0), w.f64x2(0)] : [dtype === "f32" ? w.f32x4(0) : w.i32x4(0)];

/** The four lanes of a vector in f64. */
function toF64(x: Value, from: DType): Lanes {
  const convert = from === "f32" ? "f64x2.promote_low_f32x4" : `f64x2.convert_low_i32x4${suffix(from)}`;
  return [op(convert, x), op(convert, shuffle32(x, x, [2, 3, 2, 3]))];
}
