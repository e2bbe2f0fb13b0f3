/** Training, saving and restoring on webgpu, against the same on the reference backend. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, beforeEach, describe, test } from "node:test";
import type { BackendName } from "../../src/backends/select.ts";
import { setBackend } from "../../src/backends/select.ts";
import * as m from "../../src/index.ts";
import { loadCheckpoint, saveCheckpoint } from "../../src/io/index.ts";
import * as nn from "../../src/nn/index.ts";
import { adamW, ema, gradScaler, optimizer, sgd } from "../../src/optim/index.ts";
import { accuracy } from "../../src/train/index.ts";
import { statefulOf } from "../../src/train/state.ts";
import { preparedWebgpu } from "../support/webgpu.ts";

const skip = await preparedWebgpu();
const folder = mkdtempSync(join(tmpdir(), "manabi-webgpu-"));
after(() => rmSync(folder, { recursive: true }));

class Net extends nn.Module {
  readonly features = new nn.Sequential(
    new nn.Conv2d(2, 6, 3, { padding: 1, bias: false }), // a bias before a normalization has gradients of pure rounding
    new nn.BatchNorm2d(6),
    new nn.ReLU(),
    new nn.MaxPool2d(2),
    new nn.Dropout(0.2),
  );
  readonly head = new nn.Linear(6 * 4 * 4, 5);
  forward(x: m.Tensor): m.Tensor {
    return this.head.forward(this.features.forward(x).flatten(1));
  }
}

const batch = 8;
const images = (step: number): m.Tensor =>
  m.tensor(
    Float32Array.from({ length: batch * 2 * 64 }, (_, i) => Math.sin(0.37 * i + step)),
    { shape: [batch, 2, 8, 8] },
  );
const labels = (step: number): m.Tensor => m.tensor(Int32Array.from({ length: batch }, (_, i) => (i + step) % 5));

/** A net, its optimizer, an average of it, and a step over a batch. */
function setUp() {
  const model = nn.initialize(new Net(), 3);
  const opt = optimizer(model, adamW({ lr: 0.01 }), { clipNorm: 1 });
  const average = ema(model, 0.9);
  const step = m.jit((x: m.Tensor, y: m.Tensor) => {
    const [loss, grads] = m.valueAndGrad(model, (net) => m.crossEntropy(net.forward(x), y));
    opt.update(grads);
    average.update();
    return loss;
  });
  const train = async (from: number, to: number): Promise<number[]> => {
    const losses: number[] = [];
    for (let i = from; i < to; i++) losses.push(await step(images(i), labels(i)).item());
    return losses;
  };
  return { model, opt, average, train };
}

const near = (got: ArrayLike<number>, want: ArrayLike<number>, limit: number, what: string) => {
  assert.equal(got.length, want.length, what);
  for (let i = 0; i < want.length; i++)
    assert.ok(Math.abs(got[i] - want[i]) <= limit, `${what} [${i}]: ${got[i]}, not ${want[i]}`);
};

async function on<T>(backend: BackendName, run: () => Promise<T>): Promise<T> {
  setBackend(backend);
  m.manualSeed(5);
  return run();
}

