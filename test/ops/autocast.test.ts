/** Mixed precision: which operations run in which dtype, how autocast nests, and what becomes of it in a jitted step. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { setBackend } from "../../src/backends/select.ts";
import type { DType } from "../../src/core/dtype.ts";
import * as m from "../../src/index.ts";
import { GRU, initialize, Linear, LSTM, Module, MultiheadAttention, RNN } from "../../src/nn/index.ts";
import { optimizer, sgd } from "../../src/optim/index.ts";

before(() => setBackend("auto"));

const [f32, f64] = (["f32", "f64"] as const).map(
  (dtype) =>
    (...shape: number[]) =>
      m.full(shape, 0.5, { dtype }),
);
const bf16 = (...shape: number[]) => m.full(shape, 0.5, { dtype: "bf16" });
const labels = m.tensor([0, 2], { dtype: "i32" });

/** The dtype of a result under autocast to bf16, for operands in f32 and in bf16. */
const results: Record<string, readonly [call: (make: typeof f32) => m.Tensor, ofF32: DType, ofBf16: DType]> = {
  matmul: [(x) => x(2, 3).matmul(x(3, 2)), "bf16", "bf16"],
  linear: [(x) => m.linear(x(2, 3), x(4, 3), x(4)), "bf16", "bf16"],
  conv1d: [(x) => m.conv1d(x(1, 2, 5), x(3, 2, 3), x(3)), "bf16", "bf16"],
  conv2d: [(x) => m.conv2d(x(1, 2, 5, 5), x(3, 2, 3, 3)), "bf16", "bf16"],
  conv3d: [(x) => m.conv3d(x(1, 2, 3, 3, 3), x(3, 2, 2, 2, 2)), "bf16", "bf16"],
  convTranspose2d: [(x) => m.convTranspose2d(x(1, 2, 3, 3), x(2, 3, 2, 2), x(3)), "bf16", "bf16"],
  attention: [(x) => m.scaledDotProductAttention(x(2, 3), x(4, 3), x(4, 2)), "bf16", "bf16"],
  "attention weights": [(x) => m.attentionWeights(x(2, 3), x(4, 3)), "bf16", "bf16"],
  exp: [(x) => x(2).exp(), "f32", "f32"],
  expm1: [(x) => x(2).expm1(), "f32", "f32"],
  log: [(x) => x(2).log(), "f32", "f32"],
  log1p: [(x) => x(2).log1p(), "f32", "f32"],
  pow: [(x) => x(2).pow(1.5), "f32", "f32"],
  reciprocal: [(x) => x(2).reciprocal(), "f32", "f32"],
  rsqrt: [(x) => x(2).rsqrt(), "f32", "f32"],
  tan: [(x) => x(2).tan(), "f32", "f32"],
  asin: [(x) => x(2).asin(), "f32", "f32"],
  acos: [(x) => x(2).acos(), "f32", "f32"],
  sinh: [(x) => x(2).sinh(), "f32", "f32"],
  cosh: [(x) => x(2).cosh(), "f32", "f32"],
  sum: [(x) => x(2).sum(), "f32", "f32"],
  prod: [(x) => x(2).prod(), "f32", "f32"],
  cumsum: [(x) => x(2).cumsum(0), "f32", "f32"],
  logsumexp: [(x) => x(2).logsumexp(), "f32", "f32"],
  norm: [(x) => x(2).norm(), "f32", "f32"],
  softmax: [(x) => m.softmax(x(2, 3)), "f32", "f32"],
  logSoftmax: [(x) => m.logSoftmax(x(2, 3)), "f32", "f32"],
  softplus: [(x) => m.softplus(x(2, 3)), "f32", "f32"],
  normalize: [(x) => m.normalize(x(2, 3)), "f32", "f32"],
  layerNorm: [(x) => m.layerNorm(x(2, 4), [4]), "f32", "f32"],
  rmsNorm: [(x) => m.rmsNorm(x(2, 4), [4]), "f32", "f32"],
  groupNorm: [(x) => m.groupNorm(x(2, 4), 2), "f32", "f32"],
  crossEntropy: [(x) => m.crossEntropy(x(2, 3), labels), "f32", "f32"],
  nllLoss: [(x) => m.nllLoss(x(2, 3), labels), "f32", "f32"],
  multiMarginLoss: [(x) => m.multiMarginLoss(x(2, 3), labels), "f32", "f32"],
  mseLoss: [(x) => m.mseLoss(x(2), x(2)), "f32", "f32"],
  l1Loss: [(x) => m.l1Loss(x(2), x(2)), "f32", "f32"],
  huberLoss: [(x) => m.huberLoss(x(2), x(2)), "f32", "f32"],
  smoothL1Loss: [(x) => m.smoothL1Loss(x(2), x(2)), "f32", "f32"],
  binaryCrossEntropy: [(x) => m.binaryCrossEntropy(x(2), x(2)), "f32", "f32"],
  binaryCrossEntropyWithLogits: [(x) => m.binaryCrossEntropyWithLogits(x(2), x(2)), "f32", "f32"],
  focalLoss: [(x) => m.focalLoss(x(2), x(2)), "f32", "f32"],
  klDiv: [(x) => m.klDiv(x(2), x(2)), "f32", "f32"],
  cosineSimilarity: [(x) => m.cosineSimilarity(x(2, 3), x(2, 3)), "f32", "f32"],
  cosineEmbeddingLoss: [(x) => m.cosineEmbeddingLoss(x(2, 3), x(2, 3), labels), "f32", "f32"],
  hingeEmbeddingLoss: [(x) => m.hingeEmbeddingLoss(x(2), labels), "f32", "f32"],
  tripletMarginLoss: [(x) => m.tripletMarginLoss(x(2, 3), x(2, 3), x(2, 3)), "f32", "f32"],
  add: [(x) => x(2).add(x(2)), "f32", "bf16"],
  relu: [(x) => m.relu(x(2)), "f32", "bf16"],
  gelu: [(x) => m.gelu(x(2)), "f32", "bf16"],
  sigmoid: [(x) => m.sigmoid(x(2)), "f32", "bf16"],
  tanh: [(x) => x(2).tanh(), "f32", "bf16"],
  mean: [(x) => x(2).mean(), "f32", "bf16"],
  max: [(x) => x(2).max(), "f32", "bf16"],
  batchNorm: [(x) => m.batchNorm(x(4, 2), { weight: f32(2) }), "f32", "bf16"],
  maxPool2d: [(x) => m.maxPool2d(x(1, 1, 4, 4), 2), "f32", "bf16"],
  avgPool2d: [(x) => m.avgPool2d(x(1, 1, 4, 4), 2), "f32", "bf16"],
  embedding: [(x) => m.embedding(labels, x(3, 2)), "f32", "bf16"],
};

