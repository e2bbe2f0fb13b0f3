/** Saliency, integrated gradients, SmoothGrad and guided backpropagation where the answers are known. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Attribution,
  channelHeatmaps,
  guidedBackprop,
  inputXGradient,
  integratedGradients,
  resizeHeatmap,
  saliency,
  smoothGrad,
} from "../../src/explain/index.ts";
import { quadratures } from "../../src/explain/quadrature.ts";
import { jit, relu, relu6, type Tensor, tensor } from "../../src/index.ts";
import { Dropout, GELU, GroupNorm, initialize, Linear, Module, ReLU, Sequential } from "../../src/nn/index.ts";
import { relativeError } from "../golden/fixture.ts";

const table = tensor(
  [
    [1, 2, -1],
    [0.5, -2, 3],
  ],
  { dtype: "f64" },
);

/** a^2 b + c, as the only score. */
const polynomial = (x: Tensor): Tensor => {
  const [a, b, c] = [0, 1, 2].map((i) => x.select(1, i));
  return a.square().mul(b).add(c);
};

const near = (got: ArrayLike<number>, want: readonly number[], limit = 1e-9) =>
  assert.ok(relativeError(got, want) < limit, `${[...Array.from(got)]} for ${want}`);

test("gradients of a function of a table", async () => {
  const signed = await saliency(polynomial, table, { absolute: false });
  near(signed.values, [4, 1, 1, -2, 0.25, 1]);
  assert.deepEqual(signed.shape, [2, 3]);
  near(signed.scores, [1, 2.5]);
  assert.deepEqual(signed.classes, Int32Array.of(0, 0));
  near((await saliency(polynomial, table)).values, [4, 1, 1, 2, 0.25, 1]);
  near((await inputXGradient(polynomial, table)).values, [4, 2, -1, -1, -0.5, 3]);
});

test("the class of the highest score is meant by default, for each example its own", async () => {
  const model = initialize(new Sequential(new Linear(3, 4)).to("f64"), 5);
  const classes = [...(await model.forward(table).argmax(1).data())].map(Number);
  const { values, classes: chosen } = await saliency(model, table, { absolute: false, batchSize: 1 });
  assert.deepEqual([...(chosen ?? [])], classes);
  const [, weight] = [...model.namedParameters()].find(([key]) => key === "0.weight") ?? [];
  const w = (await weight?.data()) ?? [];
  near(
    values,
    classes.flatMap((c) => [0, 1, 2].map((i) => Number(w[c * 3 + i]))),
  );
});

test("integrated gradients of a polynomial are exact: the rule is, and so is completeness", async () => {
  // The path from 0 is t x: a gets the integral of 2 a b t^2, times a.
  const want = [4 / 3, 2 / 3, -1, -1 / 3, -0.5 / 3, 3];
  for (const batchSize of [1, 4, 64]) {
    const { values, completeness, steps } = await integratedGradients(polynomial, table, { steps: 3, batchSize });
    near(values, want);
    near(completeness.difference, [1, 2.5]);
    assert.ok(completeness.error.every((e) => Math.abs(e) < 1e-12));
    assert.equal(steps, 3);
  }
  const done: number[][] = [];
  const baseline = tensor([1, 0, 0]);
  const { values, completeness } = await integratedGradients(polynomial, table, {
    ...{ baseline, steps: 4, batchSize: 4 },
    onProgress: (...count) => done.push(count),
  });
  near(values.slice(0, 3), [0, 2, -1]);
  near(completeness.difference, [1, 2.5]);
  assert.deepEqual(done, [
    [4, 8],
    [8, 8],
  ]);
  const coarse = await integratedGradients(polynomial, table, { steps: 2, rule: "midpoint" });
  assert.ok(coarse.completeness.error.some((e) => Math.abs(e) > 1e-3));
  const fine = await integratedGradients(polynomial, table, { steps: 2, rule: "midpoint", tolerance: 1e-3 });
  assert.ok(fine.completeness.error.every((e, i) => Math.abs(e) <= 1e-3 * fine.scores[i]));
  assert.ok(fine.steps > 2 && fine.steps <= 64);
});

