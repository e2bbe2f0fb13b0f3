/** The norm of the gradient by every parameter in f32, a small and a standard model per family, in both modes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { crossEntropy, tensor, valueAndGrad } from "../../src/index.ts";
import { evaluateNow } from "../support/evaluate.ts";
import { readJson, readTensors } from "./fixture.ts";
import { generate, images, summary } from "./generated.ts";
import { on } from "./model-checks.ts";
import { gains, referenceModel } from "./reference-models.ts";

interface Facts {
  readonly batch: number;
  readonly size: number;
  /** The largest relative error of PyTorch's norms in float32. */
  readonly float32: number;
  /** By how much the norms change in float64 when the weights change as rounding to float32 changes them, where it is much. */
  readonly rounding?: number;
}
const cases = await readJson<Record<string, Facts>>("models/norms.json");
const fixture = await readTensors("models/norms.safetensors");
/** Largest relative error, unless rounding alone makes a larger one. */
const tolerance = 1e-3;

on("native", () => {
  for (const [key, { batch, size, float32, rounding }] of Object.entries(cases))
    test(`${key} ${batch} x ${size}`, async () => {
      const [name, mode] = key.split("/");
      const model = generate(await referenceModel(name), "f32", gains[name]).train(mode === "train");
      const x = images(batch, size, "f32");
      const [, gradients] = valueAndGrad(model, (m) => {
        const logits = m.forward(x);
        const labels = tensor(Int32Array.from({ length: batch }, (_, n) => (7 * n) % logits.shape[1]));
        return crossEntropy(logits, labels);
      });
      const values = evaluateNow([...gradients.values()].map((t) => t.node));
      const want = fixture.get(key)?.data ?? assert.fail(`the fixture has no ${key}`);
      assert.equal(values.length, want.length);
      const largest = Math.max(...want);
      const limit = rounding === undefined ? tolerance : 2 * Math.max(tolerance, rounding, float32);
      let worst = { parameter: "", error: 0 };
      [...gradients.keys()].forEach((parameter, i) => {
        const { norm } = summary(values[i]);
        // A bias before a normalization has no gradient but rounding.
        const error = want[i] > 1e-9 * largest ? Math.abs(norm - want[i]) / want[i] : norm / largest;
        if (!(error <= worst.error)) worst = { parameter, error };
      });
      assert.ok(worst.error <= limit, `gradient by ${worst.parameter}: relative error ${worst.error.toExponential(2)}`);
    });
});