describe("dtypes of results", () => {
  for (const [name, [call, ofF32, ofBf16]] of Object.entries(results))
    test(name, () => {
      assert.equal(m.autocast("bf16", () => call(f32)).dtype, ofF32, "of f32");
      assert.equal(m.autocast("bf16", () => call(bf16)).dtype, ofBf16, "of bf16");
      assert.equal(call(bf16).dtype, "bf16", "of bf16 without autocast");
      assert.equal(call(f32).dtype, "f32", "of f32 without autocast");
    });

  test("f64 and integers are left alone; f16 and bf16 meet in the dtype of autocast", () => {
    m.autocast("bf16", () => {
      assert.equal(f64(2, 2).matmul(f64(2, 2)).dtype, "f64");
      assert.equal(m.softmax(f64(2)).dtype, "f64");
      assert.equal(labels.sum().dtype, "i32");
      assert.equal(bf16(2, 2).matmul(bf16(2, 2).cast("f16")).dtype, "bf16");
    });
    assert.equal(bf16(2).add(bf16(2).cast("f16")).dtype, "f32");
  });

  test("recurrent layers and attention layers", () => {
    for (const Layer of [RNN, GRU, LSTM]) {
      const layer = initialize(new Layer(3, 4, { numLayers: 2, bidirectional: true }), 1);
      const x = m.tensor(
        Float32Array.from({ length: 30 }, (_, i) => Math.sin(i)),
        [5, 2, 3],
      );
      const [exact] = layer.forward(x);
      const [y, state] = m.autocast("f16", () => layer.forward(x));
      assert.equal(y.dtype, "f16");
      for (const s of [state].flat()) assert.equal(s.dtype, "f16");
      const difference = y.cast("f32").sub(exact).abs().max().itemSync();
      assert.ok(difference > 0 && difference < 4e-3, `${Layer.name}: ${difference}`);
      const [, grads] = m.valueAndGrad(layer, (l) => m.autocast("f16", () => l.forward(x)[0].square().sum()));
      for (const g of grads.values()) assert.equal(g.dtype, "f32");
    }
    const attention = initialize(new MultiheadAttention(8, 2), 1);
    const [y, weights] = m.autocast("bf16", () => attention.forward(f32(3, 2, 8), f32(3, 2, 8), f32(3, 2, 8)));
    assert.deepEqual([y.dtype, weights?.dtype], ["bf16", "bf16"]);
  });
});

