import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { erf } from "../../src/backends/reference/erf.ts";
import type { DType } from "../../src/core/dtype.ts";
import type { Node } from "../../src/graph/node.ts";
import * as e from "../../src/primitives/elementwise.ts";
import { evaluate, vector } from "../support/evaluate.ts";

const inf = Number.POSITIVE_INFINITY;
const min = -(2 ** 31);
const max = 2 ** 31 - 1;

const apply = (op: (...xs: Node[]) => Node, dtype: DType, ...xs: number[][]) =>
  evaluate(op(...xs.map((x) => vector(dtype, ...x))));

describe("floats", () => {
  test("round takes halves to even", () => {
    const x = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.49999999999999994, 2.4, -2.6, 2 ** 52 + 1, -inf];
    assert.deepEqual(apply(e.round, "f64", x), [-2, -2, -0, 0, 2, 2, 0, 2, -3, 2 ** 52 + 1, -inf]);
  });

  test("floor, ceil, sign and abs", () => {
    assert.deepEqual(apply(e.floor, "f32", [-1.5, 1.5]), [-2, 1]);
    assert.deepEqual(apply(e.ceil, "f32", [-1.5, 1.5]), [-1, 2]);
    assert.deepEqual(apply(e.sign, "f32", [-3, 0, 5, Number.NaN]), [-1, 0, 1, Number.NaN]);
    assert.deepEqual(apply(e.abs, "f32", [-3, -inf]), [3, inf]);
  });

  test("results are rounded to f32 once", () => {
    assert.deepEqual(apply(e.add, "f32", [1], [2 ** -25]), [1]);
    assert.deepEqual(apply(e.exp, "f32", [1]), [Math.fround(Math.E)]);
  });

  test("mod has the sign of the divisor", () => {
    assert.deepEqual(apply(e.mod, "f64", [5.5, -5.5, 5.5, -5.5, 1], [2, 2, -2, -2, 0]), [
      1.5,
      0.5,
      -0.5,
      -1.5,
      Number.NaN,
    ]);
  });

  test("pow follows C where it meets infinity and NaN", () => {
    const x = [1, 1, -1, 0, 0, 2, -8];
    const y = [Number.NaN, inf, -inf, 0, -1, -1, 1 / 3];
    assert.deepEqual(apply(e.pow, "f64", x, y), [1, 1, 1, 1, inf, 0.5, Number.NaN]);
  });

  test("maximum and minimum hand on NaN", () => {
    const [x, y] = [
      [1, Number.NaN, 2],
      [2, 1, Number.NaN],
    ];
    assert.deepEqual(apply(e.maximum, "f32", x, y), [2, Number.NaN, Number.NaN]);
    assert.deepEqual(apply(e.minimum, "f32", x, y), [1, Number.NaN, Number.NaN]);
  });

  test("NaN is equal to nothing", () => {
    const nan = [Number.NaN];
    const ops = [e.eq, e.ne, e.lt, e.le, e.gt, e.ge];
    assert.deepEqual(
      ops.map((op) => apply(op, "f64", nan, nan)[0]),
      [0, 1, 0, 0, 0, 0],
    );
  });

  test("expm1 and log1p keep the digits of small numbers", () => {
    assert.deepEqual(apply(e.expm1, "f64", [1e-20]), [1e-20]);
    assert.deepEqual(apply(e.log1p, "f64", [1e-20, -1]), [1e-20, -inf]);
  });

  test("erf has f64 accuracy in every branch", () => {
    // As glibc's erf gives them.
    const table: [x: number, value: number][] = [
      [1e-9, 1.1283791670955127e-9],
      [0.1, 0.1124629160182849],
      [0.46875, 0.49261347321793797],
      [0.5, 0.5204998778130465],
      [1, 0.8427007929497149],
      [2, 0.9953222650189527],
      [3.5, 0.9999992569016276],
      [4.5, 0.9999999998033839],
      [6, 1],
    ];
    for (const [x, value] of table) {
      assert.ok(Math.abs(erf(x) - value) <= 2.3e-16 * 2 * value, `erf(${x}) is ${erf(x)}, not ${value}`);
      assert.equal(erf(-x), -erf(x));
    }
    assert.deepEqual([erf(0), erf(-0), erf(inf), erf(-inf), erf(Number.NaN)], [0, -0, 1, -1, Number.NaN]);
  });
});

