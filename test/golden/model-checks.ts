import assert from "node:assert/strict";
import { before, describe } from "node:test";
import { evaluate } from "../../src/backends/evaluate.ts";
import { type BackendName, backendStatus, setBackend } from "../../src/backends/select.ts";
import { crossEntropy, tensor, valueAndGrad } from "../../src/index.ts";
import type { Layer } from "../../src/nn/index.ts";
import type { Precision } from "./cases.ts";
import { readTensors, relativeError } from "./fixture.ts";
import { generate, images, summary } from "./generated.ts";

/** A model as scripts/oracle has it. */
export interface Reference {
  readonly name: string;
  readonly model: Layer;
  /** Factor of its generated weights (default 1). */
  readonly gain?: number;
}

/** Largest relative errors; activations pass through up to 161 layers. */
const tolerance = { f32: 1e-4, f64: 1e-10 };

/** Checks of models against a fixture that scripts/oracle has written. */
export async function modelChecks(path: string) {
  const fixture = await readTensors(path);
  const stored = (key: string) => {
    const found = fixture.get(key);
    assert.ok(found, `the fixture has no ${key}`);
    return found.data;
  };
  return {
    stored,

    /** Logits of a batch of two. */
    logits({ name, model, gain }: Reference, mode: "eval" | "train", size: number, precision: Precision): void {
      generate(model, precision, gain).train(mode === "train");
      const [logits] = evaluate([model.forward(images(2, size, precision)).node]);
      const error = relativeError(logits, stored(`${name}/${mode}${size}`));
      assert.ok(error <= tolerance[precision], `relative error ${error.toExponential(2)}`);
    },

    /** Loss and the gradient by every parameter of one batch in train mode. */
    gradients(
      { name, model, gain }: Reference,
      batch: number,
      size: number,
      precision: Precision,
      limit = tolerance[precision],
    ): void {
      generate(model, precision, gain).train();
      const x = images(batch, size, precision);
      const [loss, gradients] = valueAndGrad(model, (m) => {
        const logits = m.forward(x);
        const labels = tensor(Int32Array.from({ length: batch }, (_, n) => (7 * n) % logits.shape[1]));
        return crossEntropy(logits, labels);
      });
      const [lossValue, ...values] = evaluate([loss, ...gradients.values()].map((t) => t.node));

      const lossError = relativeError(lossValue, stored(`${name}/loss`));
      assert.ok(lossError <= tolerance[precision], `loss: relative error ${lossError.toExponential(2)}`);
      const want = stored(`${name}/grads`);
      assert.equal(values.length, want.length / 2, "number of gradients");
      const largest = Math.max(...values.map((_, i) => want[2 * i]));
      [...gradients.keys()].forEach((key, i) => {
        const { norm, along, direction } = summary(values[i]);
        const errors = [Math.abs(norm - want[2 * i]), Math.abs(along - want[2 * i + 1]) / direction];
        // A bias before a normalization has no gradient but rounding.
        const error = Math.max(...errors) / Math.max(want[2 * i], 1e-9 * largest);
        assert.ok(error <= limit, `gradient by ${key}: relative error ${error.toExponential(2)}`);
      });
    },
  };
}

/** Tests on a backend, where it works. */
export function on(backend: BackendName, tests: () => void): void {
  const skip = !backendStatus().find(({ name }) => name === backend)?.works;
  describe(backend, { skip }, () => {
    before(() => setBackend(backend));
    tests();
  });
}
