import * as literal from "../assembler.ts";
import {
  call,
  extract,
  type FunctionBuilder,
  i32,
  type Local,
  type ModuleBuilder,
  op,
  replace,
  type Value,
} from "../assembler.ts";
import { f64Function } from "../f64-functions.ts";
import { multiplyAdd, type Real } from "./real.ts";

/** e^x for x <= 0 on lanes, up to rounding; e^-infinity is 0 and NaN stays. Constants are kept before where this is called. */
export function expWriter(f: FunctionBuilder, module: ModuleBuilder, real: Real): (x: Value) => Value {
  if (real.name === "f64") {
    const one = f64Function(module, "exp");
    return (x) => {
      const lanes = f.let(x);
      return [0, 1].reduce<Value>((v, i) => replace("f64x2", v, i, call(one, extract("f64x2", lanes, i))), lanes);
    };
  }
  const [log2e, magic, high, low] = [Math.LOG2E, 1.5 * 2 ** 23, -0.693359375, 2.1219444e-4].map((c) =>
    f.let(literal.f32x4(c)),
  );
  const least = f.let(literal.f32x4(-87));
  // (e^r - 1 - r) / r^2, as exp of native/kernel.h has it.
  const [first, ...rest] = [1.9740255e-4, 1.3935079e-3, 8.33357e-3, 4.1666463e-2, 0.16666666, 0.5].map((c) =>
    f.let(literal.f32x4(c)),
  );
  const one = f.let(literal.f32x4(1));
  const fused = (x: Value, y: Value, sum: Value): Local => f.let(multiplyAdd(real, x, y, sum));
  return (given) => {
    const x = f.let(given);
    const c = f.let(op("f32x4.pmax", x, least));
    // The nearest integer n of c / ln 2 stands in the low bits of this sum, and c = n ln 2 + r.
    const sum = fused(c, log2e, magic);
    const n = f.let(op("f32x4.sub", sum, magic));
    const r = fused(n, low, fused(n, high, c));
    const p = rest.reduce<Value>((value, coefficient) => fused(value, r, coefficient), first);
    const y = op("f32x4.add", one, multiplyAdd(real, op("f32x4.mul", r, r), p, r));
    const scaled = op("i32x4.add", y, op("i32x4.shl", sum, i32(23)));
    return op("v128.andnot", scaled, op("f32x4.lt", x, least));
  };
}