describe("training on webgpu", { skip }, () => {
  beforeEach(() => {
    setBackend("webgpu");
    m.manualSeed(5);
  });
  afterEach(() => setBackend("auto"));

  test("losses, parameters, running statistics and averages are those of the reference", async () => {
    const run = async () => {
      const { model, average, train } = setUp();
      const losses = await train(0, 6);
      const values = await Promise.all([...model.stateDict().values()].map((t) => t.data()));
      const averaged = await average.apply(() => Promise.all([...model.stateDict().values()].map((t) => t.data())));
      return [losses, ...values, ...averaged];
    };
    const got = await on("webgpu", run);
    const want = await on("reference", run);
    got.forEach((values, i) => {
      near(values, want[i], 1e-4, `result ${i}`);
    });
  });

  for (const dtype of ["f16", "bf16"] as const)
    test(`under autocast to ${dtype} the losses are those of the reference, up to roundings`, async () => {
      const run = async () => {
        const model = nn.initialize(new Net(), 3);
        const scaler = dtype === "f16" ? gradScaler() : undefined;
        const opt = optimizer(model, adamW({ lr: 0.01 }), { scaler });
        const step = m.jit((x: m.Tensor, y: m.Tensor) => {
          const [loss, grads] = m.valueAndGrad(model, (net) => {
            const loss = m.autocast(dtype, () => m.crossEntropy(net.forward(x), y));
            return scaler ? opt.scaled(loss) : loss;
          });
          opt.update(grads);
          return loss;
        });
        const losses: number[] = [];
        for (let i = 0; i < 6; i++) losses.push((await step(images(i), labels(i)).item()) / (scaler ? 65536 : 1));
        return losses;
      };
      near(await on("webgpu", run), await on("reference", run), dtype === "f16" ? 4e-3 : 3e-2, "losses");
    });

  test("parameters of 16 bits are trained, saved as patterns and read back", async () => {
    const run = async () => {
      const model = nn.initialize(new nn.Linear(5, 3), 1).to("f16");
      const opt = optimizer(model, sgd({ lr: 0.1, momentum: 0.9 }));
      const x = m
        .tensor(
          Float32Array.from({ length: 10 }, (_, i) => Math.cos(i)),
          { shape: [2, 5] },
        )
        .cast("f16");
      for (let i = 0; i < 3; i++) {
        const [, grads] = m.valueAndGrad(model, (net) => net.forward(x).square().mean());
        opt.update(grads);
      }
      const { data, dtype } = await model.weight.host();
      assert.ok(data instanceof Uint16Array && dtype === "f16");
      return model.weight.data();
    };
    near(await on("webgpu", run), await on("reference", run), 2e-3, "weights");
  });

  test("without jit the steps are the same", async () => {
    const run = async () => {
      const model = nn.initialize(new nn.Linear(4, 3), 1);
      const opt = optimizer(model, sgd({ lr: 0.1, momentum: 0.9 }));
      const losses: number[] = [];
      for (let i = 0; i < 3; i++) {
        const x = m.tensor(
          Float32Array.from({ length: 8 }, (_, k) => Math.cos(k + i)),
          { shape: [2, 4] },
        );
        const [loss, grads] = m.valueAndGrad(model, (net) => net.forward(x).square().mean());
        opt.update(grads);
        losses.push(await loss.item());
      }
      return losses;
    };
    near(await on("webgpu", run), await on("reference", run), 1e-5, "losses");
  });

  test("updates that a gradScaler has had skipped do not count for the rule", async () => {
    const run = async () => {
      const weight = m.variable(m.tensor([1, -2, 3]));
      const scaler = gradScaler({ initScale: 8, growthInterval: 3 });
      const opt = optimizer([["weight", weight]], adamW({ lr: 0.1 }), { scaler });
      const step = m.jit((g: m.Tensor) => opt.update(new Map([["weight", opt.scaled(g)]])));
      const path: number[] = [];
      for (let i = 0; i < 90; i++) {
        step(m.tensor([Math.sin(i), i % 5 === 2 ? Number.POSITIVE_INFINITY : 0.5, Math.cos(i)]));
        if (i % 7 === 0) path.push(...(await weight.data()));
      }
      return [...path, ...(await weight.data()), await scaler.value.item()];
    };
    near(await on("webgpu", run), await on("reference", run), 1e-5, "path");
  });

  test("a saved run goes on as if it had not stopped", async () => {
    const whole = setUp();
    await whole.train(0, 2);
    const file = join(folder, "checkpoint");
    const parts = (s: ReturnType<typeof setUp>) => ({
      model: statefulOf(s.model),
      opt: s.opt,
      average: s.average,
    });
    await saveCheckpoint(file, parts(whole));
    whole.model.eval();
    const rest = await whole.train(2, 4);

    const resumed = setUp();
    await loadCheckpoint(file, parts(resumed));
    resumed.model.eval();
    assert.deepEqual(await resumed.train(2, 4), rest);
  });

  test("metrics read values from the device", async () => {
    const { model } = setUp();
    const logits = model.eval().forward(images(0));
    const top = accuracy(await logits.host(), await labels(0).data());
    assert.ok(top >= 0 && top <= 1);
  });

  test("reading at once is refused with the way to read", async () => {
    const x = m.tensor([1, 2]).add(1);
    assert.throws(() => x.dataSync(), /values on webgpu are read asynchronously: await tensor.data\(\)/);
    assert.throws(() => x.sum().itemSync(), /await tensor.item\(\)/);
    assert.deepEqual([...(await x.data())], [2, 3]);
  });

  test("a model moves to another backend by way of host memory", async () => {
    const { model, train } = setUp();
    await train(0, 1);
    model.eval();
    const want = await model.forward(images(1)).data();
    setBackend("reference");
    assert.throws(() => model.forward(images(1)).dataSync(), /lie on webgpu.*await module.toHost\(\)/s);
    await model.toHost();
    near(model.forward(images(1)).dataSync(), want, 1e-4, "logits");
  });

  test("values of the device and of the host meet in one program, an argument may be a variable's value", async () => {
    const weight = m.variable(m.tensor([1, 2, 3]));
    const step = m.jit((x: m.Tensor) => {
      weight.assign(weight.add(x));
      return x.mul(2);
    });
    const before = weight.value;
    assert.deepEqual([...(await step(before).data())], [2, 4, 6]);
    assert.deepEqual([...(await weight.data())], [2, 4, 6]);
    assert.deepEqual([...(await before.data())], [1, 2, 3], "what was read before the step");
    await step(weight.value).data();
    assert.deepEqual([...(await weight.data())], [4, 8, 12]);
  });

  test("dtypes that it lacks are refused by name", async () => {
    await assert.rejects(m.tensor([1], { dtype: "f64" }).add(1).data(), /f64, and WGSL has no 64-bit floats/);
  });
});
