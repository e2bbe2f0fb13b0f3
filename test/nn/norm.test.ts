/** Normalization layers: running statistics as PyTorch's, train and eval mode, inside of jit. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { backendStatus, setBackend } from "../../src/backends/select.ts";
import { jit, ShapeError, type Tensor, tensor, zeros } from "../../src/index.ts";
import * as nn from "../../src/nn/index.ts";

const batches = [
  [1, 2, 3, 5, 8, 1],
  [0, 1, 4, 4, 2, 7],
  [1, 1, 1, 2, 4, 9],
].map((values) => tensor(values, { shape: [3, 2] }));

const close = (x: Tensor, want: readonly number[]) => {
  const got = [...x.dataSync()];
  for (const [i, v] of got.entries())
    assert.ok(Math.abs(v - want[i]) < 2e-6 * Math.max(1, Math.abs(want[i])), `${got} is not ${want}`);
};

// From torch.nn.BatchNorm1d over the three batches, then in eval mode on the first.
const torch = [
  {
    momentum: 0.1,
    mean: [0.704, 0.976],
    variance: [2.442, 3.79],
    evaluated: [
      0.1894165804664581, 0.5259927749426054, 1.4692583403749595, 2.06698723278227, 4.6688627401462135,
      0.012327955662717272,
    ],
  },
  {
    momentum: 0.4,
    mean: [1.856, 2.944],
    variance: [4.248, 10.6],
    evaluated: [
      -0.41531823477479274, -0.2899471583781297, 0.5550514726429472, 0.6314950822303333, 2.980975741187297,
      -0.597094571914284,
    ],
  },
  {
    momentum: null,
    mean: [8 / 3, 32 / 9],
    variance: [20 / 3, 97 / 9],
    evaluated: [
      -0.6454967402455292, -0.4738279905786309, 0.12909934804910583, 0.4399831341087287, 2.0655895687856933,
      -0.7784316988077508,
    ],
  },
];

for (const { name, works } of backendStatus())
  describe(`BatchNorm on ${name}`, { skip: !works }, () => {
    before(() => setBackend(name));
    for (const { momentum, mean, variance, evaluated } of torch)
      test(`running statistics with momentum ${momentum}`, () => {
        const bn = nn.initialize(new nn.BatchNorm1d(2, { momentum }), 0);
        const step = jit((x: Tensor) => bn.forward(x));
        for (const x of batches) step(x);
        const state = bn.stateDict();
        assert.deepEqual([...state.keys()], ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]);
        close(state.get("running_mean") as Tensor, mean);
        close(state.get("running_var") as Tensor, variance);
        assert.equal(state.get("num_batches_tracked")?.dtype, "i32");
        assert.equal(state.get("num_batches_tracked")?.itemSync(), 3);
        bn.eval();
        close(step(batches[0]), evaluated);
        close(bn.stateDict().get("running_mean") as Tensor, mean);
        bn.train();
        step(batches[0]);
        assert.equal(bn.stateDict().get("num_batches_tracked")?.itemSync(), 4);
      });
  });

describe("normalization layers", () => {
  before(() => setBackend("reference"));
  test("a state of before PyTorch 0.4.1 has no number of batches, which is 0 then; statistics must be there", () => {
    const bn = nn.initialize(new nn.BatchNorm2d(2), 0);
    bn.forward(tensor([1, 2, 3, 4], { shape: [1, 2, 2, 1] }));
    assert.equal(bn.stateDict().get("num_batches_tracked")?.itemSync(), 1);
    const state = new Map(bn.stateDict());
    state.delete("num_batches_tracked");
    assert.deepEqual(bn.loadStateDict(state), { missing: [], unexpected: [], misshapen: [] });
    assert.equal(bn.stateDict().get("num_batches_tracked")?.itemSync(), 0);
    state.delete("running_mean");
    assert.throws(() => bn.loadStateDict(state), /missing: running_mean\n/);
  });
  test("without jit the statistics move too", () => {
    const bn = nn.initialize(new nn.BatchNorm1d(2), 0);
    for (const x of batches) bn.forward(x);
    close(bn.stateDict().get("running_var") as Tensor, torch[0].variance);
  });
  test("a batch norm that does not track uses the batch in eval mode", () => {
    const bn = nn.initialize(new nn.BatchNorm1d(2, { trackRunningStats: false, affine: false }), 0);
    assert.equal(bn.stateDict().size, 0);
    const trained = bn.forward(batches[0]).dataSync();
    assert.deepEqual(bn.eval().forward(batches[0]).dataSync(), trained);
  });
  test("an instance norm tracks the average over samples and counts no batches, as in PyTorch", () => {
    const layer = nn.initialize(new nn.InstanceNorm1d(1, { trackRunningStats: true }), 0);
    layer.forward(tensor([1, 2, 6, 4, 4, 7], { shape: [2, 1, 3] }));
    const state = layer.stateDict();
    assert.deepEqual([...state.keys()], ["running_mean", "running_var", "num_batches_tracked"]);
    close(state.get("running_mean") as Tensor, [0.4]);
    close(state.get("running_var") as Tensor, [1.4]);
    assert.equal(state.get("num_batches_tracked")?.itemSync(), 0);
  });
  test("ranks are checked by name", () => {
    const bn = nn.initialize(new nn.BatchNorm2d(2), 0);
    assert.throws(
      () => bn.forward(zeros([3, 2])),
      (e) => e instanceof ShapeError && /BatchNorm2d: .*rank 4.*\[3,2\]/.test(e.message),
    );
    assert.throws(() => new nn.GroupNorm(3, 4), /GroupNorm: 4 channels .* 3 groups/);
  });
});