test("integrated gradients of a network are complete to 1e-3, and explain the class of the inputs along the path", async () => {
  const model = initialize(new Sequential(new Linear(3, 32), new ReLU(), new Dropout(0.5), new Linear(32, 4)), 3);
  const x = table.cast("f32").mul(3);
  const { completeness, scores, classes } = await integratedGradients(model, x, { tolerance: 1e-3 });
  for (const [i, error] of completeness.error.entries())
    assert.ok(Math.abs(error) <= 1e-3 * Math.max(scores[i], scores[i] - completeness.difference[i]), `${error}`);
  model.eval();
  const [there, zero] = [await model.forward(x).data(), await model.forward(x.mul(0)).data()];
  for (const [i, c] of (classes ?? []).entries()) {
    near([scores[i]], [Number(there[i * 4 + c])], 1e-5);
    near([completeness.difference[i]], [Number(there[i * 4 + c]) - Number(zero[i * 4 + c])], 1e-5);
  }
});

test("quadrature rules", () => {
  for (const n of [1, 2, 3, 10, 50, 400]) {
    const { points, weights } = quadratures.gaussLegendre(n);
    for (const power of [0, 1, 2 * n - 1]) {
      const sum = points.reduce((s, x, i) => s + weights[i] * x ** power, 0);
      assert.ok(Math.abs(sum * (power + 1) - 1) < 1e-11, `${n} points, x^${power}: ${sum}`);
    }
  }
  assert.deepEqual(quadratures.midpoint(2), {
    points: Float64Array.of(0.25, 0.75),
    weights: Float64Array.of(0.5, 0.5),
  });
});

test("SmoothGrad: the mean, mean square and variance of 3 (x + sigma e)^2", async () => {
  // Each row has a range of 2, so noise 0.1 has a standard deviation of 0.2.
  const x = tensor([[0, 0.5, -1, 1]], { dtype: "f64" });
  const cube = (x: Tensor) => x.pow(3).sum(1);
  const options = { samples: 2000, noise: 0.1, seed: 3 } as const;
  const variance = 0.04;
  const points = [0, 0.5, -1, 1];
  const mean = points.map((p) => 3 * (p ** 2 + variance));
  // Fourth moment of a normal variable: m^4 + 6 m^2 v + 3 v^2.
  const square = points.map((p) => 9 * (p ** 4 + 6 * p ** 2 * variance + 3 * variance ** 2));
  near((await smoothGrad(cube, x, options)).values, mean, 0.03);
  near((await smoothGrad(cube, x, { ...options, average: "square" })).values, square, 0.06);
  const spread = square.map((s, i) => s - mean[i] ** 2);
  near((await smoothGrad(cube, x, { ...options, average: "variance" })).values, spread, 0.1);
});

test("SmoothGrad: any method, the same for a seed whatever the batch size, the class of the clean inputs", async () => {
  const model = initialize(new Sequential(new Linear(3, 16), new ReLU(), new Linear(16, 4)).to("f64"), 3);
  const asked: unknown[] = [];
  const method = (m: unknown, x: Tensor, o: object = {}): Promise<Attribution> => {
    asked.push(...((o as { target: number[] }).target ?? []));
    return integratedGradients(m as typeof model, x, { ...o, steps: 8 });
  };
  const done: number[] = [];
  const options = { method, samples: 6, noise: 2, onProgress: (n: number) => done.push(n) };
  const one = await smoothGrad(model, table, { ...options, batchSize: 2 });
  const all = await smoothGrad(model, table, { ...options, batchSize: 100 });
  near(one.values, [...all.values]);
  assert.deepEqual(done, [2, 4, 6, 8, 10, 12, 12]);
  const clean = [...((await saliency(model, table)).classes ?? [])];
  assert.deepEqual(asked, Array.from({ length: 12 }, () => clean).flat());
  const other = await smoothGrad(model, table, { ...options, seed: 1 });
  assert.ok(relativeError(other.values, all.values) > 1e-3);
  const stop = AbortSignal.abort(new Error("enough"));
  await assert.rejects(smoothGrad(model, table, { signal: stop }), /enough/);
  await assert.rejects(integratedGradients(model, table, { signal: stop }), /enough/);
});

/** As Sequential(Linear, ReLU, Linear), but with the function. */
class Direct extends Module {
  first = new Linear(3, 16);
  last = new Linear(16, 2);
  forward(x: Tensor): Tensor {
    return this.last.forward(relu(this.first.forward(x)));
  }
}

