import assert from "node:assert/strict";
import { backward } from "../../src/autodiff/vjp.ts";
import { reference } from "../../src/backends/reference/index.ts";
import { threefry2x32 } from "../../src/core/rng.ts";
import { type Shape, sizeOf } from "../../src/core/shape.ts";
import type { Node } from "../../src/graph/node.ts";
import { input } from "../../src/primitives/leaf.ts";

/** An f64 point at which a gradient is checked. */
export interface Point {
  readonly shape: Shape;
  readonly values: readonly number[];
}

export type Differentiable = (...inputs: Node[]) => Node | readonly Node[];

export interface CheckOptions {
  /** 2 also checks the gradient of the gradient, with respect to the inputs and the cotangents. */
  readonly order?: number;
  /** Allowed difference, relative to 1 + the derivative. */
  readonly tolerance?: number;
}

/**
 * Compares `backward` of `fn` at `points` with numeric derivatives on the reference backend, for random cotangents.
 * `fn` must be smooth within 2e-3 of the points.
 */
export function checkGrads(fn: Differentiable, points: readonly Point[], options: CheckOptions = {}): void {
  const { order = 2, tolerance = 1e-9 } = options;
  const inputs = points.map(({ shape }) => input({ shape, dtype: "f64" }));
  const made = fn(...inputs);
  const outputs = "prim" in made ? [made] : made;
  if (outputs.length === 0) return;
  const cotangents = outputs.map(({ shape }, i) => ({ shape, values: uniform(sizeOf(shape), i + 1) }));
  const cts = cotangents.map(({ shape }) => input({ shape, dtype: "f64" }));
  const grads = backward(outputs, cts, inputs);
  const derived = grads.filter((g) => g !== null);

  const arrays = [...points, ...cotangents].map(({ values }) => Float64Array.from(values));
  const gradient = reference.compile({ inputs: [...inputs, ...cts], outputs: derived, updates: [] }).run(arrays);
  const exact = grads.map((g) => (g ? gradient[derived.indexOf(g)] : null));

  const forward = reference.compile({ inputs, outputs, updates: [] });
  const at = arrays.slice(0, inputs.length);
  const value = () => {
    let sum = 0;
    forward.run(at).forEach((y, k) => {
      for (let i = 0; i < y.length; i++) sum += y[i] * cotangents[k].values[i];
    });
    return sum;
  };
  at.forEach((x, k) => {
    for (let i = 0; i < x.length; i++) {
      const numeric = derivative(value, x, i);
      const got = exact[k]?.[i] ?? 0;
      const off = Math.abs(got - numeric);
      assert.ok(
        off <= tolerance * (1 + Math.abs(numeric)),
        `d/d(input ${k})[${i}] is ${got}, numerically ${numeric} (${order} order(s) from the highest checked)`,
      );
    }
  });

  if (order > 1) {
    const next: Differentiable = (...args) => {
      const xs = args.slice(0, inputs.length);
      const again = fn(...xs);
      return backward("prim" in again ? [again] : again, args.slice(inputs.length), xs).filter((g) => g !== null);
    };
    checkGrads(next, [...points, ...cotangents], { order: order - 1, tolerance });
  }
}

/** d value / d x[i] by the five-point stencil: exact but for O(h^4). */
function derivative(value: () => number, x: Float64Array, i: number): number {
  const h = 1e-3;
  const center = x[i];
  const at = (offset: number) => {
    x[i] = center + offset;
    return value();
  };
  const slope = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
  x[i] = center;
  return slope;
}

/** `count` reproducible values in [-1, 1). */
export const uniform = (count: number, seed: number): number[] =>
  Array.from({ length: count }, (_, i) => (threefry2x32(seed, 0, i, 0)[0] >>> 0) / 2 ** 31 - 1);

/** A point with values in (low, high) that are all different, evenly spaced in random order. */
export function spread(shape: Shape, low: number, high: number, seed = 0): Point {
  const n = sizeOf(shape);
  const keys = uniform(n, seed);
  const order = keys.map((_, i) => i).sort((a, b) => keys[a] - keys[b]);
  return { shape, values: order.map((rank) => low + ((high - low) * (rank + 0.5)) / n) };
}
