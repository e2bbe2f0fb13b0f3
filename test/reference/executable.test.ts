import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { reference } from "../../src/backends/reference/index.ts";
import type { TypedArray } from "../../src/core/dtype.ts";
import type { Graph, Node } from "../../src/graph/node.ts";
import { reshape, sum } from "../../src/primitives/broadcast.ts";
import { add, mul } from "../../src/primitives/elementwise.ts";
import { constant, constantLike, data, dataPrim, input } from "../../src/primitives/leaf.ts";

const placeholder = (...shape: number[]) => input({ shape, dtype: "f32" });

const run = (inputs: Node[], outputs: Node[], updates: Graph["updates"], values: TypedArray[]) =>
  reference.compile({ inputs, outputs, updates }).run(values);

describe("executable", () => {
  test("feeds inputs by position and runs again", () => {
    const [x, y] = [placeholder(2), placeholder(2)];
    const program = reference.compile({ inputs: [y, x], outputs: [add(mul(x, x), y)], updates: [] });
    assert.deepEqual(program.run([Float32Array.of(1, 2), Float32Array.of(3, 4)]), [Float32Array.of(10, 18)]);
    assert.deepEqual(program.run([Float32Array.of(0, 0), Float32Array.of(1, 1)]), [Float32Array.of(1, 1)]);
  });

  test("every output is an array of its own", () => {
    const x = placeholder(2);
    const held = Float32Array.of(5, 6);
    const node = data({ shape: [2], dtype: "f32", data: held });
    const total = add(x, node);
    const given = Float32Array.of(1, 2);
    const outputs = [x, reshape(x, [2, 1]), node, total, reshape(total, [1, 2]), total];
    const results = run([x], outputs, [], [given]);
    assert.deepEqual(
      results.map((r) => Array.from(r)),
      [
        [1, 2],
        [1, 2],
        [5, 6],
        [6, 8],
        [6, 8],
        [6, 8],
      ],
    );
    assert.equal(new Set([given, held, ...results]).size, 8);
  });

  test("an update is written into its input and returned as that array", () => {
    const x = placeholder(2);
    const next = add(x, constantLike(x, 1));
    const given = Float32Array.of(1, 2);
    const [updated, other] = run([x], [next, next], [{ input: 0, output: 0 }], [given]);
    assert.equal(updated, given);
    assert.deepEqual(Array.from(given), [2, 3]);
    assert.notEqual(other, given);
    assert.deepEqual(Array.from(other), [2, 3]);
  });

  test("updates read the old values of each other", () => {
    const [x, y] = [placeholder(1), placeholder(1)];
    const [a, b] = [Float32Array.of(1), Float32Array.of(2)];
    const swap = [
      { input: 0, output: 0 },
      { input: 1, output: 1 },
    ];
    const [first, second, old] = run([x, y], [y, x, x], swap, [a, b]);
    assert.deepEqual([first, second], [a, b]);
    assert.deepEqual([a[0], b[0], old[0]], [2, 1, 1]);
  });

  test("keeps computing what a node meant when it was compiled", () => {
    const [x, one] = [placeholder(1), constant(1, [1], "f32")];
    const inner = add(one, one);
    const program = reference.compile({ inputs: [x], outputs: [mul(x, inner)], updates: [] });
    inner.prim = dataPrim;
    inner.attrs = { shape: [1], dtype: "f32", data: Float32Array.of(100) };
    inner.inputs = [];
    assert.deepEqual(program.run([Float32Array.of(3)]), [Float32Array.of(6)]);
  });

  test("a graph may be fed in the middle", () => {
    const x = placeholder(2);
    const middle = add(x, x);
    assert.deepEqual(run([middle], [sum(middle, [0])], [], [Float32Array.of(3, 4)]), [Float32Array.of(7)]);
  });
});

describe("errors", () => {
  const x = placeholder(2);

  test("name an input of the wrong number, type or length", () => {
    const program = reference.compile({ inputs: [x], outputs: [add(x, x)], updates: [] });
    assert.throws(() => program.run([]), /takes 1 inputs, got 0/);
    assert.throws(
      () => program.run([Float64Array.of(1, 2)]),
      /input 0 is f32\[2\] .* Float32Array .* Float64Array of 2/,
    );
    assert.throws(() => program.run([Float32Array.of(1)]), /input 0 is f32\[2\] .* of 2 values, .* of 1/);
  });

  test("name an input that is not listed", () => {
    assert.throws(() => run([], [add(x, x)], [], []), /an input f32\[2\] is used but not fed/);
  });
});
