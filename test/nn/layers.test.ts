/** Layers: keys and their order, first values, modes, containers, errors. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setBackend } from "../../src/backends/select.ts";
import { arange, Generator, grad, jit, manualSeed, ones, ShapeError, type Tensor, zeros } from "../../src/index.ts";
import * as nn from "../../src/nn/index.ts";

setBackend("reference");

const keys = (m: nn.Module): string[] => [...m.stateDict().keys()];

// Key lists are those of torch's state_dict().
describe("keys", () => {
  test("of a nested model", () => {
    const model = new nn.Sequential(
      new nn.Conv2d(1, 2, 3),
      new nn.BatchNorm2d(2),
      new nn.PReLU(),
      new nn.Sequential(new nn.Linear(2, 2, { bias: false }), new nn.LayerNorm(2)),
      new nn.GroupNorm(1, 2),
    );
    assert.deepEqual(
      keys(model).join(" "),
      "0.weight 0.bias 1.weight 1.bias 1.running_mean 1.running_var 1.num_batches_tracked 2.weight " +
        "3.0.weight 3.1.weight 3.1.bias 4.weight 4.bias",
    );
    assert.equal(model.length, 5);
    assert.ok(model.at(-1) instanceof nn.GroupNorm);
    assert.equal([...model].length, 5);
  });
  test("of lists and dictionaries", () => {
    const list = new nn.ModuleList([new nn.RMSNorm(2), new nn.Linear(1, 1)]);
    const dict = new nn.ModuleDict({ a: new nn.Linear(1, 1), b: list });
    assert.equal(keys(dict).join(" "), "a.weight a.bias b.0.weight b.1.weight b.1.bias");
    assert.equal(dict.get("a").weight.shape.length, 2);
    assert.equal(list.length, 2);
    assert.throws(() => list.forward(), /ModuleList/);
  });
  test("of recurrent layers", () => {
    assert.equal(
      keys(new nn.LSTM(3, 4, { numLayers: 2, bidirectional: true })).join(" "),
      "weight_ih_l0 weight_hh_l0 bias_ih_l0 bias_hh_l0 " +
        "weight_ih_l0_reverse weight_hh_l0_reverse bias_ih_l0_reverse bias_hh_l0_reverse " +
        "weight_ih_l1 weight_hh_l1 bias_ih_l1 bias_hh_l1 " +
        "weight_ih_l1_reverse weight_hh_l1_reverse bias_ih_l1_reverse bias_hh_l1_reverse",
    );
    assert.equal(keys(new nn.GRU(3, 4, { bias: false })).join(" "), "weight_ih_l0 weight_hh_l0");
  });
  test("of attention", () => {
    assert.equal(
      keys(new nn.MultiheadAttention(4, 2)).join(" "),
      "in_proj_weight in_proj_bias out_proj.weight out_proj.bias",
    );
    assert.equal(
      keys(new nn.MultiheadAttention(4, 2, { kdim: 3 })).join(" "),
      "q_proj_weight k_proj_weight v_proj_weight in_proj_bias out_proj.weight out_proj.bias",
    );
  });
});

describe("first values are distributed as PyTorch's", () => {
  /** Largest magnitude of a uniform distribution. */
  const bounds: readonly (readonly [nn.Module, Record<string, number>])[] = [
    [new nn.Linear(64, 100), { weight: 1 / 8, bias: 1 / 8 }],
    [new nn.Conv2d(8, 50, 3, { groups: 2 }), { weight: 1 / 6, bias: 1 / 6 }],
    [new nn.ConvTranspose2d(8, 20, 3), { weight: 1 / Math.sqrt(180), bias: 1 / Math.sqrt(180) }],
    [new nn.LSTM(20, 50), { weight_ih_l0: 1 / Math.sqrt(50), bias_hh_l0: 1 / Math.sqrt(50) }],
    [
      new nn.MultiheadAttention(64, 4),
      { in_proj_weight: Math.sqrt(6 / 256), in_proj_bias: 0, "out_proj.weight": 1 / 8, "out_proj.bias": 0 },
    ],
    [new nn.PReLU(3), { weight: 0.25 }],
  ];
  for (const [layer, expected] of bounds)
    test(layer.constructor.name, () => {
      const state = nn.initialize(layer, 1).stateDict();
      for (const [key, bound] of Object.entries(expected)) {
        const values = [...(state.get(key) as Tensor).dataSync()];
        const most = values.reduce((a, v) => Math.max(a, Math.abs(v)), 0);
        assert.ok(most <= bound && most >= 0.85 * bound, `${key}: largest ${most}, bound ${bound}`);
        if (values.length < 500) continue;
        const rms = Math.sqrt(values.reduce((a, v) => a + v * v, 0) / values.length);
        assert.ok(Math.abs(rms * Math.sqrt(3) - bound) < 0.06 * bound, `${key}: deviation ${rms}`);
      }
    });
  test("Embedding is standard normal but for the padding row", () => {
    const { weight } = nn.initialize(new nn.Embedding(400, 10, { paddingIdx: -2 }), 1);
    assert.ok(Math.abs(weight.std().itemSync() - 1) < 0.05);
    assert.equal(weight.slice(0, 398, 399).abs().max().itemSync(), 0);
    assert.ok(weight.slice(0, 399).abs().min().itemSync() > 0);
  });
});

