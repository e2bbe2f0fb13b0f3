/** Every sample of every primitive on every backend against the reference: values in each dtype, and gradients. */
import { describe, test } from "node:test";
import { backward } from "../../src/autodiff/vjp.ts";
import { type DType, isFloat } from "../../src/core/dtype.ts";
import { ShapeError } from "../../src/core/errors.ts";
import { type Shape, sizeOf } from "../../src/core/shape.ts";
import type { Node } from "../../src/graph/node.ts";
import { type Differentiable, type Point, uniform } from "../support/check-grads.ts";
import { assertConforms, backendsUnderTest, type ConformanceCase } from "../support/conform.ts";
import { leaf } from "../support/evaluate.ts";
import { dtypes, samples } from "../support/samples.ts";

/** The point in another dtype: integers get distinct values with both signs, bool gets signs. */
function leafAt(dtype: DType, { shape, values }: Point): Node {
  if (isFloat(dtype)) return leaf(dtype, shape, values);
  if (dtype === "bool")
    return leaf(
      dtype,
      shape,
      values.map((v) => (v > 0 ? 1 : 0)),
    );
  return leaf(
    dtype,
    shape,
    values.map((v) => Math.round(v * 7)),
  );
}

const cotangent = (dtype: DType, shape: Shape, seed: number): Node => leaf(dtype, shape, uniform(sizeOf(shape), seed));

const apply = (fn: Differentiable, inputs: readonly Node[]): readonly Node[] => {
  const made = fn(...inputs);
  return "prim" in made ? [made] : made;
};

/** Gradients with respect to the inputs, for random cotangents; `order` 2 differentiates them once more. */
function gradients(fn: Differentiable, inputs: readonly Node[], order: number): readonly Node[] {
  const outputs = apply(fn, inputs);
  const cts = outputs.map((out, i) => cotangent(out.dtype, out.shape, i + 1));
  const first = (...all: Node[]): Node[] => {
    const xs = all.slice(0, inputs.length);
    return backward(apply(fn, xs), all.slice(inputs.length), xs).filter((g) => g !== null);
  };
  return order === 1 ? first(...inputs, ...cts) : gradients(first, [...inputs, ...cts], order - 1);
}

function valueCases(dtype: DType): ConformanceCase[] {
  return Object.entries(samples).flatMap(([name, { cases }]) =>
    cases.flatMap(([fn, ...points], i): ConformanceCase[] => {
      try {
        const inputs = points.map((p) => leafAt(dtype, p));
        return [{ name: `${name} ${dtype} ${i}`, outputs: apply(fn, inputs) }];
      } catch (error) {
        if (error instanceof ShapeError) return []; // the primitive does not take this dtype
        throw error;
      }
    }),
  );
}

function gradientCases(dtype: DType, order: number): ConformanceCase[] {
  return Object.entries(samples).flatMap(([name, sample]) =>
    (sample.differentiable ? sample.cases : []).flatMap(([fn, ...points], i): ConformanceCase[] => {
      const inputs = points.map((p) => leafAt(dtype, p));
      const outputs = gradients(fn, inputs, order);
      return outputs.length ? [{ name: `${name} ${dtype} ${i}, order ${order}`, outputs }] : [];
    }),
  );
}

for (const backend of backendsUnderTest())
  describe(`${backend.name} against the reference`, () => {
    for (const dtype of dtypes.filter((d) => backend.dtypes.has(d)))
      test(`values in ${dtype}`, () => assertConforms(backend, valueCases(dtype)));
    for (const dtype of (["f64", "f32", "f16", "bf16"] as const).filter((d) => backend.dtypes.has(d)))
      for (const order of [1, 2])
        test(`gradients of order ${order} in ${dtype}`, () => assertConforms(backend, gradientCases(dtype, order)));
  });
