import type { HostArray } from "../../core/dtype.ts";
import type { Key } from "../../core/rng.ts";
import { fold, Rng } from "../../core/rng.ts";
import type { ImageBlock, ImageMemory } from "../memory.ts";
import { padIndex, randomWindow } from "./crop.ts";
import { byteTable } from "./float.ts";
import type { Transform } from "./literals.ts";

type Op<Name extends Transform["op"]> = Extract<Transform, { op: Name }>;

/** Random crop, mirror and normalization in one pass from u8 memory to the f32 batch; each step may be absent. */
export interface Fusion {
  readonly crop: { readonly at: number; readonly op: Op<"randomCrop"> } | null;
  readonly flip: { readonly at: number; readonly op: Op<"horizontalFlip"> } | null;
  readonly table: Float32Array;
  readonly height: number;
  readonly width: number;
}

/** The fusion of `transforms` if they are `[randomCrop] [horizontalFlip] normalize|toFloat`, else null. */
export function fuse(transforms: readonly Transform[], { channels, height, width }: ImageBlock): Fusion | null {
  let at = 0;
  const take = <Name extends Transform["op"]>(name: Name): { at: number; op: Op<Name> } | null =>
    transforms[at]?.op === name ? { at, op: transforms[at++] as Op<Name> } : null;
  const crop = take("randomCrop");
  const flip = take("horizontalFlip");
  const scaled = take("normalize");
  if (!scaled && !take("toFloat")) return null;
  if (at !== transforms.length) return null;
  const mean = scaled?.op.mean ?? new Array<number>(channels).fill(0);
  const std = scaled?.op.std ?? new Array<number>(channels).fill(1);
  const [h, w] = crop?.op.size ?? [height, width];
  return { crop, flip, table: byteTable(channels, mean, std), height: h, width: w };
}

/** The batch `[f32 [n, c, h, w], i32 [n]]` of the samples at `indices`: bit for bit what the single steps give. */
export function fillFused(fusion: Fusion, dataset: ImageMemory, indices: Uint32Array, samplesKey: Key): HostArray[] {
  const { pixels, height, width, channels } = dataset.block;
  const { crop, flip, table, height: h, width: w } = fusion;
  const area = h * w;
  const images = new Float32Array(indices.length * channels * area);
  const labels = new Int32Array(indices.length);
  const columns = new Int32Array(w); // source offset of every output column, or -1 for the fill
  for (let n = 0; n < indices.length; n++) {
    const index = indices[n];
    labels[n] = dataset.labels[index];
    const key = fold(samplesKey, index);
    const [top, left] = crop ? randomWindow(height, width, h, w, crop.op.padding, new Rng(fold(key, crop.at))) : [0, 0];
    const mirrored = flip ? new Rng(fold(key, flip.at)).chance(flip.op.p) : false;
    const mode = crop?.op.mode ?? "constant";
    const fill = crop?.op.fill ?? 0;
    for (let x = 0; x < w; x++) {
      const source = padIndex(left + (mirrored ? w - 1 - x : x), width, mode);
      columns[x] = source < 0 ? -1 : source * channels;
    }
    const image = dataset.row(index) * height * width * channels;
    for (let y = 0; y < h; y++) {
      const source = padIndex(top + y, height, mode);
      const row = image + source * width * channels;
      for (let c = 0; c < channels; c++) {
        const to = (n * channels + c) * area + y * w;
        const byte = c * 256;
        if (source < 0) {
          images.fill(table[byte + fill], to, to + w);
          continue;
        }
        const from = row + c;
        for (let x = 0; x < w; x++) {
          const column = columns[x];
          images[to + x] = table[byte + (column < 0 ? fill : pixels[from + column])];
        }
      }
    }
  }
  return [
    { dtype: "f32", shape: [indices.length, channels, h, w], data: images },
    { dtype: "i32", shape: [indices.length], data: labels },
  ];
}
