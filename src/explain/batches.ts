import { ManabiError, ShapeError, showShape } from "../core/errors.ts";
import { sizeOf } from "../core/shape.ts";
import type { Tensor } from "../ops/tensor.ts";

export interface BatchOptions {
  /** Most examples that a model gets at once; default: by the size of an example. */
  readonly batchSize?: number;
}

/** Values in a batch where nothing else is asked for: of a gradient, 7 images of 3 x 224 x 224; of scores alone, 28. */
export const usualValues = { gradient: 2 ** 20, scores: 2 ** 22 } as const;

/** Examples per batch for inputs [n, ...]. */
export function batchSizeOf(
  { batchSize }: BatchOptions,
  inputs: Tensor,
  work: keyof typeof usualValues = "gradient",
): number {
  const example = sizeOf(inputs.shape.slice(1));
  if (batchSize === undefined) return Math.min(1024, Math.max(1, Math.round(usualValues[work] / example)));
  if (Number.isInteger(batchSize) && batchSize > 0) return batchSize;
  throw new ManabiError(`batchSize: a batch has an integer number of examples >= 1, got ${batchSize}`);
}

/** Number of examples of inputs [n, ...]. Throws where there is none. */
export function countOf(inputs: Tensor): number {
  if (inputs.rank >= 1 && inputs.size > 0) return inputs.shape[0];
  throw new ShapeError(`inputs: a batch [n, ...] with at least one example is needed, got ${showShape(inputs.shape)}`);
}

/** Throws unless the inputs are images [n, c, h, w]. */
export function checkImages(images: Tensor): void {
  if (images.rank === 4) return;
  throw new ShapeError(
    `images: a batch [n, channels, height, width] is needed, got ${showShape(images.shape)}; unsqueeze(0) makes one of a single image`,
  );
}

/** Examples `from` to `to` of a batch. */
export const rows = (batch: Tensor, from: number, to: number): Tensor =>
  from === 0 && to === batch.shape[0] ? batch : batch.slice(0, from, to);

/** 0 .. count in as few pieces of at most `size` as possible, of nearly equal length. */
export function spans(count: number, size: number): [from: number, to: number][] {
  const pieces = Math.ceil(count / size);
  const length = Math.ceil(count / pieces);
  return Array.from({ length: pieces }, (_, i): [number, number] => [i * length, Math.min(count, (i + 1) * length)]);
}

/** Arrays one after the other. */
export function concatenated(arrays: readonly Float64Array[]): Float64Array<ArrayBuffer> {
  const all = new Float64Array(arrays.reduce((n, { length }) => n + length, 0));
  let at = 0;
  for (const array of arrays) {
    all.set(array, at);
    at += array.length;
  }
  return all;
}
