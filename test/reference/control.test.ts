import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { barrier, pick, randomBits, type ScanAttrs, scan, stopGradient } from "../../src/primitives/control.ts";
import { add, mul, sub } from "../../src/primitives/elementwise.ts";
import { constant, input } from "../../src/primitives/leaf.ts";
import { evaluate, vector } from "../support/evaluate.ts";

const scalar = { shape: [], dtype: "i32" } as const;

/** (a, b), x, c -> (b, a + c x), stacked a - x. */
function swap(length: number, reverse: boolean): ScanAttrs {
  const [a, b, x, c] = [input(scalar), input(scalar), input(scalar), input(scalar)];
  const outputs = [b, add(a, mul(c, x)), sub(a, x)];
  return { body: { inputs: [a, b, x, c], outputs }, length, carries: 2, sequences: 1, reverse };
}

describe("scan", () => {
  const inputs = (...x: number[]) => [
    constant(1, [], "i32"),
    constant(2, [], "i32"),
    vector("i32", ...x),
    constant(10, [], "i32"),
  ];
  const outputs = (length: number, reverse: boolean, ...x: number[]) => {
    const node = scan(inputs(...x), swap(length, reverse));
    return [0, 1, 2, 3, 4].map((i) => evaluate(pick(node, i)));
  };

  test("carries values forward and stacks outputs and received carries", () => {
    // (1, 2) -> (2, 31) -> (31, 42) -> (42, 81)
    assert.deepEqual(outputs(3, false, 3, 4, 5), [[42], [81], [-2, -2, 26], [1, 2, 31], [2, 31, 42]]);
  });

  test("in reverse reads and stacks from the last slice to the first", () => {
    // (1, 2) -> (2, 51) -> (51, 42) -> (42, 81)
    assert.deepEqual(outputs(3, true, 3, 4, 5), [[42], [81], [48, -2, -4], [51, 2, 1], [42, 51, 2]]);
  });

  test("of no steps returns the initial carries", () => {
    assert.deepEqual(outputs(0, false), [[1], [2], [], [], []]);
  });
});

test("identities", () => {
  const x = vector("f32", 1, 2);
  assert.deepEqual(evaluate(stopGradient(x)), [1, 2]);
  assert.deepEqual(evaluate(barrier(x, [constant(0, [], "i32")])), [1, 2]);
});

test("randomBits are word 0 of Threefry-2x32 under the counter (index, s2)", () => {
  // Random123's known answer for zero key and counter.
  assert.deepEqual(evaluate(randomBits(vector("u32", 0, 0, 0), [1])), [0x6b200159]);
  const all = evaluate(randomBits(vector("u32", 7, 8, 9), [2, 2]));
  assert.deepEqual(evaluate(randomBits(vector("u32", 7, 8, 9), [2])), all.slice(0, 2));
  assert.equal(new Set([...all, ...evaluate(randomBits(vector("u32", 7, 8, 10), [4]))]).size, 8);
});
