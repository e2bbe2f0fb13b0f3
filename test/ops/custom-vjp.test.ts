/** Gradients given by rule against those of the formula they stand for. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setBackend } from "../../src/backends/select.ts";
import type { Tensor } from "../../src/index.ts";
import * as m from "../../src/index.ts";
import { uniform } from "../support/check-grads.ts";

setBackend("reference");

const random = (seed: number, ...shape: number[]): Tensor =>
  m.tensor(
    uniform(
      shape.reduce((a, b) => a * b, 1),
      seed,
    ),
    { shape, dtype: "f64" },
  );
const near = (got: Tensor, want: Tensor, what: string) => {
  const [a, b] = [got.dataSync(), want.dataSync()];
  for (const [i, v] of b.entries())
    assert.ok(Math.abs(a[i] - v) <= 1e-10 * (1 + Math.abs(v)), `${what} [${i}] is ${a[i]}, not ${v}`);
};

type Fn = (inputs: readonly Tensor[]) => Tensor;

/** Values, gradients, and gradients of a function of the gradients agree. */
function agree(rule: Fn, formula: Fn, inputs: readonly Tensor[]): void {
  const scalar = (fn: Fn) => (inputs: readonly Tensor[]) => {
    const y = fn(inputs);
    return y.mul(random(7, ...y.shape)).sum();
  };
  const gradient = (fn: Fn) => m.grad(scalar(fn));
  const curved = (fn: Fn) =>
    m.grad((inputs: readonly Tensor[]) =>
      gradient(fn)(inputs)
        .map((g, i) =>
          g
            .square()
            .mul(random(i, ...g.shape))
            .sum(),
        )
        .reduce((a, b) => a.add(b)),
    );
  near(rule(inputs), formula(inputs), "value");
  gradient(rule)(inputs).forEach((g, i) => {
    near(g, gradient(formula)(inputs)[i], `gradient ${i}`);
  });
  curved(rule)(inputs).forEach((g, i) => {
    near(g, curved(formula)(inputs)[i], `second-order gradient ${i}`);
  });
}

/** Normalization as its definition reads. */
const standardized = (x: Tensor, axes: readonly number[], eps: number) => {
  const deviation = x.sub(x.mean(axes, { keepDims: true }));
  return deviation.div(deviation.square().mean(axes, { keepDims: true }).add(eps).sqrt());
};

describe("rules agree with their formulas", () => {
  const x = random(1, 3, 2, 4);
  const along = (t: Tensor) => t.reshape([2, 1]);
  test("batchNorm", () => {
    agree(
      ([x, weight, bias]) => m.batchNorm(x, { weight, bias, eps: 0.01 }),
      ([x, weight, bias]) => standardized(x, [0, 2], 0.01).mul(along(weight)).add(along(bias)),
      [x, random(2, 2), random(3, 2)],
    );
  });
  test("layerNorm", () => {
    agree(
      ([x, weight]) => m.layerNorm(x, [2, 4], { weight, eps: 0.01 }),
      ([x, weight]) => standardized(x, [1, 2], 0.01).mul(weight),
      [x, random(2, 2, 4)],
    );
  });
  test("sigmoid and softplus", () => {
    agree(
      ([x]) => m.sigmoid(x),
      ([x]) => x.mul(0.5).tanh().add(1).mul(0.5),
      [x],
    );
    agree(
      ([x]) => m.softplus(x, 2),
      ([x]) => x.mul(2).exp().add(1).log().div(2),
      [x],
    );
  });
  test("interpolation", () => {
    const half = m.tensor([0.75, 0.25, 0, 0.25, 0.75, 0, 0, 0.75, 0.25], { shape: [3, 3], dtype: "f64" });
    agree(
      ([x]) => m.interpolate(x, { size: 6, mode: "linear" }).slice(2, 1, 4),
      ([x]) => x.matmul(half.transpose()),
      [random(1, 1, 2, 3)],
    );
  });
});

describe("customVjp", () => {
  const cube = m.customVjp(
    (x: Tensor) => x.mul(x).mul(x),
    ({ ct, inputs: [x] }) => [ct.mul(x).mul(x).mul(3)],
  );
  const at = m.tensor([2, -1], { dtype: "f64" });
  const third = (fn: (x: Tensor) => Tensor) =>
    m.grad((x: Tensor) =>
      m
        .grad((x: Tensor) =>
          m
            .grad((x: Tensor) => fn(x).sum())(x)
            .sum(),
        )(x)
        .sum(),
    )(at);

  test("is differentiated again through its rule", () => {
    assert.deepEqual([...third(cube).dataSync()], [6, 6]);
  });
  test("works inside of checkpoint, scan and jit", () => {
    const kept = m.checkpoint((x: Tensor) => cube(cube(x)));
    near(m.grad((x: Tensor) => kept(x).sum())(at), m.grad((x: Tensor) => x.pow(9).sum())(at), "checkpoint");
    const looped = (x: Tensor) => m.scan((c: Tensor, s: Tensor) => [cube(c).add(s), c], x, random(1, 3, 2))[0].sum();
    const plain = (x: Tensor) =>
      m.scan((c: Tensor, s: Tensor) => [c.mul(c).mul(c).add(s), c], x, random(1, 3, 2))[0].sum();
    near(m.grad(looped)(at), m.grad(plain)(at), "scan");
    near(m.jit((x: Tensor) => m.grad((x: Tensor) => cube(x).sum())(x))(at), at.square().mul(3), "jit");
  });
  test("uses the rule, not the graph, and null stops a gradient", () => {
    const scaled = m.customVjp(
      (x: Tensor, factor: Tensor) => x.mul(factor),
      ({ ct, inputs: [, factor] }) => [ct.mul(factor).mul(10), null],
    );
    const [dx, dFactor] = m.grad(([x, factor]: readonly Tensor[]) => scaled(x, factor).sum())([at, at]);
    assert.deepEqual([...dx.dataSync()], [20, -10]);
    assert.deepEqual([...dFactor.dataSync()], [0, 0]);
  });
});
