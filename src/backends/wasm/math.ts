import * as literal from "./assembler.ts";
import {
  type Callee,
  call,
  type FunctionBuilder,
  i32,
  type ModuleBuilder,
  op,
  shuffle32,
  type Value,
} from "./assembler.ts";

/**
 * Functions of f32 on four lanes, branch-free but for the sine of large numbers, within 2 units in the last place over
 * the whole range (test/conformance/functions.test.ts). Polynomials and steps are those of native/kernel.h, where their
 * errors are stated; scripts/fit-functions.py fitted them.
 */

/** What functions on lanes are written with. */
export interface LaneWriter {
  readonly f: FunctionBuilder;
  readonly module: ModuleBuilder;
  /** One value in every lane. */
  f32x4(value: number): Value;
  i32x4(value: number): Value;
}

const add = (x: Value, y: Value): Value => op("f32x4.add", x, y);
const sub = (x: Value, y: Value): Value => op("f32x4.sub", x, y);
const mul = (x: Value, y: Value): Value => op("f32x4.mul", x, y);
const div = (x: Value, y: Value): Value => op("f32x4.div", x, y);
const gt = (x: Value, y: Value): Value => op("f32x4.gt", x, y);
const lt = (x: Value, y: Value): Value => op("f32x4.lt", x, y);
const eq = (x: Value, y: Value): Value => op("f32x4.eq", x, y);
const abs = (x: Value): Value => op("f32x4.abs", x);
/** `yes` in the lanes where the mask is set. */
const pick = (mask: Value, yes: Value, no: Value): Value => op("v128.bitselect", yes, no, mask);
const either = (x: Value, y: Value): Value => op("v128.or", x, y);
const isNaN4 = (x: Value): Value => op("f32x4.ne", x, x);
const toFloat = (x: Value): Value => op("f32x4.convert_i32x4_s", x);

/** A polynomial, coefficients from the highest power to the lowest. */
function polynomial({ f, f32x4 }: LaneWriter, x: Value, [first, ...rest]: readonly number[]): Value {
  const p = f.let(f32x4(first));
  for (const c of rest) f.set(p, add(mul(p, x), f32x4(c)));
  return p;
}

/** 2^k for -126 <= k <= 127. */
const powerOfTwo = ({ i32x4 }: LaneWriter, k: Value): Value => op("i32x4.shl", op("i32x4.add", k, i32x4(127)), i32(23));

/** `x`, which is not negative, with the sign of `from`. */
const withSign = ({ i32x4 }: LaneWriter, x: Value, from: Value): Value =>
  either(x, op("v128.and", from, i32x4(-(2 ** 31))));

/** Within [low, high]; NaN stays. */
const clamp = ({ f, f32x4 }: LaneWriter, x: Value, low: number, high: number): Value =>
  f.let(op("f32x4.pmax", op("f32x4.pmin", x, f32x4(high)), f32x4(low)));

/** Added to a float below 2^22 in magnitude, it leaves the nearest integer in the low bits of the sum. */
const magic = 1.5 * 2 ** 23;
const magicBits = 0x4b400000;

/**
 * x = n ln 2 + r with |r| <= ln 2 / 2, and n as an integer; |x| <= 104. The first part of ln 2 has few bits, so that its
 * product with n is exact.
 */
function splitByLn2({ f, f32x4, i32x4 }: LaneWriter, x: Value): { n: Value; k: Value; r: Value } {
  const sum = f.let(add(mul(x, f32x4(Math.LOG2E)), f32x4(magic)));
  const k = f.let(op("i32x4.sub", sum, i32x4(magicBits)));
  const n = f.let(sub(sum, f32x4(magic)));
  const r = f.let(add(sub(x, mul(n, f32x4(0.693359375))), mul(n, f32x4(2.1219444e-4))));
  return { n, k, r };
}

const overflowsFrom = 88.7228394;

/** e^x; the scale 2^k is applied in two halves, so that subnormal results round right. */
export function exp(w: LaneWriter, x: Value): Value {
  const { f, f32x4 } = w;
  const { k, r } = splitByLn2(w, clamp(w, x, -104, 89));
  const p = polynomial(w, r, [1.9740255e-4, 1.3935079e-3, 8.33357e-3, 4.1666463e-2, 0.16666666, 0.5]);
  const half = f.let(op("i32x4.shr_s", k, i32(1)));
  const y = mul(add(f32x4(1), add(r, mul(mul(r, r), p))), powerOfTwo(w, half));
  const scaled = mul(y, powerOfTwo(w, op("i32x4.sub", k, half)));
  return f.let(pick(gt(x, f32x4(overflowsFrom)), f32x4(Number.POSITIVE_INFINITY), scaled));
}

