import { ManabiError } from "../../core/errors.ts";
import { erfRatios, inverseSqrtPi, type Ratio } from "../reference/erf.ts";
import {
  type Callee,
  call,
  type FunctionBuilder,
  f64,
  type ModuleBuilder,
  op,
  select,
  type Value,
} from "./assembler.ts";

/** Functions of the host that f64 is computed with, one value at a time. */
const imported = ["exp", "expm1", "log", "log1p", "sin", "cos", "atan", "tanh", "pow"];

/** What a module that computes in f64 imports, by name. */
export const mathImports: Readonly<Record<string, (...args: number[]) => number>> = Object.fromEntries(
  imported.map((name) => [name, Math[name as "exp"]]),
);

/** Declares the functions of the host in a module, before its first own function. */
export function importMath(module: ModuleBuilder): void {
  for (const name of imported)
    module.once(`Math.${name}`, () => module.import(name, name === "pow" ? ["f64", "f64"] : ["f64"], "f64"));
}

const host = (module: ModuleBuilder, name: string): Callee =>
  module.once(`Math.${name}`, () => {
    throw new ManabiError(`wasm: no code for ${name}`);
  });

/** A function of f64 in a module. */
export function f64Function(module: ModuleBuilder, name: string): Callee {
  if (name === "pow") return module.once("pow_f64", () => module.function(null, ["f64", "f64"], "f64", power(module)));
  if (name === "erf") return module.once("erf_f64", () => module.function(null, ["f64"], "f64", erf(module)));
  return host(module, name);
}

/** C's pow; ECMAScript's differs where 1 or -1 meets an infinite or missing exponent. */
const power = (module: ModuleBuilder) => (_: FunctionBuilder, x: Value, y: Value) => {
  const isOne = op("f64.eq", x, f64(1));
  const isEnd = op("i32.and", op("f64.eq", x, f64(-1)), op("f64.eq", op("f64.abs", y), f64(Number.POSITIVE_INFINITY)));
  return select(op("i32.or", isOne, isEnd), f64(1), call(host(module, "pow"), x, y));
};

/** Cody's error function, as in reference/erf.ts. */
const erf = (module: ModuleBuilder) => (f: FunctionBuilder, x: Value) => {
  const exp = (v: Value) => call(host(module, "exp"), v);
  const times = (a: Value, b: Value) => op("f64.mul", a, b);
  const polynomial = (coefficients: readonly number[], v: Value) => {
    const p = f.let(f64(0));
    for (const c of coefficients) f.set(p, op("f64.add", times(p, v), f64(c)));
    return p;
  };
  const ratio = ([numerator, denominator]: Ratio, v: Value) =>
    op("f64.div", polynomial(numerator, v), polynomial(denominator, v));

  const y = f.let(op("f64.abs", x));
  const square = f.let(times(y, y));
  f.if(op("f64.le", y, f64(0.46875)), () => f.return(times(x, ratio(erfRatios.near, square))));
  f.if(op("i32.eqz", op("f64.lt", y, f64(6))), () =>
    f.return(select(op("f64.ne", x, x), x, op("f64.copysign", f64(1), x))),
  );
  const tail = f.local("f64");
  f.if(
    op("f64.le", y, f64(4)),
    () => f.set(tail, ratio(erfRatios.middle, y)),
    () => {
      const inner = op("f64.div", ratio(erfRatios.far, f.let(op("f64.div", f64(1), square))), square);
      f.set(tail, op("f64.div", op("f64.sub", f64(inverseSqrtPi), inner), y));
    },
  );
  // exp(-y^2) with y split, so that the rounding of the square does not reach the exponent.
  const high = f.let(op("f64.div", op("f64.trunc", times(y, f64(16))), f64(16)));
  const rest = times(op("f64.sub", y, high), op("f64.add", y, high));
  const scale = times(exp(op("f64.neg", times(high, high))), exp(op("f64.neg", rest)));
  return op("f64.copysign", op("f64.sub", f64(1), times(scale, tail)), x);
};
