/** Transcendental functions of every backend over the whole range of f32, in units in the last place. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { erf } from "../../src/backends/reference/erf.ts";
import type { Node } from "../../src/graph/node.ts";
import * as e from "../../src/primitives/elementwise.ts";
import { data } from "../../src/primitives/leaf.ts";
import { backendsUnderTest, valuesOn } from "../support/conform.ts";

/** Largest error allowed; kernel.h holds 1.6. */
const mostUlps = 2;

const functions: Record<string, readonly [op: (x: Node) => Node, exact: (x: number) => number]> = {
  exp: [e.exp, Math.exp],
  expm1: [e.expm1, Math.expm1],
  log: [e.log, Math.log],
  log1p: [e.log1p, Math.log1p],
  sqrt: [e.sqrt, Math.sqrt],
  sin: [e.sin, Math.sin],
  cos: [e.cos, Math.cos],
  atan: [e.atan, Math.atan],
  tanh: [e.tanh, Math.tanh],
  erf: [e.erf, erf],
};

/** Values of every sign and exponent, subnormal ones, infinities and NaN included. */
function wholeRange(): Float32Array<ArrayBuffer> {
  const stride = 40009; // odd, so that all mantissa bits vary
  const bits = Uint32Array.from({ length: Math.ceil(2 ** 32 / stride) }, (_, i) => i * stride);
  const special = [0, -0, 1, -1, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN];
  const edges = [
    1e-45, -1e-45, 1.1754943508222875e-38, 3.4028234663852886e38, -3.4028234663852886e38, 88.72283, -103.97,
  ];
  return Float32Array.from([...new Float32Array(bits.buffer), ...special, ...edges]);
}

const leastNormal = 2 ** -126;

/** Distance between neighbours of f32 around `x`. */
const ulp = (x: number): number => 2 ** Math.max(-149, Math.floor(Math.log2(Math.abs(x))) - 23);

for (const backend of await backendsUnderTest())
  describe(`functions of ${backend.name} in f32`, () => {
    const values = wholeRange();
    const x = data({ shape: [values.length], dtype: "f32", data: values });
    const outputs = Object.values(functions).map(([op]) => op(x));
    const results = valuesOn(backend, outputs);
    // WGSL leaves it to the device whether subnormal values are zero.
    const flushed = backend.name === "webgpu" ? leastNormal : 0;
    for (const [i, [name, [, exact]]] of Object.entries(functions).entries())
      test(`${name} is within ${mostUlps} units in the last place`, async () => {
        const got = (await results)[i];
        for (const [k, v] of values.entries()) {
          const want = exact(Math.abs(v) < flushed ? 0 * v : v);
          const near = Math.fround(want);
          const right =
            Number.isFinite(near) && near !== 0
              ? Math.abs(got[k] - want) <= mostUlps * ulp(near) + flushed
              : Object.is(got[k], near) || (flushed > 0 && Math.abs(got[k] - want) <= flushed);
          if (!right) assert.fail(`${name}(${v}) is ${got[k]}, exactly ${want}`);
        }
      });
  });
