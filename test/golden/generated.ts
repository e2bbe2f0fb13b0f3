/** Weights and images that scripts/oracle/resnet.py and models.py generate by the same formula. */
import { arrayType, type HostArray, type TypedArray } from "../../src/core/dtype.ts";
import { fromHost, type Tensor } from "../../src/index.ts";
import type { Module } from "../../src/nn/index.ts";
import type { Precision } from "./cases.ts";

const image = 100_000;
const probe = 100_001;

/** Element j of stream t, in [-1, 1): a 32-bit hash, exact on both sides. */
export function signed(t: number, j: number): number {
  let h = (j ^ Math.imul(t, 0x9e3779b1)) >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  h = (h ^ (h >>> 16)) >>> 0;
  return h / 2 ** 31 - 1;
}

/** Centre and half-width of the values of a tensor of the state dict. */
function range(key: string, shape: readonly number[]): [offset: number, scale: number] {
  if (key.endsWith("running_var")) return [1, 0.5];
  if (key.endsWith("running_mean") || key.endsWith("bias")) return [0, 0.2];
  if (shape.length === 1) return [1, 0.2];
  return [0, Math.sqrt(3 / shape.slice(1).reduce((a, b) => a * b, 1))];
}

function fill(shape: readonly number[], precision: Precision, value: (j: number) => number): HostArray {
  const data: TypedArray = new (arrayType(precision))(shape.reduce((a, b) => a * b, 1));
  for (let j = 0; j < data.length; j++) data[j] = Math.fround(value(j));
  return { shape, dtype: precision, data };
}

/** Tensor t of a state dict; `gain` multiplies those of more than one axis. */
export function generatedArray(t: number, key: string, shape: readonly number[], precision: Precision, gain = 1) {
  if (key.endsWith("num_batches_tracked")) return { shape, dtype: "i32", data: new Int32Array(1) } as const;
  const [offset, scale] = range(key, shape);
  const factor = shape.length > 1 ? gain * scale : scale;
  return fill(shape, precision, (j) => offset + factor * signed(t, j));
}

/** Gives a model generated weights of the precision, which then is that of its parameters. */
export function generate<M extends Module>(model: M, precision: Precision, gain = 1): M {
  [...model.variables()].forEach(([key, v], t) => {
    v.cell.node = fromHost(generatedArray(t, key, v.shape, precision, gain)).node;
  });
  return model;
}

/** [batch, 3, size, size]; each image has a contrast of its own. */
export function images(batch: number, size: number, precision: Precision): Tensor {
  const each = 3 * size * size;
  return fromHost(fill([batch, 3, size, size], precision, (j) => (Math.floor(j / each) + 1) * signed(image, j)));
}

/** Norm of a gradient and its product with a fixed direction, and the norm of that direction. */
export function summary(gradient: TypedArray): { norm: number; along: number; direction: number } {
  let [squares, along, direction] = [0, 0, 0];
  gradient.forEach((g, j) => {
    const s = signed(probe, j);
    squares += g * g;
    along += g * s;
    direction += s * s;
  });
  return { norm: Math.sqrt(squares), along, direction: Math.sqrt(direction) };
}
