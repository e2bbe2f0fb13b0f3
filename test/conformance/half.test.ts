/** Functions of every 16-bit pattern, and arithmetic of many pairs, on every backend against the reference. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Backend } from "../../src/backends/backend.ts";
import { reference } from "../../src/backends/reference/index.ts";
import { type HalfDType, loadValues } from "../../src/core/dtype.ts";
import type { Node } from "../../src/graph/node.ts";
import * as e from "../../src/primitives/elementwise.ts";
import { data } from "../../src/primitives/leaf.ts";
import { backendsUnderTest, lacks, valuesOn } from "../support/conform.ts";

/** Their results in f32 are correctly rounded, or exact. */
const exact = {
  neg: e.neg,
  abs: e.abs,
  sign: e.sign,
  floor: e.floor,
  ceil: e.ceil,
  round: e.round,
  sqrt: e.sqrt,
  add: e.add,
  sub: e.sub,
  mul: e.mul,
  div: e.div,
  maximum: e.maximum,
  minimum: e.minimum,
  eq: e.eq,
  lt: e.lt,
};
/** Those that differ by units of f32 between backends. */
const close = {
  exp: e.exp,
  expm1: e.expm1,
  log: e.log,
  log1p: e.log1p,
  sin: e.sin,
  cos: e.cos,
  atan: e.atan,
  tanh: e.tanh,
  erf: e.erf,
};

const patterns = Uint16Array.from({ length: 65536 }, (_, i) => i);
/** A permutation, so that all exponents meet. */
const partners = patterns.map((p) => Math.imul(p, 40503) + 12345);

function run(backend: Backend, dtype: HalfDType, functions: Readonly<Record<string, (x: Node, y: Node) => Node>>) {
  const [x, y] = [patterns, partners].map((values) => data({ dtype, shape: [65536], data: values }));
  const outputs = Object.values(functions).map((fn) => fn(x, y));
  return valuesOn(backend, outputs);
}

/** Whether a value or, where a function adds up parts, one of those is a subnormal f32: a GPU may take it for zero. */
const isTiny = (value: number): boolean => value !== 0 && Math.abs(value) < 2 ** -117;

/** The positions whose results are compared: all, but for those of a GPU where an operand or the result is that small. */
function compared(backend: Backend, dtype: HalfDType, expected: ArrayLike<number>): number[] {
  const all = [...patterns.keys()];
  if (backend.memory === "host" || dtype === "f16") return all;
  const [x, y] = [patterns, partners].map((values) => loadValues(values, dtype));
  return all.filter((i) => ![x[i], y[i], expected[i]].some(isTiny));
}

/** Patterns in the order of their values. */
const rank = (pattern: number): number => (pattern & 0x8000 ? -(pattern & 0x7fff) : pattern);

for (const backend of await backendsUnderTest())
  for (const dtype of ["f16", "bf16"] as const)
    describe(`${dtype} on ${backend.name}`, { skip: lacks(backend, dtype) }, () => {
      test("correctly rounded functions are equal bit for bit", async () => {
        const [got, want] = await Promise.all([backend, reference].map((b) => run(b, dtype, exact)));
        Object.keys(exact).forEach((name, k) => {
          const float = got[k] instanceof Uint16Array;
          const [values, expected] = [got[k], want[k]].map((a) => (float ? loadValues(a, dtype) : a));
          for (const i of compared(backend, dtype, expected))
            if (values[i] !== expected[i] && !(Number.isNaN(values[i]) && Number.isNaN(expected[i])))
              assert.fail(`${name} of patterns ${patterns[i]}, ${partners[i]}: ${values[i]}, not ${expected[i]}`);
        });
      });

      test("others differ by one unit in the last place at most, and in one of a thousand values", async () => {
        const [got, want] = await Promise.all([backend, reference].map((b) => run(b, dtype, close)));
        Object.keys(close).forEach((name, k) => {
          const [values, expected] = [got[k], want[k]].map((a) => loadValues(a, dtype));
          let differ = 0;
          for (const i of compared(backend, dtype, expected)) {
            if (values[i] === expected[i] || (Number.isNaN(values[i]) && Number.isNaN(expected[i]))) continue;
            differ++;
            if (Math.abs(rank(got[k][i]) - rank(want[k][i])) > 1)
              assert.fail(`${name} of pattern ${patterns[i]}: ${values[i]}, not ${expected[i]}`);
          }
          assert.ok(differ <= 65, `${name} differs in ${differ} of 65536 values`);
        });
      });
    });
