import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  backendStatus,
  crossEntropy,
  jit,
  setBackend,
  type Tensor,
  tensor,
  valueAndGrad,
  variable,
  withMatrixPrecision,
} from "../../src/index.ts";
import { BatchNorm2d, Conv2d, GlobalAvgPool, initialize, Linear, LSTM, ReLU, Sequential } from "../../src/nn/index.ts";
import { optimizer, sgd } from "../../src/optim/index.ts";

const native = backendStatus().some((b) => b.name === "native" && b.works);

const network = () =>
  new Sequential(
    new Conv2d(3, 16, 3, { padding: 1, bias: false }),
    new BatchNorm2d(16),
    new ReLU(),
    new Conv2d(16, 24, 3, { padding: 1, stride: 2 }),
    new ReLU(),
    new GlobalAvgPool(),
    new Linear(24, 4),
  );
const images = tensor(
  Float32Array.from({ length: 4 * 3 * 12 * 12 }, (_, i) => Math.sin(i)),
  { shape: [4, 3, 12, 12] },
);
const labels = tensor(Int32Array.from([0, 1, 2, 3]));
const close = (a: Tensor, b: Tensor) => {
  const [x, y] = [a.dataSync(), b.dataSync()] as Float32Array[];
  x.forEach((v, i) => {
    assert.ok(Math.abs(v - y[i]) < 1e-5, `${v} is not ${y[i]}`);
  });
};

describe("what depends on constants alone", { skip: !native && "no native backend here" }, () => {
  it("is computed once", () => {
    const model = initialize(network(), 1).eval();
    const text = jit((x: Tensor) => model.forward(x)).describe(images);
    const [once, always] = text.split("always:");
    assert.match(once, /conv_pack_f32\(/);
    assert.match(once, /sqrt/, "the factor of the normalization");
    assert.match(always, /conv_packed_f32\(/);
    assert.doesNotMatch(always, /sqrt|conv_f32/);
  });

  it("follows training, loading and assignment", () => {
    const model = initialize(network(), 1);
    const opt = optimizer(model, sgd({ lr: 0.1, momentum: 0.9 }));
    const train = jit((x: Tensor, y: Tensor) => {
      const [loss, grads] = valueAndGrad(model, (m) => crossEntropy(m.forward(x), y));
      opt.update(grads);
      return loss;
    });
    const forward = jit((x: Tensor) => model.forward(x));
    const check = () => {
      model.eval();
      close(forward(images), model.forward(images));
      close(forward(images), model.forward(images));
      model.train();
    };
    check();
    for (let i = 0; i < 3; i++) {
      train(images, labels);
      check();
    }
    model.loadStateDict(initialize(network(), 2).stateDict());
    check();
  });

  it("packs the weights of a product once", () => {
    for (const [features, depth, rows] of [
      [150, 170, 131],
      [97, 1301, 70],
    ]) {
      const wave = (shape: number[], speed: number) =>
        tensor(
          Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => Math.sin(i * speed)),
          { shape },
        );
      const [x, w, t] = [wave([rows, depth], 0.37), wave([depth, features], 0.91), wave([features, depth], 0.53)];
      const weight = variable(w);
      const turned = variable(t);
      const fn = (a: Tensor) => [a.matmul(weight), a.matmul(turned.transpose())] as const;
      const jitted = jit((a: Tensor) => [...fn(a)]);
      assert.equal(jitted.describe(x).match(/gemm_packed_f32/g)?.length, 2);
      for (const precision of ["highest", "medium"] as const)
        withMatrixPrecision(precision, () => {
          jitted(x).forEach((y, i) => {
            assert.deepEqual(y.dataSync(), fn(x)[i].dataSync(), "to the bit what an unpacked product gives");
          });
        });
    }
  });

  it("packs what the turns of a loop share before it", () => {
    const layer = initialize(new LSTM(96, 128), 1);
    const x = tensor(
      Float32Array.from({ length: 5 * 64 * 96 }, (_, i) => Math.sin(i)),
      { shape: [5, 64, 96] },
    );
    const forward = jit((x: Tensor) => layer.forward(x)[0]);
    const text = forward.describe(x);
    assert.match(text, /gemm_pack_f32.*loop.*gemm_packed_f32/s);
    setBackend("reference");
    const expected = layer.forward(x)[0].dataSync();
    setBackend("native");
    const got = forward(x).dataSync();
    setBackend("auto");
    expected.forEach((v, i) => {
      assert.ok(Math.abs(v - got[i]) < 1e-5);
    });
  });

  it("leaves what a program assigns alone", () => {
    const scale = variable(tensor([2, 3]));
    const step = jit((x: Tensor) => {
      const y = x.mul(scale.exp());
      scale.assign(scale.add(1));
      return y;
    });
    const x = tensor([1, 1]);
    for (const add of [0, 1, 2]) close(step(x), tensor([Math.exp(2 + add), Math.exp(3 + add)]).cast("f32"));
  });

  it("is packed for the precision of the program", () => {
    const model = initialize(network(), 1).eval();
    const forward = jit((x: Tensor) => model.forward(x));
    const [exact, medium] = [forward(images), withMatrixPrecision("medium", () => forward(images))];
    const [a, b] = [exact.dataSync(), medium.dataSync()] as Float32Array[];
    a.forEach((v, i) => {
      assert.ok(Math.abs(v - b[i]) < 0.02 * (1 + Math.abs(v)));
    });
  });
});
