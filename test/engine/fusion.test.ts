/** What the compiler makes of steps: kernels per row, one product per step of a loop, and bits that no thread changes. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { backendStatus, setThreads } from "../../src/backends/select.ts";
import * as m from "../../src/index.ts";
import { GRU, initialize, LSTM } from "../../src/nn/index.ts";
import { uniform } from "../support/check-grads.ts";

const works = backendStatus().find(({ name }) => name === "native")?.works;
const skip = !works && "no C compiler";
const values = (shape: readonly number[], seed: number) =>
  m.tensor(
    Float32Array.from(
      uniform(
        shape.reduce((a, b) => a * b, 1),
        seed,
      ),
    ),
    shape,
  );

const pulled =
  (fn: (...x: m.Tensor[]) => m.Tensor) =>
  (ct: m.Tensor, ...x: m.Tensor[]) => {
    const [out, pull] = m.vjp(fn, ...x);
    return [out, ...pull(ct)];
  };

describe("rows", { skip }, () => {
  const [x, g] = [values([64, 200], 1), values([64, 200], 2)];
  const kernels = (text: string) => text.split("\n").filter((line) => /^(rows|for)/.test(line));

  test("softmax and its gradient are one kernel", () => {
    assert.deepEqual(kernels(m.jit(pulled((t) => m.softmax(t))).describe(g, x)), ["rows i0<64 {"]);
  });
  test("layer norm and its gradient by x are one kernel", () => {
    const norm = m.jit(pulled((t) => m.layerNorm(t, [200])));
    assert.deepEqual(kernels(norm.describe(g, x)), ["rows i0<64 {"]);
  });
  test("reductions across memory stay apart", () => {
    const text = m.jit((t: m.Tensor) => m.softmax(t, 0)).describe(x);
    assert.ok(!text.includes("rows"), text);
  });
  test("a row that needs another one stays apart", () => {
    const shifted = (t: m.Tensor) => {
      const e = t.sub(t.max(1, { keepDims: true })).exp();
      return e.div(e.flip(0).sum(1, { keepDims: true }));
    };
    const got = m.jit(shifted)(x).dataSync();
    const want = shifted(m.tensor(Float64Array.from(x.dataSync()), [64, 200])).dataSync();
    got.forEach((v, i) => {
      assert.ok(Math.abs(v - want[i]) < 1e-6);
    });
  });
});

describe("recurrent steps", { skip }, () => {
  for (const [name, model] of [
    ["LSTM", new LSTM(6, 10)],
    ["GRU", new GRU(6, 10)],
  ] as const)
    test(`${name}: each loop has one product and no sums of weights`, () => {
      const net = initialize(model, 1);
      const step = m.jit((x: m.Tensor) => {
        const [loss, grads] = m.valueAndGrad(net, (n: LSTM | GRU) => n.forward(x)[0].square().mean());
        return [loss, ...grads.values()];
      });
      const loops = step
        .describe(values([7, 4, 6], 3))
        .split(/^(?=loop)/m)
        .slice(1);
      assert.equal(loops.length, 2);
      for (const loop of loops) {
        const body = loop.slice(0, loop.indexOf("\n}"));
        assert.equal(body.split("gemm_").length - 1, 1, body);
        assert.ok(!body.includes("sum{"), body);
      }
    });
});

test("results have the same bits for any number of threads", { skip }, () => {
  const shape = [3, 2, 130, 40];
  const [q, k, v, ct] = [1, 2, 3, 4].map((seed) => values(shape, seed));
  const net = initialize(new LSTM(40, 48), 1);
  const work: (() => m.Tensor[])[] = [
    () => pulled((q, k, v) => m.scaledDotProductAttention(q, k, v, { isCausal: true }))(ct, q, k, v),
    () =>
      pulled((q, k, v) => m.scaledDotProductAttention(q, k, v))(
        ct.select(0, 0),
        ...[q, k, v].map((t) => t.select(0, 0)),
      ),
    () => pulled((x) => m.layerNorm(x, [40]))(ct, q),
    () => pulled((x) => m.logSoftmax(x))(ct, q),
    () => [q.reshape([-1, 40]).sum(0), values([9000, 24], 9).sum(0)],
    () => {
      const [loss, grads] = m.valueAndGrad(net, (n: LSTM) =>
        n
          .forward(q.reshape([12, 65, 40]))[0]
          .square()
          .mean(),
      );
      return [loss, ...grads.values()];
    },
  ];
  try {
    const runs = [1, 2, 3].map((threads) => {
      setThreads(threads);
      return work.map((fn) =>
        m
          .jit(fn)()
          .map((t) => t.dataSync()),
      );
    });
    for (const run of runs) assert.deepEqual(run, runs[0]);
  } finally {
    setThreads(0);
  }
});
