import { type DType, isFloat, type TypedArray } from "../../core/dtype.ts";
import { erf } from "./erf.ts";
import { empty, type Kernel, type Kernels } from "./kernel.ts";

// Every loop is written out: a shared loop that calls a function per element could not be inlined by the JIT.
type UnaryLoop = (out: TypedArray, x: TypedArray) => void;
type BinaryLoop = (out: TypedArray, x: TypedArray, y: TypedArray) => void;

const unary =
  (loop: UnaryLoop): Kernel<object> =>
  ({ node, inputs: [x] }) => {
    const out = empty(node);
    loop(out, x);
    return out;
  };

/** Where integers need another loop than floats, it is the second. */
const binary =
  (floats: BinaryLoop, integers = floats): Kernel<object> =>
  ({ node, inputs: [x, y] }) => {
    const out = empty(node);
    (isFloat(node.dtype) ? floats : integers)(out, x, y);
    return out;
  };

export const elementwise = {
  neg: unary((out, x) => {
    for (let i = 0; i < out.length; i++) out[i] = -x[i];
  }),
  abs: unary((out, x) => {
    for (let i = 0; i < out.length; i++) out[i] = Math.abs(x[i]);
  }),
  sign: unary((out, x) => {
    for (let i = 0; i < out.length; i++) out[i] = Math.sign(x[i]);
  }),
  floor: unary((out, x) => {
    for (let i = 0; i < out.length; i++) out[i] = Math.floor(x[i]);
  }),
  ceil: unary((out, x) => {
    for (let i = 0; i < out.length; i++) out[i] = Math.ceil(x[i]);
  }),
  round: unary((out, x) => {
    for (let i = 0; i < out.length; i++) {
      const up = Math.round(x[i]); // halves go up
      out[i] = up - x[i] === 0.5 && up % 2 !== 0 ? up - 1 : up;
    }
  }),
  exp: unary((out, x) => {
    for (let i = 0; i < out.length; i++) out[i] = Math.exp(x[i]);
  }),
  expm1: unary((out, x) => {
    for (let i = 0; i < out.length; i++) out[i] = Math.expm1(x[i]);
  }),
  log: unary((out, x) => {
    for (let i = 0; i < out.length; i++) out[i] = Math.log(x[i]);
  }),
  log1p: unary((out, x) => {
    for (let i = 0; i < out.length; i++) out[i] = Math.log1p(x[i]);
  }),
  sqrt: unary((out, x) => {
    for (let i = 0; i < out.length; i++) out[i] = Math.sqrt(x[i]);
  }),
  sin: unary((out, x) => {
    for (let i = 0; i < out.length; i++) out[i] = Math.sin(x[i]);
  }),
  cos: unary((out, x) => {
    for (let i = 0; i < out.length; i++) out[i] = Math.cos(x[i]);
  }),
  atan: unary((out, x) => {
    for (let i = 0; i < out.length; i++) out[i] = Math.atan(x[i]);
  }),
  tanh: unary((out, x) => {
    for (let i = 0; i < out.length; i++) out[i] = Math.tanh(x[i]);
  }),
  erf: unary((out, x) => {
    for (let i = 0; i < out.length; i++) out[i] = erf(x[i]);
  }),
  not: unary((out, x) => {
    for (let i = 0; i < out.length; i++) out[i] = x[i] ? 0 : 1;
  }),

  add: binary((out, x, y) => {
    for (let i = 0; i < out.length; i++) out[i] = x[i] + y[i];
  }),
  sub: binary((out, x, y) => {
    for (let i = 0; i < out.length; i++) out[i] = x[i] - y[i];
  }),
  mul: binary(
    (out, x, y) => {
      for (let i = 0; i < out.length; i++) out[i] = x[i] * y[i];
    },
    (out, x, y) => {
      for (let i = 0; i < out.length; i++) out[i] = Math.imul(x[i], y[i]);
    },
  ),
  div: binary(
    (out, x, y) => {
      for (let i = 0; i < out.length; i++) out[i] = x[i] / y[i];
    },
    (out, x, y) => {
      for (let i = 0; i < out.length; i++) out[i] = y[i] === 0 ? 0 : Math.trunc(x[i] / y[i]);
    },
  ),
  mod: binary(
    (out, x, y) => {
      for (let i = 0; i < out.length; i++) out[i] = x[i] - y[i] * Math.floor(x[i] / y[i]);
    },
    (out, x, y) => {
      for (let i = 0; i < out.length; i++) {
        const rest = y[i] === 0 ? 0 : x[i] % y[i];
        out[i] = rest !== 0 && rest < 0 !== y[i] < 0 ? rest + y[i] : rest;
      }
    },
  ),
  pow: binary(
    (out, x, y) => {
      for (let i = 0; i < out.length; i++) out[i] = powFloat(x[i], y[i]);
    },
    (out, x, y) => {
      for (let i = 0; i < out.length; i++) out[i] = powInteger(x[i], y[i]);
    },
  ),
  maximum: binary((out, x, y) => {
    for (let i = 0; i < out.length; i++) out[i] = Math.max(x[i], y[i]);
  }),
  minimum: binary((out, x, y) => {
    for (let i = 0; i < out.length; i++) out[i] = Math.min(x[i], y[i]);
  }),

  eq: binary((out, x, y) => {
    for (let i = 0; i < out.length; i++) out[i] = x[i] === y[i] ? 1 : 0;
  }),
  ne: binary((out, x, y) => {
    for (let i = 0; i < out.length; i++) out[i] = x[i] !== y[i] ? 1 : 0;
  }),
  lt: binary((out, x, y) => {
    for (let i = 0; i < out.length; i++) out[i] = x[i] < y[i] ? 1 : 0;
  }),
  le: binary((out, x, y) => {
    for (let i = 0; i < out.length; i++) out[i] = x[i] <= y[i] ? 1 : 0;
  }),
  gt: binary((out, x, y) => {
    for (let i = 0; i < out.length; i++) out[i] = x[i] > y[i] ? 1 : 0;
  }),
  ge: binary((out, x, y) => {
    for (let i = 0; i < out.length; i++) out[i] = x[i] >= y[i] ? 1 : 0;
  }),
  and: binary((out, x, y) => {
    for (let i = 0; i < out.length; i++) out[i] = x[i] & y[i];
  }),
  or: binary((out, x, y) => {
    for (let i = 0; i < out.length; i++) out[i] = x[i] | y[i];
  }),
  xor: binary((out, x, y) => {
    for (let i = 0; i < out.length; i++) out[i] = x[i] ^ y[i];
  }),

  where({ node, inputs: [c, x, y] }) {
    const out = empty(node);
    for (let i = 0; i < out.length; i++) out[i] = c[i] ? x[i] : y[i];
    return out;
  },

  cast({ node, inputs: [x], specs: [from] }) {
    const out = empty(node);
    if (node.dtype === "bool") for (let i = 0; i < out.length; i++) out[i] = x[i] !== 0 ? 1 : 0;
    else if (isFloat(from.dtype) && !isFloat(node.dtype)) saturate(out, x, node.dtype);
    else out.set(x); // rounds floats, wraps integers
    return out;
  },
} satisfies Kernels<
  | ("neg" | "abs" | "sign" | "floor" | "ceil" | "round" | "exp" | "expm1" | "log" | "log1p" | "sqrt")
  | ("sin" | "cos" | "atan" | "tanh" | "erf" | "not" | "add" | "sub" | "mul" | "div" | "mod" | "pow")
  | ("maximum" | "minimum" | "eq" | "ne" | "lt" | "le" | "gt" | "ge" | "and" | "or" | "xor" | "where" | "cast")
>;

/** C's pow; ECMAScript's differs where 1 or -1 meets an infinite or missing exponent. */
function powFloat(x: number, y: number): number {
  return x === 1 || (x === -1 && Math.abs(y) === Number.POSITIVE_INFINITY) ? 1 : x ** y;
}

/** Modulo 2^32; a negative power is the quotient 1 / x^-y, so 0 unless x is 1 or -1. */
function powInteger(x: number, y: number): number {
  if (y < 0) return x === 1 ? 1 : x === -1 ? (y % 2 ? -1 : 1) : 0;
  let result = 1;
  for (let square = x, left = y; left > 0; left = Math.floor(left / 2)) {
    if (left % 2) result = Math.imul(result, square);
    square = Math.imul(square, square);
  }
  return result;
}

const ranges = { i32: [-(2 ** 31), 2 ** 31 - 1], u32: [0, 2 ** 32 - 1], u8: [0, 255] } as const;

function saturate(out: TypedArray, x: TypedArray, dtype: DType): void {
  const [low, high] = ranges[dtype as keyof typeof ranges];
  // Storing truncates, and makes NaN 0.
  for (let i = 0; i < out.length; i++) out[i] = Math.min(Math.max(x[i], low), high);
}