describe("scope", () => {
  const dtype = () => f32(2, 2).matmul(f32(2, 2)).dtype;

  test("it nests, can be turned off inside, and ends with the call", () => {
    m.autocast("bf16", () => {
      assert.equal(dtype(), "bf16");
      m.autocast("f16", () => assert.equal(dtype(), "f16"));
      m.autocast("none", () => assert.equal(dtype(), "f32"));
      assert.equal(dtype(), "bf16");
    });
    assert.equal(dtype(), "f32");
  });

  test("it ends with an exception, too", () => {
    assert.throws(
      () =>
        m.autocast("f16", () => {
          throw new Error("inside");
        }),
      /inside/,
    );
    assert.equal(dtype(), "f32");
  });

  test("an async function and an unknown dtype are refused", () => {
    assert.throws(() => m.autocast("bf16", async () => 1), /must not be async/);
    assert.throws(() => m.autocast("f64" as "f16", () => 1), /the dtype is "bf16", "f16" or "none", got "f64"/);
    assert.equal(dtype(), "f32");
  });
});

/** A layer that is applied three times. */
class Thrice extends Module {
  readonly fc = new Linear(8, 8);
  forward(x: m.Tensor): m.Tensor {
    return m.relu(this.fc.forward(m.relu(this.fc.forward(m.relu(this.fc.forward(x))))));
  }
}

describe("in a jitted step", () => {
  test("it is part of the signature", () => {
    let traces = 0;
    const product = m.jit((x: m.Tensor) => {
      traces++;
      return x.matmul(x);
    });
    const run = () => product(f32(2, 2)).dtype;
    assert.equal(run(), "f32");
    assert.equal(m.autocast("bf16", run), "bf16");
    assert.equal(m.autocast("f16", run), "f16");
    assert.equal(run(), "f32");
    assert.equal(m.autocast("bf16", run), "bf16");
    assert.equal(traces, 3);
    const inside = m.jit((x: m.Tensor) => {
      traces++;
      return m.autocast("bf16", () => x.matmul(x));
    });
    for (let i = 0; i < 3; i++) assert.equal(inside(f32(2, 2)).dtype, "bf16");
    assert.equal(traces, 4);
  });

  test("a weight is cast once a step, however often it is used; weights and gradients are f32", () => {
    const model = initialize(new Thrice(), 1);
    const opt = optimizer(model, sgd({ lr: 0.1 }));
    const step = m.jit((x: m.Tensor) => {
      const [loss, grads] = m.valueAndGrad(model, (n) => m.autocast("bf16", () => n.forward(x).square().mean()));
      for (const g of grads.values()) assert.equal(g.dtype, "f32");
      opt.update(grads);
      return loss;
    });
    const text = step.describe(f32(4, 8));
    // in1 is the weight: rounded to bf16 and widened for the products in one place.
    const casts = text.split("\n").filter((line) => /bf16\(in1\[/.test(line));
    assert.equal(casts.length, 1, text);
    const before = step(f32(4, 8)).itemSync();
    for (let i = 0; i < 20; i++) step(f32(4, 8));
    assert.ok(step(f32(4, 8)).itemSync() < before);
    for (const p of model.parameters()) assert.equal(p.dtype, "f32");
  });

  test("a loss in f32 of bf16 logits trains as in f32", () => {
    const losses = (["none", "bf16", "f16"] as const).map((precision) => {
      const model = initialize(new Linear(6, 3), 3);
      const opt = optimizer(model, sgd({ lr: 0.5, momentum: 0.9 }));
      const x = m.tensor(
        Float32Array.from({ length: 60 }, (_, i) => Math.sin(i * i)),
        [10, 6],
      );
      const y = m.tensor(Int32Array.from({ length: 10 }, (_, i) => i % 3));
      const step = m.jit(() => {
        const [loss, grads] = m.valueAndGrad(model, (n) =>
          m.autocast(precision, () => m.crossEntropy(n.forward(x), y)),
        );
        opt.update(grads);
        return loss;
      });
      for (let i = 0; i < 30; i++) step();
      return step().itemSync();
    });
    assert.ok(Math.abs(losses[1] - losses[0]) < 0.02 * losses[0], `${losses}`);
    assert.ok(Math.abs(losses[2] - losses[0]) < 0.005 * losses[0], `${losses}`);
  });
});