describe("integers", () => {
  test("wrap modulo the width of the dtype", () => {
    assert.deepEqual(apply(e.add, "i32", [max, min], [1, -1]), [min, max]);
    assert.deepEqual(apply(e.sub, "u32", [0], [1]), [2 ** 32 - 1]);
    assert.deepEqual(apply(e.add, "u8", [200], [100]), [44]);
    assert.deepEqual(apply(e.neg, "u8", [1]), [255]);
    assert.deepEqual(apply(e.neg, "i32", [min, 0]), [min, 0]);
    assert.deepEqual(apply(e.abs, "i32", [min, -3]), [min, 3]);
  });

  test("products keep their low 32 bits exactly", () => {
    assert.deepEqual(apply(e.mul, "i32", [123456789], [987654321]), [-67153019]);
    assert.deepEqual(apply(e.mul, "u32", [4294967295], [4294967295]), [1]);
    assert.deepEqual(apply(e.mul, "u8", [16], [17]), [16]);
  });

  test("div truncates toward zero, and by 0 is 0", () => {
    assert.deepEqual(apply(e.div, "i32", [7, -7, 7, -7, 5, min], [2, 2, -2, -2, 0, -1]), [3, -3, -3, 3, 0, min]);
    assert.deepEqual(apply(e.div, "u32", [4294967295], [2]), [2147483647]);
  });

  test("mod has the sign of the divisor, and by 0 is 0", () => {
    assert.deepEqual(apply(e.mod, "i32", [7, -7, 7, -7, 5, 6], [3, 3, -3, -3, 0, -3]), [1, 2, -2, -1, 0, 0]);
  });

  test("pow is exact modulo 2^32; negative powers are quotients", () => {
    assert.deepEqual(apply(e.pow, "i32", [3, 7, -2, 0], [20, 20, 31, 0]), [-808182895, -1199696159, min, 1]);
    assert.deepEqual(apply(e.pow, "i32", [2, 1, -1, -1, 0], [-1, -5, -5, -4, -1]), [0, 1, -1, 1, 0]);
    assert.deepEqual(apply(e.pow, "u8", [3], [6]), [217]);
  });

  test("bits", () => {
    assert.deepEqual(apply(e.xor, "u32", [4294967295], [1]), [4294967294]);
    assert.deepEqual(apply(e.and, "i32", [-1], [min]), [min]);
    assert.deepEqual(apply(e.or, "u8", [0x0f], [0xf0]), [255]);
  });

  test("comparisons are unsigned for u32", () => {
    assert.deepEqual(apply(e.gt, "u32", [4294967295], [1]), [1]);
  });
});

describe("cast", () => {
  const cast = (from: DType, to: DType, ...x: number[]) => evaluate(e.cast(vector(from, ...x), to));

  test("floats truncate and saturate; NaN is 0", () => {
    const x = [-1.9, 1.9, Number.NaN, inf, -inf, 3e9, 300, -5];
    assert.deepEqual(cast("f64", "i32", ...x), [-1, 1, 0, max, min, max, 300, -5]);
    assert.deepEqual(cast("f64", "u32", ...x), [0, 1, 0, 2 ** 32 - 1, 0, 3e9, 300, 0]);
    assert.deepEqual(cast("f32", "u8", ...x), [0, 1, 0, 255, 0, 255, 255, 0]);
  });

  test("integers wrap", () => {
    assert.deepEqual(cast("i32", "u8", 300, -1), [44, 255]);
    assert.deepEqual(cast("i32", "u32", -1), [2 ** 32 - 1]);
    assert.deepEqual(cast("u32", "i32", 2 ** 32 - 1), [-1]);
  });

  test("bool is `!= 0`", () => {
    assert.deepEqual(cast("f32", "bool", 0, -0, 0.5, Number.NaN), [0, 0, 1, 1]);
    assert.deepEqual(cast("i32", "bool", 256, 0), [1, 0]);
    assert.deepEqual(cast("bool", "f32", 1, 0), [1, 0]);
  });
});

test("where picks by element", () => {
  const picked = e.where(vector("bool", 1, 0, 1), vector("i32", 1, 2, 3), vector("i32", 4, 5, 6));
  assert.deepEqual(evaluate(picked), [1, 5, 3]);
});
