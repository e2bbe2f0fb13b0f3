/** Weights and images by the formula of scripts/oracle/resnet.py, so that they need not be stored. */
import { type HostArray, type Shape, type Tensor, tensor } from "../../src/index.ts";
import type { Module } from "../../src/nn/index.ts";

const size = (shape: Shape) => shape.reduce((n, d) => n * d, 1);

/** offset + scale s(t, j) for j below `count`, s pseudorandom in [-1, 1). A loop: a ResNet has 25 million of them. */
function fill<A extends Float32Array | Float64Array>(values: A, t: number, offset = 0, scale = 1): A {
  const seed = Math.imul(t, 0x9e3779b1);
  for (let j = 0; j < values.length; j++) {
    let h = j ^ seed;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    h ^= h >>> 16;
    values[j] = offset + scale * ((h >>> 0) / 2 ** 31 - 1);
  }
  return values;
}

/** s(t, j) for j below `count`. */
export const signed = (t: number, count: number): Float64Array => fill(new Float64Array(count), t);

function offsetAndScale(key: string, shape: Shape): [offset: number, scale: number] {
  if (key.endsWith("running_var")) return [1, 0.5];
  if (key.endsWith("running_mean") || key.endsWith("bias")) return [0, 0.2];
  if (shape.length === 1) return [1, 0.2];
  return [0, Math.sqrt(3 / size(shape.slice(1)))];
}

/** `model` with generated weights. */
export function generate<M extends Module>(model: M): M {
  const state = [...model.variables()].map(([key, { shape, dtype }], t): [string, HostArray] => {
    const count = size(shape);
    if (dtype !== "f32") return [key, { shape, dtype, data: new Int32Array(count) }];
    return [key, { shape, dtype, data: fill(new Float32Array(count), t, ...offsetAndScale(key, shape)) }];
  });
  model.loadStateDict(new Map(state));
  return model;
}

/** [batch, 3, extent, extent]; image n is n + 1 times as strong as noise in [-1, 1). */
export function images(batch: number, extent: number): Tensor {
  const each = 3 * extent * extent;
  const noise = signed(100_000, batch * each);
  return tensor(
    Float32Array.from(noise, (s, j) => (1 + Math.floor(j / each)) * s),
    [batch, 3, extent, extent],
  );
}

/** The labels of a generated batch. */
export const labels = (batch: number, classes: number): Tensor =>
  tensor(Int32Array.from({ length: batch }, (_, n) => (n * 7) % classes));
