/**
 * Memory stays where it is while a step runs again and again: 784-64-10, batch 32, SGD. Short here; for ten thousand
 * steps: node dist/test/engine/leak.test.js 10000
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type BackendName, setBackend } from "../../src/backends/select.ts";
import { initialize, Linear, ReLU, Sequential } from "../../src/nn/index.ts";
import { valueAndGrad } from "../../src/ops/grad.ts";
import { jit } from "../../src/ops/jit.ts";
import { crossEntropy } from "../../src/ops/loss/index.ts";
import { type Tensor, tensor } from "../../src/ops/tensor.ts";
import { optimizer, sgd } from "../../src/optim/index.ts";
import { backendsUnderTest } from "../support/conform.ts";

const batch = 32;
const steps = Number(process.argv[2] ?? 2000);
/** Within these, V8 has let as much garbage pile up as it ever will before it collects. */
const warmUp = 10_000;

// Device memory has a test of its own.
for (const { name } of (await backendsUnderTest()).filter((b) => b.name !== "webgpu"))
  test(`resident memory does not grow on ${name}`, () => {
    setBackend(name as BackendName);
    const model = initialize(new Sequential(new Linear(784, 64), new ReLU(), new Linear(64, 10)), 1);
    const opt = optimizer(model, sgd({ lr: 0.01 }));
    const step = jit((x: Tensor, y: Tensor) => {
      const [loss, grads] = valueAndGrad(model, (m) => crossEntropy(m.forward(x), y));
      opt.update(grads);
      return loss;
    });
    const images = Float32Array.from({ length: batch * 784 }, (_, k) => ((k * 31) % 17) / 17);
    const labels = Int32Array.from({ length: batch }, (_, k) => k % 10);
    // New arrays every time, as a loader makes them.
    const next = (): [Tensor, Tensor] => [
      tensor(images.slice(), { shape: [batch, 784] }),
      tensor(labels.slice(), { shape: [batch] }),
    ];
    const run = (count: number) => {
      for (let i = 0; i < count; i++) {
        const loss = step(...next());
        if (i % 100 === 0) assert.ok(Number.isFinite(loss.itemSync()));
      }
    };
    /** The peak so far: what is resident at one moment depends on when the last collection was. */
    const peak = () => process.resourceUsage().maxRSS * 1024;
    run(warmUp);
    // Now and then garbage piles up higher than ever before, but seldom; a leak adds to every round.
    const growths: number[] = [];
    do {
      const before = peak();
      run(steps);
      growths.push(peak() / before - 1);
    } while (growths[growths.length - 1] >= 0.02 && growths.length < 4);
    const shown = growths.map((growth) => `${(100 * growth).toFixed(1)} %`).join(", ");
    assert.ok(
      growths[growths.length - 1] < 0.02,
      `resident memory grew by ${shown} in ${steps} steps each, to ${peak() >> 20} MiB`,
    );
  });