/** e^x - 1 = 2^n (e^r - 1) + (2^n - 1), at half the scale, because 2^128 overflows. */
export function expm1(w: LaneWriter, x: Value): Value {
  const { f, f32x4, i32x4 } = w;
  const { n, k, r } = splitByLn2(w, clamp(w, x, -18, 89));
  const p = polynomial(w, r, [1.9762453e-4, 1.3932321e-3, 8.333545e-3, 4.1666493e-2, 0.16666666, 0.5]);
  const part = f.let(add(r, mul(mul(r, r), p)));
  const half = f.let(powerOfTwo(w, op("i32x4.sub", k, i32x4(1))));
  const scaled = mul(f32x4(2), add(mul(half, part), sub(half, f32x4(0.5))));
  const y = f.let(pick(gt(x, f32x4(overflowsFrom)), f32x4(Number.POSITIVE_INFINITY), scaled));
  const near = pick(eq(n, f32x4(0)), part, y);
  return f.let(pick(either(eq(x, f32x4(0)), isNaN4(x)), x, near));
}

/** Exponent e and fraction f of y = 2^e (1 + f), 1 + f in [1/sqrt 2, sqrt 2). */
function splitExponent({ f, f32x4, i32x4 }: LaneWriter, y: Value): { e: Value; fraction: Value } {
  const e = f.let(op("i32x4.shr_s", op("i32x4.sub", y, i32x4(0x3f3504f3)), i32(23)));
  const fraction = sub(op("i32x4.sub", y, op("i32x4.shl", e, i32(23))), f32x4(1));
  return { e, fraction };
}

/** n ln 2 + log(1 + f) with log(1 + f) = f - f^2 / 2 + f^3 P(f). */
function logOfParts(w: LaneWriter, n: Value, fraction: Value): Value {
  const { f, f32x4 } = w;
  const x = f.let(fraction);
  const p = polynomial(w, x, [
    ...[6.750956e-2, -0.11671449, 0.11883568, -0.12406032, 0.14220327],
    ...[-0.16667996, 0.20002073, -0.2500001, 0.33333313],
  ]);
  const z = f.let(mul(x, x));
  const low = add(mul(mul(z, x), p), mul(n, f32x4(1.42860682e-6)));
  return f.let(add(mul(n, f32x4(0.693145752)), sub(x, sub(mul(f32x4(0.5), z), low))));
}

export function log(w: LaneWriter, x: Value): Value {
  const { f, f32x4 } = w;
  const tiny = f.let(lt(x, f32x4(2 ** -126)));
  const y = f.let(pick(tiny, mul(x, f32x4(2 ** 24)), x));
  const { e, fraction } = splitExponent(w, y);
  const n = f.let(sub(toFloat(e), op("v128.and", tiny, f32x4(24))));
  const r = f.let(logOfParts(w, n, fraction));
  f.set(r as literal.Local, pick(eq(x, f32x4(Number.POSITIVE_INFINITY)), x, r));
  f.set(r as literal.Local, pick(eq(x, f32x4(0)), f32x4(Number.NEGATIVE_INFINITY), r));
  return f.let(pick(either(lt(x, f32x4(0)), isNaN4(x)), f32x4(Number.NaN), r));
}

/** log u, u = 1 + x rounded, with what the rounding lost added to the fraction. */
export function log1p(w: LaneWriter, x: Value): Value {
  const { f, f32x4, i32x4 } = w;
  const u = f.let(add(f32x4(1), x));
  const lost = op("v128.and", lt(x, f32x4(2 ** 24)), sub(x, sub(u, f32x4(1))));
  const { e, fraction } = splitExponent(w, u);
  const scale = powerOfTwo(w, op("i32x4.max_s", op("i32x4.neg", e), i32x4(-126)));
  const r = logOfParts(w, f.let(toFloat(e)), add(fraction, mul(lost, scale)));
  const exact = either(eq(x, f32x4(Number.POSITIVE_INFINITY)), eq(x, f32x4(0)));
  const right = pick(eq(x, f32x4(-1)), f32x4(Number.NEGATIVE_INFINITY), pick(exact, x, r));
  return f.let(pick(either(lt(x, f32x4(-1)), isNaN4(x)), f32x4(Number.NaN), right));
}

