import type { PadMode } from "./crop.ts";

/** Height and width in pixels; one number means a square. */
export type Size = number | readonly [height: number, width: number];

type Pair = readonly [number, number];

const pair = (size: Size): Pair => (typeof size === "number" ? [size, size] : size);

/** A transform of one image, as plain data: it can be printed, stored in a run's record and sent to a worker. */
export type Transform = ReturnType<
  | typeof centerCrop
  | typeof randomCrop
  | typeof horizontalFlip
  | typeof verticalFlip
  | typeof cutout
  | typeof randomErasing
  | typeof toFloat
  | typeof normalize
>;

/** The middle of the image; smaller images get a black border. */
export const centerCrop = (size: Size) => ({ op: "centerCrop", size: pair(size) }) as const;

/** A window anywhere in the image, after padding it by `padding` pixels on every side. */
export const randomCrop = (
  size: Size,
  { padding = 0, mode = "constant", fill = 0 }: { padding?: number; mode?: PadMode; fill?: number } = {},
) => ({ op: "randomCrop", size: pair(size), padding, mode, fill }) as const;

/** Mirrors left and right with probability `p`. */
export const horizontalFlip = (p = 0.5) => ({ op: "horizontalFlip", p }) as const;

/** Mirrors top and bottom with probability `p`. */
export const verticalFlip = (p = 0.5) => ({ op: "verticalFlip", p }) as const;

/** A square of `size` pixels painted with `value`, centred anywhere (DeVries and Taylor 2017). */
export const cutout = (size: number, value = 0) => ({ op: "cutout", size, value }) as const;

/** A random rectangle painted over (Zhong et al. 2017); `scale` is its share of the area, `ratio` height by width. */
export const randomErasing = ({
  p = 0.5,
  scale = [0.02, 0.33],
  ratio = [0.3, 3.3],
  value = 0,
}: {
  p?: number;
  scale?: Pair;
  ratio?: Pair;
  value?: number | "random";
} = {}) => ({ op: "randomErasing", p, scale, ratio, value }) as const;

/** u8 [h, w, c] to f32 [c, h, w] in [0, 1]. */
export const toFloat = () => ({ op: "toFloat" }) as const;

/** u8 [h, w, c] to f32 [c, h, w], then `(x - mean) / std` per channel with x in [0, 1]. */
export const normalize = (mean: readonly number[], std: readonly number[]) => ({ op: "normalize", mean, std }) as const;