describe("dropout", () => {
  const kept = (x: Tensor) => [...x.dataSync()].filter((v) => v !== 0);
  test("drops a share p, keeps the mean, and is off in eval mode", () => {
    manualSeed(3);
    const layer = new nn.Dropout(0.25);
    const y = layer.forward(ones([4000]));
    assert.ok(Math.abs(kept(y).length / 4000 - 0.75) < 0.03);
    assert.ok(kept(y).every((v) => Math.abs(v - 4 / 3) < 1e-6));
    assert.deepEqual(
      layer
        .eval()
        .forward(ones([9]))
        .dataSync(),
      ones([9]).dataSync(),
    );
  });
  test("draws anew in every step of a jitted function, the same after the same seed", () => {
    const generator = new Generator(5);
    const layer = new nn.Dropout(0.5, generator);
    const step = jit((x: Tensor) => layer.forward(x));
    const first = [...step(ones([64])).dataSync()];
    assert.notDeepEqual([...step(ones([64])).dataSync()], first);
    generator.seed(5);
    assert.deepEqual([...step(ones([64])).dataSync()], first);
    layer.eval();
    assert.equal(kept(step(ones([64]))).length, 64);
  });
  test("of channels and of samples drops them whole", () => {
    const channels = new nn.Dropout2d(0.5, new Generator(1)).forward(ones([8, 8, 3, 3])).sum([2, 3]);
    assert.ok([...channels.dataSync()].every((v) => v === 0 || v === 18));
    const samples = new nn.DropPath(0.5, new Generator(1)).forward(ones([64, 2, 3])).sum([1, 2]);
    assert.ok([...samples.dataSync()].every((v) => v === 0 || v === 12));
    assert.ok(kept(samples).length > 10 && kept(samples).length < 54);
  });
  test("the gradient passes where the value did; p = 1 drops all", () => {
    const layer = new nn.Dropout(0.5, new Generator(2));
    const [value, slope] = [new Generator(2), new Generator(2)].map((generator, i) => {
      const own = new nn.Dropout(0.5, generator);
      return i ? grad((x: Tensor) => own.forward(x).sum())(ones([32])) : own.forward(ones([32]));
    });
    assert.deepEqual([...slope.dataSync()], [...value.dataSync()]);
    assert.equal(kept(new nn.Dropout(1).forward(ones([5]))).length, 0);
    assert.equal(layer.p, 0.5);
  });
});

