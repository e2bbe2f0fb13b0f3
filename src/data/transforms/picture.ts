import type { HostArray } from "../../core/dtype.ts";
import { ManabiError } from "../../core/errors.ts";

/** An image as pixels: u8 [height, width, channels], interleaved. */
export interface Raster {
  readonly kind: "raster";
  readonly data: Uint8Array<ArrayBuffer>;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

/** An image as planes of numbers: f32 [channels, height, width]. */
export interface Planes {
  readonly kind: "planes";
  readonly data: Float32Array<ArrayBuffer>;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

export type Picture = Raster | Planes;

export const raster = (
  height: number,
  width: number,
  channels: number,
  data = new Uint8Array(height * width * channels),
): Raster => ({ kind: "raster", data, height, width, channels });

export const planes = (
  height: number,
  width: number,
  channels: number,
  data = new Float32Array(height * width * channels),
): Planes => ({ kind: "planes", data, height, width, channels });

/** Reads an array as a picture: u8 [h, w, c] or f32 [c, h, w]. */
export function toPicture({ dtype, shape, data }: HostArray): Picture {
  const [a, b, c] = shape;
  if (shape.length === 3 && dtype === "u8" && data instanceof Uint8Array) return raster(a, b, c, data);
  if (shape.length === 3 && dtype === "f32" && data instanceof Float32Array) return planes(b, c, a, data);
  throw new ManabiError(
    `transforms take an image, u8 [height, width, channels] or f32 [channels, height, width]; the sample's first field is ${dtype} [${shape.join(",")}]`,
  );
}

export function fromPicture(picture: Picture): HostArray {
  const { height, width, channels } = picture;
  return picture.kind === "raster"
    ? { dtype: "u8", shape: [height, width, channels], data: picture.data }
    : { dtype: "f32", shape: [channels, height, width], data: picture.data };
}
