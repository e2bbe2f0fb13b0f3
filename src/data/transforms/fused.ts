import type { HostArray } from "../../core/dtype.ts";
import type { Key } from "../../core/rng.ts";
import { fold, Rng } from "../../core/rng.ts";
import type { ImageBlock } from "../dataset-spec.ts";
import type { ImageMemory } from "../memory.ts";
import { randomWindow } from "./crop.ts";
import { byteTable } from "./float.ts";
import { viewKey } from "./index.ts";
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
  if ((!scaled && !take("toFloat")) || at !== transforms.length) return null;
  if (crop && crop.op.mode !== "constant") return null;
  const [h, w] = crop?.op.size ?? [height, width];
  return { crop, flip, table: byteTable(channels, scaled?.op ?? null), height: h, width: w };
}

/** The fusions of several views, or null if one of them has none. */
export function fuseAll(views: readonly (readonly Transform[])[], block: ImageBlock): readonly Fusion[] | null {
  const fusions = views.flatMap((transforms) => fuse(transforms, block) ?? []);
  return fusions.length === views.length ? fusions : null;
}

/**
 * The batch `[f32 [n, c, h, w] per view, i32 [n]]` of the samples at `indices`: bit for bit what the single steps give.
 */
export function fillFused(
  fusions: readonly Fusion[],
  dataset: ImageMemory,
  indices: Uint32Array,
  samplesKey: Key,
): HostArray[] {
  const images = fusions.map((fusion, view) => fillView(fusion, view, dataset, indices, samplesKey));
  const labels = Int32Array.from(indices, (index) => dataset.labels[index]);
  return [...images, { dtype: "i32", shape: [indices.length], data: labels }];
}

function fillView(
  fusion: Fusion,
  view: number,
  dataset: ImageMemory,
  indices: Uint32Array,
  samplesKey: Key,
): HostArray {
  const { height, width, channels } = dataset.block;
  const { crop, flip, height: h, width: w } = fusion;
  const size = channels * h * w;
  const images = new Float32Array(indices.length * size);
  for (let n = 0; n < indices.length; n++) {
    const index = indices[n];
    const key = viewKey(fold(samplesKey, index), view);
    const [top, left] = crop ? randomWindow(height, width, h, w, crop.op.padding, new Rng(fold(key, crop.at))) : [0, 0];
    const mirrored = flip ? new Rng(fold(key, flip.at)).chance(flip.op.p) : false;
    fillImage(images.subarray(n * size, (n + 1) * size), fusion, dataset, dataset.row(index), top, left, mirrored);
  }
  return { dtype: "f32", shape: [indices.length, channels, h, w], data: images };
}

/** Writes one window of an image as planes; the columns that lie inside the image are [x0, x1) of the output. */
function fillImage(
  out: Float32Array,
  { crop, table, height: h, width: w }: Fusion,
  { block: { pixels, height, width, channels } }: ImageMemory,
  row: number,
  top: number,
  left: number,
  mirrored: boolean,
): void {
  const fill = crop?.op.fill ?? 0;
  const inside = [Math.max(0, -left), Math.min(w, width - left)];
  const [x0, x1] = mirrored ? [w - inside[1], w - inside[0]] : inside;
  const firstColumn = left + (mirrored ? w - 1 - x0 : x0);
  const step = mirrored ? -channels : channels;
  for (let c = 0; c < channels; c++) {
    const byte = c * 256;
    for (let y = 0, to = c * h * w; y < h; y++, to += w) {
      const sy = top + y;
      if (sy < 0 || sy >= height || x1 <= x0) {
        out.fill(table[byte + fill], to, to + w);
        continue;
      }
      if (x0 > 0) out.fill(table[byte + fill], to, to + x0);
      if (x1 < w) out.fill(table[byte + fill], to + x1, to + w);
      let from = ((row * height + sy) * width + firstColumn) * channels + c;
      for (let x = to + x0; x < to + x1; x++, from += step) out[x] = table[byte + pixels[from]];
    }
  }
}
