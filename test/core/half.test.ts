/** The 16-bit floats: every pattern, and the numbers between them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { reference } from "../../src/backends/reference/index.ts";
import { type DType, dtypes, loadValues, storeValues, type TypedArray } from "../../src/core/dtype.ts";
import { type HalfDType, narrow, widen } from "../../src/core/half.ts";
import type { Node } from "../../src/graph/node.ts";
import { cast } from "../../src/primitives/elementwise.ts";
import { data } from "../../src/primitives/leaf.ts";
import { backendsUnderTest, valuesOn } from "../support/conform.ts";

const formats = { f16: { exponent: 5, mantissa: 10 }, bf16: { exponent: 8, mantissa: 7 } } as const;
const halves = ["f16", "bf16"] as const;
const patterns = Uint16Array.from({ length: 65536 }, (_, i) => i);

/** The value of a pattern by the definition of IEEE 754. */
function patternValue(dtype: HalfDType, pattern: number): number {
  const { exponent: bits, mantissa: digits } = formats[dtype];
  const sign = pattern >> 15 ? -1 : 1;
  const exponent = (pattern >> digits) & (2 ** bits - 1);
  const fraction = (pattern & (2 ** digits - 1)) / 2 ** digits;
  const bias = 2 ** (bits - 1) - 1;
  if (exponent === 2 ** bits - 1) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent ? sign * (1 + fraction) * 2 ** (exponent - bias) : sign * fraction * 2 ** (1 - bias);
}

/** f32 values at, just below and just above every pattern and every middle of two, beyond the largest ones too. */
function boundaries(dtype: HalfDType): Float32Array<ArrayBuffer> {
  const positive = Array.from({ length: 32768 }, (_, i) => patternValue(dtype, i)).filter(Number.isFinite);
  const next = 2 * positive[positive.length - 1] - positive[positive.length - 2];
  const middles = positive.map((x, i) => (x + (positive[i + 1] ?? next)) / 2);
  const exact = Float32Array.from([...positive, ...middles, next, 2 * next]);
  const around = new Int32Array(3 * exact.length);
  new Int32Array(exact.buffer).forEach((pattern, i) => {
    around.set([Math.max(0, pattern - 1), pattern, Math.min(0x7f800000, pattern + 1)], 3 * i);
  });
  const values = new Float32Array(around.buffer);
  return Float32Array.from([...values, ...values.map((x) => -x), Number.NaN, -0]);
}

/** The pattern nearest to x, the even one of two, by search among all. */
function nearest(x: number, ordered: readonly number[]): number {
  if (Number.isNaN(x)) return Number.NaN;
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  const a = Math.abs(x);
  let [low, high] = [0, ordered.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (ordered[middle] <= a) low = middle;
    else high = middle - 1;
  }
  const infinite = ordered.length;
  const above = ordered[low + 1] ?? 2 * ordered[low] - ordered[low - 1];
  const [down, up] = [a - ordered[low], above - a];
  const at = up < down || (up === down && low % 2) ? low + 1 : low;
  return sign | Math.min(at, infinite);
}

const same = (got: ArrayLike<number>, want: ArrayLike<number>): void => {
  assert.equal(got.length, want.length);
  for (let i = 0; i < want.length; i++)
    if (!Object.is(got[i], want[i])) assert.fail(`[${i}] is ${got[i]}, it must be ${want[i]}`);
};

/** Those that compute in 16-bit floats, and in f64, from which they are cast; test/webgpu/halves.test.ts has the others. */
const backends = [reference, ...(await backendsUnderTest())].filter((b) =>
  ([...halves, "f64"] as const).every((d) => b.dtypes.has(d)),
);

for (const dtype of halves)
  describe(dtype, () => {
    const values = Float32Array.from(patterns, (p) => patternValue(dtype, p));
    const isMissing = (pattern: number) => Number.isNaN(patternValue(dtype, pattern));
    const numbers = Array.from({ length: 32768 }, (_, i) => patternValue(dtype, i)).filter(Number.isFinite);
    const inputs = boundaries(dtype);
    const rounded = Array.from(inputs, (x) => nearest(x, numbers));

    const check = (got: Uint16Array) => {
      for (let i = 0; i < got.length; i++)
        if (Number.isNaN(rounded[i]) ? !isMissing(got[i]) : got[i] !== rounded[i])
          assert.fail(`${inputs[i]} becomes ${got[i].toString(16)}, the nearest is ${rounded[i].toString(16)}`);
    };

    test("every pattern has its value, and goes back to itself", () => {
      same(widen(dtype, patterns), values);
      const back = narrow(dtype, values);
      for (const p of patterns) assert.ok(isMissing(p) ? isMissing(back[p]) : back[p] === p, `${p} becomes ${back[p]}`);
    });

    test("f32 goes to the nearest pattern, ties to even, overflow to infinity, NaN to NaN", () =>
      check(narrow(dtype, inputs)));

    for (const backend of backends) {
      const run = (from: DType, given: TypedArray, to: DType): Promise<TypedArray> => {
        const out: Node = cast(data({ shape: [given.length], dtype: from, data: given }), to);
        return valuesOn(backend, [out]).then(([values]) => values);
      };
      test(`casts of every pattern on ${backend.name}`, async () => {
        same(await run(dtype, patterns, "f32"), values);
        same(await run(dtype, patterns, "f64"), values);
        check((await run("f32", inputs, dtype)) as Uint16Array);
        check((await run("f64", Float64Array.from(inputs), dtype)) as Uint16Array);
        for (const to of dtypes) {
          const direct = await run(dtype, patterns, to);
          const byF32 = await run("f32", values, to);
          same(loadValues(direct, to), loadValues(byF32, to));
        }
        const integers = Int32Array.of(0, -1, 255, 257, 2049, -65519, 65520, 2 ** 31 - 1, -(2 ** 31));
        same(loadValues(await run("i32", integers, dtype), dtype), loadValues(storeValues(integers, dtype), dtype));
      });
    }
  });