test("guided backpropagation reaches rectifiers that are functions, and those that are modules", async () => {
  const model = initialize(new Direct(), 4);
  const { first, last } = model;
  const guided = await guidedBackprop(model, table.cast("f32"), { target: 1 });
  const modules = await guidedBackprop(new Sequential(first, new ReLU(), last), table.cast("f32"), { target: 1 });
  assert.deepEqual(guided.values, modules.values);
  const compiled = jit((x: Tensor) => model.forward(x));
  assert.deepEqual((await guidedBackprop(compiled, table.cast("f32"), { target: 1 })).values, guided.values);

  const [w, b, v] = await Promise.all([first.weight, first.bias as Tensor, last.weight].map((t) => t.data()));
  const x = [...(await table.data())].map(Number);
  const want = [0, 1].flatMap((n) =>
    [0, 1, 2].map((i) => {
      let sum = 0;
      for (let h = 0; h < 16; h++) {
        const before = [0, 1, 2].reduce((s, j) => s + Number(w[h * 3 + j]) * x[n * 3 + j], Number(b[h]));
        if (before > 0) sum += Math.max(0, Number(v[16 + h])) * Number(w[h * 3 + i]);
      }
      return sum;
    }),
  );
  near(guided.values, want, 1e-5);
  // The plain gradient is the same as ever.
  assert.ok(relativeError((await saliency(model, table.cast("f32"), { target: 1 })).values, guided.values) > 1e-2);
});

test("guided backpropagation: ReLU6 counts, what only looks like a rectifier does not", async () => {
  const six = (x: Tensor) => relu6(x.mul(4)).neg().sum(1);
  const { values } = await guidedBackprop(six, table);
  assert.ok(
    values.every((value) => value === 0),
    "what flows back is negative everywhere",
  );
  const smooth = initialize(new Sequential(new Linear(3, 8), new GroupNorm(2, 8), new GELU(), new Linear(8, 2)), 1);
  await assert.rejects(guidedBackprop(smooth, table.cast("f32")), /has no ReLU.*use saliency/);
});

test("heat maps of attributions, and in other sizes", async () => {
  const values = { shape: [1, 2, 1, 2], values: Float64Array.of(1, -2, 3, 0.5) };
  assert.deepEqual([...channelHeatmaps(values)[0].data], [4, -1.5]);
  assert.deepEqual([...channelHeatmaps(values, "largest")[0].data], [3, 2]);
  assert.throws(() => channelHeatmaps({ shape: [2, 2], values: values.values }), /images \[n, c, h, w\].*\[2,2\]/);
  const wide = await resizeHeatmap({ width: 2, height: 1, data: Float32Array.of(0, 4) }, 4, 2);
  assert.deepEqual(wide, { width: 4, height: 2, data: Float32Array.of(0, 1, 3, 4, 0, 1, 3, 4) });
});

test("what cannot be explained", async () => {
  await assert.rejects(saliency(polynomial, tensor(1)), /a batch \[n, \.\.\.\] with at least one example/);
  await assert.rejects(
    saliency((x) => x.sum(), table),
    /returns \[\] for 2 examples/,
  );
  await assert.rejects(
    saliency((x) => x, tensor([[1, 2]], { dtype: "i32" })),
    /no gradients by values of dtype i32/,
  );
  await assert.rejects(
    saliency((x) => x.log(), table),
    /example 0 is (NaN|-Infinity)/,
  );
  await assert.rejects(
    saliency((x) => x.sqrt(), tensor([[4], [0]]), { batchSize: 1 }),
    /gradient: that of example 1 is Inf/,
  );
  await assert.rejects(integratedGradients(polynomial, table, { steps: 0 }), /steps: an integer >= 1/);
  await assert.rejects(
    integratedGradients(polynomial, table, { rule: "simpson" as "midpoint" }),
    /unknown quadrature rule "simpson"/,
  );
  await assert.rejects(smoothGrad(polynomial, table, { samples: 0 }), /samples: an integer >= 1/);
  await assert.rejects(smoothGrad(polynomial, table, { noise: -1 }), /noise: a part of the range >= 0/);
});