/** x + x^3 P(x^2) near 0, else 1 - 2 / (e^2x + 1). */
export function tanh(w: LaneWriter, x: Value): Value {
  const { f, f32x4 } = w;
  const a = f.let(abs(x));
  const z = f.let(mul(x, x));
  const p = polynomial(w, z, [2.1528674e-3, -8.19017e-3, 2.1706937e-2, -5.3948183e-2, 0.13333221, -0.3333333]);
  const near = add(a, mul(a, mul(z, p)));
  const far = sub(f32x4(1), div(f32x4(2), add(exp(w, f.let(add(a, a))), f32x4(1))));
  return f.let(withSign(w, pick(lt(a, f32x4(0.625)), near, far), x));
}

/** x + x P(x^2) near 0, else 1 - e^Q(x). */
export function erf(w: LaneWriter, x: Value): Value {
  const { f, f32x4 } = w;
  const a = f.let(abs(x));
  const c = f.let(op("f32x4.pmin", a, f32x4(4)));
  const p = polynomial(w, f.let(mul(x, x)), [
    ...[7.806903e-5, -7.997853e-4, 5.187162e-3, -2.6853347e-2, 0.11283579, -0.37612626, 0.12837917],
  ]);
  const q = polynomial(w, c, [
    ...[1.8638138e-4, -2.9476818e-3, 2.1838155e-2, -0.10310692, -0.6381447, -1.1270893, -3.4151258e-4],
  ]);
  const far = withSign(w, sub(f32x4(1), exp(w, q)), x);
  return f.let(pick(isNaN4(x), x, pick(lt(a, f32x4(1)), add(x, mul(x, p)), far)));
}

/** t + t^3 P(t^2) for t = |x| <= 1, pi/2 - atan 1/x beyond. */
export function atan(w: LaneWriter, x: Value): Value {
  const { f, f32x4 } = w;
  const a = f.let(abs(x));
  const beyond = f.let(gt(a, f32x4(1)));
  const t = f.let(pick(beyond, div(f32x4(1), a), a));
  const z = f.let(mul(t, t));
  const p = polynomial(w, z, [
    ...[-1.7890293e-3, 1.0893727e-2, -3.1138264e-2, 5.7917103e-2, -8.401036e-2],
    ...[0.10951342, -0.14264077, 0.19998533, -0.333333],
  ]);
  const r = f.let(mul(t, mul(z, p)));
  const far = sub(f32x4(1.57079637), add(t, add(r, f32x4(4.37113883e-8))));
  return f.let(withSign(w, pick(beyond, far, add(t, r)), x));
}

// Sine and cosine

/**
 * 2/pi modulo 4 times a power of two, in three parts, for x below 2^48, 2^74, 2^100 and all others: a large x is an
 * integer times 2^s, and whole turns drop out. The first two parts have 29 bits, so that their products with the 24 bits
 * of x are exact.
 */
const turns = [
  { below: 2 ** 48, scale: 1, parts: [0.6366197690367699, 3.3308114738561656e-9, 2.276010073078396e-18] },
  { below: 2 ** 74, scale: 2 ** -25, parts: [2.86176348477602, 2.404676652245641e-9, 9.52147950375208e-18] },
  { below: 2 ** 100, scale: 2 ** -51, parts: [0.6613751128315926, 6.226911111739675e-9, 9.049282162963112e-18] },
  { below: Infinity, scale: 2 ** -77, parts: [0.9178809300065041, 1.5386096147151918e-9, 5.872204099908064e-18] },
] as const;

const f64 = (name: string, ...args: readonly Value[]): Value => op(`f64x2.${name}`, ...args);

