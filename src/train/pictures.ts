import { ManabiError } from "../core/errors.ts";
import type { Transform } from "../data/transforms/literals.ts";
import type { Tensor } from "../ops/tensor.ts";
import type { Picture } from "./report/png.ts";

/** A model's input, f32 [channels, height, width], as the picture it was before `normalize` or `toFloat`. */
export function pictureOf(
  image: ArrayLike<number>,
  [channels, height, width]: readonly number[],
  transforms: readonly Transform[],
): Picture {
  const scaling = transforms.findLast(({ op }) => op === "normalize");
  const [mean, std] = scaling?.op === "normalize" ? [scaling.mean, scaling.std] : [[0], [1]];
  const shown = channels === 1 ? 1 : 3;
  const area = height * width;
  const data = new Uint8Array(area * shown);
  for (let c = 0; c < Math.min(shown, channels); c++)
    for (let p = 0; p < area; p++) {
      const value = image[c * area + p] * std[c % std.length] + mean[c % mean.length];
      data[p * shown + c] = Math.round(255 * Math.min(1, Math.max(0, value)));
    }
  return { width, height, channels: shown, data };
}

/** A picture whose longer side is at most `side`, by averages of squares of pixels. */
export function shrink(picture: Picture, side: number): Picture {
  const factor = Math.ceil(Math.max(picture.width, picture.height) / side);
  if (factor === 1) return picture;
  const { channels } = picture;
  const [width, height] = [Math.floor(picture.width / factor), Math.floor(picture.height / factor)];
  const data = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let dy = 0; dy < factor; dy++)
          for (let dx = 0; dx < factor; dx++)
            sum += picture.data[((y * factor + dy) * picture.width + x * factor + dx) * channels + c];
        data[(y * width + x) * channels + c] = Math.round(sum / factor ** 2);
      }
  return { width, height, channels, data };
}

/** Pictures in rows of `columns` with a line of two pixels between them; all of the first one's size. */
export function contactSheet(pictures: readonly Picture[], columns: number): Picture {
  const [first] = pictures;
  if (!first) throw new ManabiError("contactSheet: there are no pictures");
  const { width, height, channels } = first;
  const gap = 2;
  const rows = Math.ceil(pictures.length / columns);
  const across = Math.min(columns, pictures.length);
  const sheet = { width: across * (width + gap) + gap, height: rows * (height + gap) + gap, channels };
  const data = new Uint8Array(sheet.width * sheet.height * channels).fill(128);
  for (const [i, picture] of pictures.entries()) {
    if (picture.width !== width || picture.height !== height || picture.channels !== channels)
      throw new ManabiError(
        `contactSheet: picture ${i} is ${picture.width}x${picture.height}x${picture.channels}, the first one ${width}x${height}x${channels}`,
      );
    const left = gap + (i % columns) * (width + gap);
    const top = gap + Math.floor(i / columns) * (height + gap);
    for (let y = 0; y < height; y++) {
      const row = picture.data.subarray(y * width * channels, (y + 1) * width * channels);
      data.set(row, ((top + y) * sheet.width + left) * channels);
    }
  }
  return { ...sheet, data };
}

/** The first images of a batch f32 [b, c, h, w] as one picture, such as to see what augmentation makes of them. */
export async function batchSheet(images: Tensor, transforms: readonly Transform[], limit = 32): Promise<Picture> {
  const [batch, ...shape] = images.shape;
  const data = await images.data();
  const size = data.length / batch;
  const pictures = Array.from({ length: Math.min(batch, limit) }, (_, i) =>
    shrink(pictureOf(data.subarray(i * size, (i + 1) * size), shape, transforms), 96),
  );
  return contactSheet(pictures, 8);
}