describe("shapes", () => {
  const image = zeros([2, 3, 8, 8]);
  const shapes: readonly (readonly [nn.Layer, Tensor, string])[] = [
    [new nn.Conv2d(3, 4, 3, { padding: "same" }), image, "2,4,8,8"],
    [new nn.Conv2d(3, 4, 3, { padding: "same", stride: 3, dilation: 2 }), image, "2,4,3,3"],
    [new nn.StdConv2d(3, 4, 3, { padding: "same", stride: 2 }), image, "2,4,4,4"],
    [new nn.Conv2d(3, 4, [3, 1], { padding: [1, 0], stride: 2, paddingMode: "reflect" }), image, "2,4,4,4"],
    [new nn.ConvTranspose2d(3, 4, 2, { stride: 2 }), image, "2,4,16,16"],
    [new nn.MaxPool2d(2), image, "2,3,4,4"],
    [new nn.AvgPool2d(3, { stride: 2, padding: 1 }), image, "2,3,4,4"],
    [new nn.AdaptiveAvgPool2d([3, null]), image, "2,3,3,8"],
    [new nn.AdaptiveMaxPool2d(1), image, "2,3,1,1"],
    [new nn.GlobalAvgPool(), image, "2,3"],
    [new nn.Upsample({ scaleFactor: 2, mode: "bilinear" }), image, "2,3,16,16"],
    [new nn.Pad(1, { mode: "circular" }), image, "2,3,10,10"],
    [new nn.Pad([[1, 2]]), image, "2,3,8,11"],
    [new nn.Flatten(), image, "2,192"],
    [new nn.Identity(), image, "2,3,8,8"],
    [new nn.GLU(-1), image, "2,3,8,4"],
  ];
  for (const [layer, x, shape] of shapes)
    test(layer.constructor.name, () => {
      assert.equal(nn.initialize(layer, 0).forward(x).shape.join(","), shape);
    });
  test("max pooling with indices, and back", () => {
    const [y, at] = new nn.MaxPool2d(2, { returnIndices: true }).forward(arange(32).cast("f32").reshape([1, 2, 4, 4]));
    const back = new nn.MaxUnpool2d(2).forward(y, at);
    assert.equal(back.shape.join(","), "1,2,4,4");
    assert.equal(back.sum().itemSync(), y.sum().itemSync());
  });
  test("recurrent layers, batch first", () => {
    const lstm = nn.initialize(new nn.LSTM(3, 5, { numLayers: 2, bidirectional: true, batchFirst: true }), 0);
    const [y, [h, c]] = lstm.forward(zeros([2, 7, 3]));
    assert.deepEqual(
      [y, h, c].map((t) => t.shape.join(",")),
      ["2,7,10", "4,2,5", "4,2,5"],
    );
  });
  test("attention returns weights of every head on demand, or none", () => {
    const attention = nn.initialize(new nn.MultiheadAttention(4, 2, { batchFirst: true }), 0);
    const x = ones([2, 3, 4]);
    const [, each] = attention.forward(x, x, x, { averageAttnWeights: false, isCausal: true });
    assert.equal(each?.shape.join(","), "2,2,3,3");
    assert.deepEqual([...(each as Tensor).slice(0, 0, 1).slice(1, 0, 1).slice(2, 0, 1).dataSync()], [1, 0, 0]);
    assert.equal(attention.forward(x, x, x, { needWeights: false })[1], null);
  });
});

describe("errors name the layer and the rule", () => {
  const x = zeros([2, 3, 4]);
  const attention = new nn.MultiheadAttention(4, 2);
  const calls: readonly (readonly [() => unknown, RegExp])[] = [
    [() => new nn.Conv2d(3, 4, 3, { groups: 2 }), /channels 4 and 3 do not divide into 2 groups/],
    [() => new nn.Conv2d(3, 4, 0), /Conv2d: kernelSize 0/],
    [() => new nn.MultiheadAttention(5, 2), /MultiheadAttention: the width 5 .* 2 heads/],
    [() => new nn.Embedding(5, 2, { paddingIdx: 5 }), /Embedding: paddingIdx 5 .* 5 rows/],
    [() => new nn.RNN(2, 3, { nonlinearity: "sin" as "tanh" }), /unknown nonlinearity "sin"/],
    [() => new nn.LSTM(5, 2).forward(x), /LSTM: x must be \[t, b, 5\], it is \[2,3,4\]/],
    [() => new nn.GRU(4, 2).forward(x, zeros([1, 2, 2])), /GRU: the initial state must be \[1,3,2\]/],
    [() => attention.forward(x.select(0, 0), x, x), /query must be \[t, b, d\]/],
    [() => attention.forward(x, x, x, { attnMask: zeros([2, 3]) }), /attnMask must be \[2,2\] or \[6,2,2\]/],
    [() => attention.forward(x, x, x, { keyPaddingMask: zeros([2, 3]) }), /keyPaddingMask must be \[3,2\]/],
    [() => new nn.Linear(3, 2).forward(x), /linear: .*\[2,3\].*\[2,3,4\]/],
  ];
  for (const [call, message] of calls)
    test(String(message), () => {
      assert.throws(call, message);
    });
  test("and are shape errors where shapes are wrong", () => {
    assert.throws(() => new nn.Conv1d(3, 2, 3).forward(zeros([1, 2, 9])), ShapeError);
  });
});
