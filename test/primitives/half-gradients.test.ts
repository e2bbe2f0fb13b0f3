/** Gradients in bf16 and f16 against those in f32, at the same points, on the reference backend. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { backward } from "../../src/autodiff/vjp.ts";
import { reference } from "../../src/backends/reference/index.ts";
import { type DType, loadValues, storedValue } from "../../src/core/dtype.ts";
import { sizeOf } from "../../src/core/shape.ts";
import { uniform } from "../support/check-grads.ts";
import { leaf } from "../support/evaluate.ts";
import { type Case, samples } from "../support/samples.ts";

/** Units in the last place of the largest value: a rule takes a few operations, each of which rounds. */
const tolerances = { f16: 4 * 2 ** -10, bf16: 4 * 2 ** -7 };

/** Gradients in `dtype` at points, and for cotangents, that are values of `half`. */
function gradients([fn, ...points]: Case, dtype: DType, half: DType): (readonly number[])[] {
  const at = (shape: readonly number[], values: readonly number[]) =>
    leaf(
      dtype,
      shape,
      values.map((v) => storedValue(v, half)),
    );
  const inputs = points.map(({ shape, values }) => at(shape, values));
  const made = fn(...inputs);
  const outputs = "prim" in made ? [made] : made;
  const cts = outputs.map(({ shape }, i) => at(shape, uniform(sizeOf(shape), i + 1)));
  const grads = backward(outputs, cts, inputs).filter((g) => g !== null);
  for (const g of grads) assert.equal(g.dtype, dtype);
  const values = reference.compile({ inputs: [], outputs: grads, updates: [] }).run([]);
  return values.map((v) => [...loadValues(v, dtype)]);
}

for (const half of ["f16", "bf16"] as const)
  describe(`gradients in ${half}`, () => {
    for (const [name, sample] of Object.entries(samples))
      if (sample.differentiable)
        test(name, () => {
          for (const c of sample.cases) {
            const want = gradients(c, "f32", half);
            gradients(c, half, half).forEach((got, k) => {
              const scale = Math.max(...want[k].map(Math.abs), 1e-3);
              got.forEach((g, i) => {
                const off = Math.abs(g - want[k][i]) / scale;
                assert.ok(off <= tolerances[half], `gradient ${k}[${i}] is ${g}, in f32 ${want[k][i]}`);
              });
            });
          }
        });
  });
