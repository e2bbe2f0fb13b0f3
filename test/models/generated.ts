/** Weights and images by the formula of scripts/oracle/resnet.py, so that they need not be stored. */
import { type HostArray, type Shape, type Tensor, tensor } from "../../src/index.ts";
import type { Module } from "../../src/nn/index.ts";

const size = (shape: Shape) => shape.reduce((n, d) => n * d, 1);

/** s(t, j) for j below `count`: pseudorandom numbers in [-1, 1). */
export function signed(t: number, count: number): Float64Array<ArrayBuffer> {
  const seed = Math.imul(t, 0x9e3779b1);
  return Float64Array.from({ length: count }, (_, j) => {
    let h = j ^ seed;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    h ^= h >>> 16;
    return (h >>> 0) / 2 ** 31 - 1;
  });
}

function offsetAndScale(key: string, shape: Shape): [offset: number, scale: number] {
  if (key.endsWith("running_var")) return [1, 0.5];
  if (key.endsWith("running_mean") || key.endsWith("bias")) return [0, 0.2];
  if (shape.length === 1) return [1, 0.2];
  return [0, Math.sqrt(3 / size(shape.slice(1)))];
}

/** `model` with generated weights. */
export function generate<M extends Module>(model: M): M {
  const state = new Map<string, HostArray>();
  let t = 0;
  for (const [key, { shape, dtype }] of model.variables()) {
    const at = t++;
    if (dtype !== "f32") state.set(key, { shape, dtype, data: new Int32Array(size(shape)) });
    else {
      const [offset, scale] = offsetAndScale(key, shape);
      const data = Float32Array.from(signed(at, size(shape)), (s) => offset + scale * s);
      state.set(key, { shape, dtype, data });
    }
  }
  model.loadStateDict(state);
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
