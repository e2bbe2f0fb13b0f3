/** What a device does over time: memory, faults, loss. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { backend as backendInUse, prepareBackend, setBackend } from "../../src/backends/select.ts";
import type { WebGpuBackend } from "../../src/backends/webgpu/index.ts";
import * as m from "../../src/index.ts";
import * as nn from "../../src/nn/index.ts";
import { adamW, optimizer } from "../../src/optim/index.ts";
import { constant, input } from "../../src/primitives/leaf.ts";
import { preparedWebgpu, webgpuUnderTest } from "../support/webgpu.ts";

const skip = await preparedWebgpu();
after(() => setBackend("auto"));

describe("a device of webgpu", { skip }, async () => {
  const backend = await webgpuUnderTest();
  if (!backend) return;
  const { device } = backend;

  test("steps reuse memory: what each of them gives is freed once nobody holds it", async () => {
    const [x, w] = [input({ shape: [256, 256], dtype: "f32" }), input({ shape: [256, 256], dtype: "f32" })];
    const program = backend.compile({
      inputs: [x, w],
      outputs: [new m.Tensor(x).mul(2).node, new m.Tensor(w).add(1).node],
      updates: [{ input: 1, output: 1 }],
    });
    let weight = program.run([new Float32Array(65536), new Float32Array(65536)])[1];
    let most = 0;
    const run = async (steps: number) => {
      for (let i = 0; i < steps; i++) {
        const [, next] = program.run([new Float32Array(65536), weight]);
        assert.equal(next, weight, "updates stay where they are");
        weight = next;
        if (i % 10 === 0) await new Promise(setImmediate);
        most = Math.max(most, device.pool.usedBytes);
      }
    };
    await run(2000);
    const values = await weight.read();
    assert.equal(values[0], 2001);
    // 2000 results of 256 KiB would take 500 MiB.
    assert.ok(most < 256 * 2 ** 20, `${most >> 20} MiB were in use`);
  });

  test("a buffer larger than the device takes is refused with its bytes, the limit and a cure", () => {
    const bytes = device.gpu.limits.maxStorageBufferBindingSize;
    const big = input({ shape: [bytes / 4 + 64], dtype: "f32" });
    const program = backend.compile({ inputs: [], outputs: [constant(1, big.shape, "f32")], updates: [] });
    assert.throws(
      () => program.run([]),
      /one buffer of \d+ MiB is needed, the device takes at most \d+ MiB .*a smaller batch/,
    );
  });

  test("a buffer that there is no memory for is told with its bytes and is not given out again", async () => {
    const array = device.upload(Float32Array.of(1), "f32");
    const pop = device.gpu.popErrorScope;
    device.gpu.popErrorScope = () => Promise.resolve({ message: "out of device memory" });
    const bytes = 5 * 2 ** 18;
    const broken = device.pool.take(bytes);
    device.gpu.popErrorScope = pop;
    await assert.rejects(
      array.read(),
      /no memory for a buffer of 1.25 MiB: .*one buffer takes at most .*a smaller batch/s,
    );
    device.pool.give(broken);
    assert.notEqual(device.pool.take(bytes), broken);
  });

  test("what the device finds wrong is told under the name of what did it, when values are read", async () => {
    const array = device.upload(Float32Array.of(1, 2), "f32");
    device.watch("a bad shader", () => device.gpu.createShaderModule({ code: "fn broken(" }));
    await assert.rejects(array.read(), /webgpu: a bad shader: .*WGSL/s);
    assert.deepEqual([...(await array.read())], [1, 2], "it is told once");
  });

  test("a lost device is told, and another one can be opened for new values", async () => {
    await prepareBackend("webgpu");
    setBackend("webgpu");
    const model = nn.initialize(new nn.Linear(3, 2), 1);
    const opt = optimizer(model, adamW({ lr: 0.1 }));
    const step = m.jit((x: m.Tensor) => {
      const [loss, grads] = m.valueAndGrad(model, (net) => net.forward(x).square().sum());
      opt.update(grads);
      return loss;
    });
    const x = m.tensor([[1, 2, 3]]);
    await step(x).item();
    const kept = new Map(
      await Promise.all([...model.stateDict()].map(async ([key, t]) => [key, await t.host()] as const)),
    );
    const lost = model.forward(x);
    await lost.data();

    const { device: used } = backendInUse() as WebGpuBackend;
    used.destroy();
    await used.gpu.lost;
    await assert.rejects(async () => step(x).item(), /the device was lost .*await prepareBackend\("webgpu"\)/);

    assert.equal((await prepareBackend("webgpu")).works, true);
    setBackend("webgpu");
    await assert.rejects(lost.data(), /the device was lost/);
    await assert.rejects(async () => step(x).item(), /the device was lost/);
    const fresh = nn.initialize(new nn.Linear(3, 2), 1);
    fresh.loadStateDict(kept);
    assert.equal((await fresh.forward(x).data()).length, 2);
  });
});
