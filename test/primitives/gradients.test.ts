import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { backward } from "../../src/autodiff/vjp.ts";
import { makeNode, type Node, reachable } from "../../src/graph/node.ts";
import * as control from "../../src/primitives/control.ts";
import * as e from "../../src/primitives/elementwise.ts";
import * as l from "../../src/primitives/leaf.ts";
import * as r from "../../src/primitives/reduce.ts";
import { checkGrads, spread } from "../support/check-grads.ts";
import { evaluate, vector } from "../support/evaluate.ts";
import { samples } from "../support/samples.ts";

describe("gradients of first and second order", () => {
  for (const [name, sample] of Object.entries(samples)) {
    if (!sample.differentiable)
      test(`${name} (values)`, () => {
        for (const [make, expected] of sample.values) {
          const node = make();
          assert.ok(uses([node], name));
          assert.deepEqual(evaluate(node), expected);
        }
      });
    else
      test(name, () => {
        for (const [fn, ...points] of sample.cases) {
          const made = fn(...points.map(({ shape }) => l.input({ shape, dtype: "f64" })));
          assert.ok(uses("prim" in made ? [made] : made, name));
          checkGrads(fn, points);
        }
      });
  }
});

const uses = (outputs: readonly Node[], name: string) => reachable(outputs).some((node) => node.prim.name === name);

/** The gradient of the sum of `fn(x)`. */
function gradient(fn: (x: Node) => Node, x: Node): number[] {
  const out = fn(x);
  const [grad] = backward([out], [l.constantLike(out, 1)], [x]);
  assert.ok(grad);
  return evaluate(grad);
}

const smooth = spread([2, 3], -2, 2);

test("the check sees a wrong gradient, and a wrong gradient of the gradient", () => {
  assert.throws(() => checkGrads((x) => e.mul(x, control.stopGradient(x)), [smooth]), /numerically/);
  const forgetful: typeof e.expPrim = { ...e.expPrim, vjp: ({ ct, out }) => [e.mul(ct, control.stopGradient(out))] };
  const exp = (x: Node) => makeNode(forgetful, [x], {});
  checkGrads(exp, [smooth], { order: 1 });
  assert.throws(() => checkGrads(exp, [smooth], { order: 2 }), /numerically/);
});

describe("gradients where derivatives do not exist", () => {
  test("equal extrema share the cotangent", () => {
    assert.deepEqual(
      gradient((x) => r.max(x, [0]), vector("f64", 3, 1, 3)),
      [0.5, 0, 0.5],
    );
    assert.deepEqual(
      gradient((x) => r.min(x, [0]), vector("f64", 1, 1, 3, 1)),
      [1 / 3, 1 / 3, 0, 1 / 3],
    );
    const y = vector("f64", 1, 2, 3);
    assert.deepEqual(
      gradient((x) => e.maximum(x, y), vector("f64", 1, 3, 0)),
      [0.5, 1, 0],
    );
    assert.deepEqual(
      gradient((x) => e.minimum(x, y), vector("f64", 1, 3, 0)),
      [0.5, 0, 1],
    );
  });

  test("abs at 0 is flat", () => {
    assert.deepEqual(gradient(e.abs, vector("f64", 0, -2)), [0, -1]);
  });

  test("pow at 0 has finite gradients", () => {
    const zero = vector("f64", 0, 0, 0);
    assert.deepEqual(
      gradient((x) => e.pow(x, vector("f64", 0, 1, 2)), zero),
      [0, 1, 0],
    );
    assert.deepEqual(
      gradient((y) => e.pow(zero, y), vector("f64", 0, 1, 2)),
      [0, 0, 0],
    );
  });

  test("nothing flows through stopGradient, comparisons, and integers", () => {
    const x = vector("f64", 1, 2);
    const blocked = [
      control.stopGradient(x),
      e.cast(e.gt(x, l.constantLike(x, 1)), "f64"),
      e.cast(e.cast(x, "i32"), "f64"),
    ];
    for (const out of blocked) assert.deepEqual(backward([out], [l.constantLike(out, 1)], [x]), [null]);
  });

  test("a cast carries the gradient in the dtype of its input", () => {
    const x = vector("f32", 1, 2);
    const out = e.cast(x, "f64");
    const [grad] = backward([out], [vector("f64", 0.1, 3)], [x]);
    assert.equal(grad?.dtype, "f32");
    assert.deepEqual(evaluate(grad), [Math.fround(0.1), 3]);
  });
});
