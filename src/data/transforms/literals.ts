import type { WarpInterpolation } from "./affine.ts";
import type { PadMode } from "./crop.ts";
import type { Interpolation } from "./resample.ts";

/** Height and width in pixels; one number means a square. */
export type Size = number | readonly [height: number, width: number];

/** A range, low and high. */
export type Range = readonly [low: number, high: number];

const pair = (size: Size): readonly [number, number] => (typeof size === "number" ? [size, size] : size);

/** How far a colour property moves: a factor in [1 - x, 1 + x], or a range of factors. */
const around = (x: number | Range, center: number): Range => {
  if (typeof x !== "number") return x;
  return center === 0 ? [-x, x] : [Math.max(0, center - x), center + x];
};

/** A transform of one image that holds no other transform. */
type Step = ReturnType<
  | typeof resize
  | typeof centerCrop
  | typeof randomCrop
  | typeof randomResizedCrop
  | typeof horizontalFlip
  | typeof verticalFlip
  | typeof randomRotation
  | typeof randomAffine
  | typeof colorJitter
  | typeof grayscale
  | typeof randAugment
  | typeof cutout
  | typeof randomErasing
  | typeof toFloat
  | typeof normalize
>;

/** A transform of one image, as plain data: it can be printed, stored in a run's record and sent to a worker. */
export type Transform =
  | Step
  | { readonly op: "randomApply"; readonly p: number; readonly transforms: readonly Transform[] };

/** A number resizes the shorter side, a pair both sides; antialiased, equal to Pillow bit for bit. */
export const resize = (size: Size, interpolation: Interpolation = "bilinear") =>
  ({ op: "resize", size, interpolation }) as const;

/** The middle of the image; smaller images get a black border. */
export const centerCrop = (size: Size) => ({ op: "centerCrop", size: pair(size) }) as const;

/** A window anywhere in the image, after padding it by `padding` pixels on every side. */
export const randomCrop = (
  size: Size,
  { padding = 0, mode = "constant", fill = 0 }: { padding?: number; mode?: PadMode; fill?: number } = {},
) => ({ op: "randomCrop", size: pair(size), padding, mode, fill }) as const;

/** A window of random area (share of the image) and aspect ratio (width by height), resized (Szegedy et al. 2014). */
export const randomResizedCrop = (
  size: Size,
  {
    scale = [0.08, 1],
    ratio = [3 / 4, 4 / 3],
    interpolation = "bilinear",
  }: { scale?: Range; ratio?: Range; interpolation?: Interpolation } = {},
) => ({ op: "randomResizedCrop", size: pair(size), scale, ratio, interpolation }) as const;

/** Mirrors left and right with probability `p`. */
export const horizontalFlip = (p = 0.5) => ({ op: "horizontalFlip", p }) as const;

/** Mirrors top and bottom with probability `p`. */
export const verticalFlip = (p = 0.5) => ({ op: "verticalFlip", p }) as const;

/** Turns about the centre by an angle in degrees within [-degrees, degrees] or the range. */
export const randomRotation = (
  degrees: number | Range,
  { interpolation = "nearest", fill = 0 }: { interpolation?: WarpInterpolation; fill?: number } = {},
) => ({ op: "randomRotation", degrees: around(degrees, 0), interpolation, fill }) as const;

/** Turn in degrees, shift as a share of the size, scale factor and shear in degrees, all about the centre. */
export const randomAffine = ({
  degrees = 0,
  translate = [0, 0],
  scale = [1, 1],
  shear = 0,
  interpolation = "nearest",
  fill = 0,
}: {
  degrees?: number | Range;
  translate?: readonly [x: number, y: number];
  scale?: Range;
  shear?: number | Range;
  interpolation?: WarpInterpolation;
  fill?: number;
}) =>
  ({
    op: "randomAffine",
    degrees: around(degrees, 0),
    translate,
    scale,
    shear: around(shear, 0),
    interpolation,
    fill,
  }) as const;

/** Brightness, contrast and saturation by a factor around 1, hue by turns of the colour circle, in random order. */
export const colorJitter = ({
  brightness = 0,
  contrast = 0,
  saturation = 0,
  hue = 0,
}: {
  brightness?: number | Range;
  contrast?: number | Range;
  saturation?: number | Range;
  hue?: number | Range;
}) =>
  ({
    op: "colorJitter",
    brightness: around(brightness, 1),
    contrast: around(contrast, 1),
    saturation: around(saturation, 1),
    hue: around(hue, 0),
  }) as const;

/** Grey, with as many channels as before or as given. */
export const grayscale = (channels: 1 | 3 | null = null) => ({ op: "grayscale", channels }) as const;

/** `count` random operations of torchvision's set at `magnitude` of `bins` (Cubuk et al. 2019). */
export const randAugment = (
  count = 2,
  magnitude = 9,
  {
    bins = 31,
    interpolation = "nearest",
    fill = 0,
  }: { bins?: number; interpolation?: WarpInterpolation; fill?: number } = {},
) => ({ op: "randAugment", count, magnitude, bins, interpolation, fill }) as const;

/** All of `transforms` with probability `p`, else none. */
export const randomApply = (p: number, transforms: readonly Transform[]) =>
  ({ op: "randomApply", p, transforms }) as const;

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
  scale?: Range;
  ratio?: Range;
  value?: number | "random";
} = {}) => ({ op: "randomErasing", p, scale, ratio, value }) as const;

/** u8 [h, w, c] to f32 [c, h, w] in [0, 1]. */
export const toFloat = () => ({ op: "toFloat" }) as const;

/** u8 [h, w, c] to f32 [c, h, w], then `(x - mean) / std` per channel with x in [0, 1]. */
export const normalize = (mean: readonly number[], std: readonly number[]) => ({ op: "normalize", mean, std }) as const;
