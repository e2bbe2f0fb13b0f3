import type { HostArray } from "../../core/dtype.ts";
import { ManabiError, showShape, unknownName } from "../../core/errors.ts";
import type { Key } from "../../core/rng.ts";
import { fold, Rng } from "../../core/rng.ts";
import type { BatchTransform } from "./batch-literals.ts";

/** Images f32 [b, c, h, w] with soft labels f32 [b, classes]; partners are the neighbours in the batch. */
interface SoftBatch {
  readonly images: Float32Array<ArrayBuffer>;
  readonly labels: Float32Array<ArrayBuffer>;
  readonly shape: readonly number[];
  readonly classes: number;
}

type Op<Name extends BatchTransform["op"]> = Extract<BatchTransform, { op: Name }>;

const rules: {
  readonly [Name in BatchTransform["op"]]: (batch: SoftBatch, transform: Op<Name>, rng: Rng) => SoftBatch;
} = {
  mixup: (batch, { alpha }, rng) => {
    const share = rng.beta(alpha, alpha);
    return { ...batch, images: blend(batch.images, batch.shape[0], share), labels: mixLabels(batch, share) };
  },
  cutmix: (batch, { alpha }, rng) => {
    const [, , h, w] = batch.shape;
    const reach = Math.sqrt(1 - rng.beta(alpha, alpha)) / 2;
    const y = rng.int(h);
    const x = rng.int(w);
    const [y0, y1] = [Math.max(0, Math.trunc(y - reach * h)), Math.min(h, Math.trunc(y + reach * h))];
    const [x0, x1] = [Math.max(0, Math.trunc(x - reach * w)), Math.min(w, Math.trunc(x + reach * w))];
    const share = 1 - ((y1 - y0) * (x1 - x0)) / (h * w);
    return { ...batch, images: paste(batch, y0, y1, x0, x1), labels: mixLabels(batch, share) };
  },
  oneOf: (batch, { choices }, rng) => applyOne(batch, choices[rng.int(choices.length)], fold(rng.key, 1)),
};

function applyOne(batch: SoftBatch, transform: BatchTransform, key: Key): SoftBatch {
  const rule = rules[transform.op] as (b: SoftBatch, t: BatchTransform, rng: Rng) => SoftBatch; // same op, same literal
  return rule(batch, transform, new Rng(key));
}

/** `share` of every row plus the rest of the row before it (the first follows the last). */
function blend(rows: Float32Array, count: number, share: number): Float32Array<ArrayBuffer> {
  const size = rows.length / count;
  const out = new Float32Array(rows.length);
  for (let n = 0; n < count; n++) {
    const partner = ((n + count - 1) % count) * size;
    for (let i = 0; i < size; i++) out[n * size + i] = share * rows[n * size + i] + (1 - share) * rows[partner + i];
  }
  return out;
}

const mixLabels = ({ labels, shape }: SoftBatch, share: number): Float32Array<ArrayBuffer> =>
  blend(labels, shape[0], share);

function paste({ images, shape }: SoftBatch, y0: number, y1: number, x0: number, x1: number) {
  const [count, channels, h, w] = shape;
  const size = channels * h * w;
  const out = images.slice();
  for (let n = 0; n < count; n++) {
    const shift = (((n + count - 1) % count) - n) * size;
    for (let c = 0; c < channels; c++)
      for (let y = y0; y < y1; y++) {
        const row = n * size + (c * h + y) * w;
        out.set(images.subarray(row + x0 + shift, row + x1 + shift), row + x0);
      }
  }
  return out;
}

/** Throws when a transform does not exist. */
export function checkBatchTransforms(transforms: readonly BatchTransform[]): void {
  for (const transform of transforms) {
    if (!Object.hasOwn(rules, transform.op)) throw unknownName("batch transform", transform.op, Object.keys(rules));
    if (transform.op === "oneOf") checkBatchTransforms(transform.choices);
  }
}

/** Applies `transforms` to `[images f32 [b, c, h, w], labels i32 [b]]`; labels come out as f32 [b, classes]. */
export function applyBatchTransforms(
  transforms: readonly BatchTransform[],
  arrays: readonly HostArray[],
  classes: number,
  key: Key,
): HostArray[] {
  const [images, labels, ...rest] = arrays;
  if (!(images.data instanceof Float32Array) || images.shape.length !== 4 || labels?.dtype !== "i32" || classes === 0)
    throw new ManabiError(
      `batch transforms take images f32 [b, c, h, w] and labels i32 [b] of a set with classes; got ${arrays.map((a) => `${a.dtype} ${showShape(a.shape)}`).join(", ")} and ${classes} classes`,
    );
  const count = images.shape[0];
  const soft = new Float32Array(count * classes);
  for (let n = 0; n < count; n++) soft[n * classes + labels.data[n]] = 1;
  let batch: SoftBatch = { images: images.data, labels: soft, shape: images.shape, classes };
  for (const [i, transform] of transforms.entries()) batch = applyOne(batch, transform, fold(key, i));
  return [
    { dtype: "f32", shape: images.shape, data: batch.images },
    { dtype: "f32", shape: [count, classes], data: batch.labels },
    ...rest,
  ];
}
