import { setTimeout as sleep } from "node:timers/promises";
import type { Stateful } from "../../src/io/index.ts";
import { float, int, recipe } from "../../src/train/index.ts";

/** A "training" in plain numbers: weights driven by a random stream, a data cursor, an evaluation per epoch. Everything
 *  it does follows from its state, so that two runs can be compared byte for byte. */
export default recipe({
  name: "toy",
  title: "A toy run",
  args: {
    seed: int(1, "of the random stream"),
    epochs: int(3, "passes", { min: 1 }),
    steps: int(40, "steps per epoch"),
    delay: float(0, "milliseconds per step"),
    nanAt: int(-1, "step with a NaN loss"),
    nanWeightAt: int(-1, "step with a NaN weight"),
    every: int(7, "steps between checkpoints"),
  },
  smoke: { epochs: 1 },
  metric: { name: "test/accuracy", goal: "max" },
  async run({ seed, epochs, steps, delay, nanAt, nanWeightAt, every }, run) {
    const weights = new Float32Array(1000);
    let random = seed;
    let cursor = 0;
    const model: Stateful = {
      state: () => ({ weights: { dtype: "f32", shape: [1000], data: weights } }),
      restore: (state) => {
        const saved = state.weights;
        if (typeof saved === "object" && saved !== null && saved.data instanceof Float32Array) weights.set(saved.data);
      },
      layout: () => ({ weights: { dtype: "f32", shape: [1000] } }),
    };
    const data: Stateful = {
      state: () => ({ random, cursor }),
      restore: (state) => {
        random = Number(state.random);
        cursor = Number(state.cursor);
      },
    };
    await run.begin(
      { model, data },
      { every: { steps: every, epochs: 1 }, steps: epochs * steps, epochs, itemsPerStep: 10, unit: "images" },
    );
    while (run.epoch < epochs) {
      while (cursor < steps) {
        random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
        weights[random % 1000] += random / 2 ** 32;
        cursor++;
        const step = run.step + 1;
        if (step === nanWeightAt) weights[3] = Number.NaN;
        const loss = step === nanAt ? Number.NaN : (random / 2 ** 32 + 1) / step;
        run.log({ step, loss: { item: async () => loss }, lr: 0.1 });
        if (delay) await sleep(delay);
        await run.checkpointIfDue();
      }
      cursor = 0;
      run.log({ epoch: run.epoch + 1, "test/accuracy": (random % 1000) / 1000 });
      await run.sample("grid", {
        width: 2,
        height: 1,
        channels: 3,
        data: Uint8Array.of(255, 0, 0, 0, 255, random % 256),
      });
      await run.checkpointIfDue();
    }
  },
});