/** Two f64 `x` as quarter turns and a rest in radians, |rest| <= pi/4. */
function quarterTurns(f: FunctionBuilder, x: Value, shift: number): { quarters: Value; rest: Value } {
  const a = f.let(f64("abs", x));
  const [scale, ...parts] = [0, 1, 2, 3].map((i) => {
    const value = (t: (typeof turns)[number]) => literal.f64x2(i === 0 ? t.scale : t.parts[i - 1]);
    const chosen = f.let(value(turns[0]));
    for (const [k, t] of turns.entries())
      if (k > 0) f.set(chosen, pick(f64("ge", a, literal.f64x2(turns[k - 1].below)), value(t), chosen));
    return chosen;
  });
  const y = f.let(f64("mul", x, scale));
  const [p1, p2, p3] = parts.map((part) => f.let(f64("mul", y, part)));
  const [n1, n2] = [p1, p2].map((p) => f.let(f64("nearest", p)));
  const left = f.let(f64("add", f64("add", f64("sub", p1, n1), f64("sub", p2, n2)), p3));
  const n3 = f.let(f64("nearest", left));
  // Modulo 4, so that the sum fits an integer.
  const small = (n: Value) =>
    f64("sub", n, f64("mul", literal.f64x2(4), f64("nearest", f64("mul", n, literal.f64x2(0.25)))));
  const quarters = f64("add", f64("add", small(n1), small(n2)), f64("add", n3, literal.f64x2(shift)));
  return { quarters: f.let(quarters), rest: f.let(f64("mul", f64("sub", left, n3), literal.f64x2(Math.PI / 2))) };
}

/** sin(x + shift pi/2): sin r = r + r^3 P(r^2) and cos r = 1 - r^2 / 2 + r^4 Q(r^2) for |r| <= pi/4. */
function sine(w: LaneWriter, x: Value, shift: 0 | 1): Value {
  const { f, f32x4, i32x4 } = w;
  const [low, high] = [x, shuffle32(x, x, [2, 3, 2, 3])].map((part) =>
    quarterTurns(f, f.let(op("f64x2.promote_low_f32x4", part)), shift),
  );
  const join = (name: string, a: Value, b: Value) => f.let(shuffle32(op(name, a), op(name, b), [0, 1, 4, 5]));
  const quarter = join("i32x4.trunc_sat_f64x2_s_zero", low.quarters, high.quarters);
  const r = join("f32x4.demote_f64x2_zero", low.rest, high.rest);
  const z = f.let(mul(r, r));
  const p = polynomial(w, z, [2.8327447e-6, -1.9853076e-4, 8.333379e-3, -0.16666667]);
  const q = polynomial(w, z, [2.4432331e-5, -1.388731e-3, 4.1666646e-2]);
  const sin = add(r, mul(r, mul(z, p)));
  const cos = add(sub(f32x4(1), mul(f32x4(0.5), z)), mul(z, mul(z, q)));
  const bit = (n: number) => op("i32x4.eq", op("v128.and", quarter, i32x4(n)), i32x4(n));
  const value = f.let(pick(bit(1), cos, sin));
  const signed = op("v128.xor", value, op("v128.and", bit(2), i32x4(-(2 ** 31))));
  return f.let(pick(lt(abs(x), f32x4(Number.POSITIVE_INFINITY)), signed, f32x4(Number.NaN)));
}

/** A function of the module that computes `body`, for what is too long to be written at every use. */
function outOfLine(
  module: ModuleBuilder,
  name: string,
  body: (w: LaneWriter, ...args: Value[]) => Value,
  arity = 1,
): Callee {
  return module.once(name, () =>
    module.function(null, new Array<"v128">(arity).fill("v128"), "v128", (f, ...args) =>
      body({ f, module, f32x4: literal.f32x4, i32x4: literal.i32x4 }, ...args),
    ),
  );
}

export const sin = ({ f, module, f32x4 }: LaneWriter, x: Value): Value =>
  f.let(
    pick(
      eq(x, f32x4(0)),
      x,
      call(
        outOfLine(module, "sin", (w, v) => sine(w, v, 0)),
        x,
      ),
    ),
  );
export const cos = ({ f, module }: LaneWriter, x: Value): Value =>
  f.let(
    call(
      outOfLine(module, "cos", (w, v) => sine(w, v, 1)),
      x,
    ),
  );

// Powers

