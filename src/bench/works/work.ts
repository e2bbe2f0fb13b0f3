import { jit } from "../../ops/jit.ts";
import { type Tensor, tensor } from "../../ops/tensor.ts";
import { variable } from "../../ops/variable.ts";

export const groups = ["gemm", "conv", "depthwise", "train", "inference", "memory"] as const;

/** One piece of work that is measured on both sides: `request` is what a peer is told. */
export interface Work {
  readonly group: (typeof groups)[number];
  readonly name: string;
  readonly request: Readonly<Record<string, string | number>>;
  /** Seconds of a run, or the most memory that a fresh process held after a few of them. */
  readonly measure: "seconds" | "bytes";
  /** Multiplications and additions of one run, for GFLOP/s; null where a rate says nothing. */
  readonly flops: number | null;
  /** Makes a function that runs the work once, to the end. */
  prepare(): Promise<() => void>;
}

/** Reproducible values in [-0.5, 0.5). */
export function values(shape: readonly number[], seed = 1): Tensor {
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
  let state = seed >>> 0;
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = state / 2 ** 32 - 0.5;
  }
  return tensor(data, { shape });
}

/** Whole numbers below `classes` in a fixed order. */
export const labels = (shape: readonly number[], classes: number): Tensor =>
  tensor(
    Int32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => (i * 7) % classes),
    { shape },
  );

/**
 * `fn` as a step that writes its result in place, as a layer inside of a program does; a fresh result per call would
 * time the operating system's zeroing of pages.
 */
export function inPlace(fn: (...inputs: Tensor[]) => Tensor, ...inputs: Tensor[]): () => void {
  const out = variable(fn(...inputs));
  const step = jit((...inputs: Tensor[]) => out.assign(fn(...inputs)));
  return () => step(...inputs);
}