/** log2 of two positive f64 that are not subnormal: 2 atanh(s) / ln 2 with s = f / (2 + f), |s| < 0.18. */
function log2f64(f: FunctionBuilder, x: Value): Value {
  const one = literal.f64x2(1);
  const bits = (value: bigint) => op("i64x2.splat", literal.i64(value));
  // The distance to 1/sqrt 2 in exponents; those of f32 fit the upper word of each half.
  const e = f.let(op("i64x2.shr_s", op("i64x2.sub", x, bits(0x3fe6a09e667f3bcdn)), i32(52)));
  const fraction = f.let(f64("sub", op("i64x2.sub", x, op("i64x2.shl", e, i32(52))), one));
  const s = f.let(f64("div", fraction, f64("add", fraction, literal.f64x2(2))));
  const z = f.let(f64("mul", s, s));
  const p = f.let(literal.f64x2(1 / 19));
  for (let n = 17; n >= 1; n -= 2) f.set(p, f64("add", f64("mul", p, z), literal.f64x2(1 / n)));
  const n = op("f64x2.convert_low_i32x4_s", shuffle32(e, e, [0, 2, 0, 2]));
  return f.let(f64("add", n, f64("mul", f64("mul", s, p), literal.f64x2(2 / Math.LN2))));
}

/** 2^x of two f64 that do not leave the range of f32 by far: Taylor's series of e^r for |r| <= ln 2 / 2. */
function exp2f64(f: FunctionBuilder, x: Value): Value {
  const n = f.let(f64("nearest", x));
  const r = f.let(f64("mul", f64("sub", x, n), literal.f64x2(Math.LN2)));
  const p = f.let(literal.f64x2(1 / 39916800));
  for (const factorial of [3628800, 362880, 40320, 5040, 720, 120, 24, 6, 2, 1, 1])
    f.set(p, f64("add", f64("mul", p, r), literal.f64x2(1 / factorial)));
  const k = op("i64x2.extend_low_i32x4_s", op("i32x4.trunc_sat_f64x2_s_zero", n));
  const scale = op("i64x2.shl", op("i64x2.add", k, op("i64x2.splat", literal.i64(1023n))), i32(52));
  return f64("mul", p, scale);
}

/** |x|^y in f64, rounded once, with the exceptions of C's pow. */
function power(w: LaneWriter, x: Value, y: Value): Value {
  const { f, f32x4, i32x4 } = w;
  const a = f.let(abs(x));
  const halves = (v: Value) => [v, shuffle32(v, v, [2, 3, 2, 3])].map((h) => f.let(op("f64x2.promote_low_f32x4", h)));
  const [xs, ys] = [halves(a), halves(y)];
  const [low, high] = xs.map((part, i) => {
    const exponent = f.let(f64("mul", ys[i], log2f64(f, part)));
    const bounded = f.let(f64("pmax", f64("pmin", exponent, literal.f64x2(300)), literal.f64x2(-300)));
    return op("f32x4.demote_f64x2_zero", exp2f64(f, bounded));
  });
  const result = f.let(shuffle32(low, high, [0, 1, 4, 5]));
  const set = (mask: Value, value: Value) => f.set(result, pick(mask, value, result));
  const [zero, one, infinity] = [0, 1, Number.POSITIVE_INFINITY].map((v) => f32x4(v));
  const ends = f.let(op("v128.xor", eq(a, infinity), lt(y, zero)));
  // Where |x| is 0 or infinite, the sign of y decides.
  set(either(eq(a, zero), eq(a, infinity)), op("v128.and", ends, infinity));
  const odd = f.let(oddIntegers(w, y));
  const integer = eq(op("f32x4.trunc", y), y);
  const negative = op("i32x4.lt_s", x, i32x4(0));
  f.set(result, op("v128.xor", result, op("v128.and", op("v128.and", negative, odd), i32x4(-(2 ** 31)))));
  const noPower = op("v128.andnot", op("v128.and", lt(x, zero), lt(a, infinity)), integer);
  set(noPower, f32x4(Number.NaN));
  set(either(isNaN4(x), isNaN4(y)), f32x4(Number.NaN));
  const unit = op("v128.and", eq(a, one), either(eq(x, one), eq(abs(y), infinity)));
  set(either(unit, eq(y, zero)), one);
  return result;
}

/** A mask of the lanes that hold an odd integer. From 2^24 on, all are even. */
function oddIntegers({ f, f32x4 }: LaneWriter, y: Value): Value {
  const half = f.let(mul(y, f32x4(0.5)));
  const integer = eq(op("f32x4.trunc", y), y);
  return op("v128.andnot", op("v128.and", integer, lt(abs(y), f32x4(Infinity))), eq(op("f32x4.trunc", half), half));
}

export const pow = ({ f, module }: LaneWriter, x: Value, y: Value): Value =>
  f.let(call(outOfLine(module, "pow", power, 2), x, y));
