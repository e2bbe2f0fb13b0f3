import { centerCrop, grayscale, normalize, resize, type Transform } from "./transforms/literals.ts";

/** What the model takes. */
export interface ImageInput {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** From any picture, u8 [height, width, channels], to f32 [channels, height, width]. */
  readonly transforms: readonly Transform[];
}

/** The input of a model of `shape` [height, width, channels] and what brings pictures of any size and colour to it. */
export function imageInput(
  [height, width, channels]: readonly [height: number, width: number, channels: number],
  mean: readonly number[],
  std: readonly number[],
): ImageInput {
  const colour = channels === 1 ? [grayscale(1)] : [];
  // A square keeps the proportions of the picture and its middle; other shapes are filled whole.
  const fit = height === width ? [resize(height), centerCrop(height)] : [resize([height, width])];
  return { height, width, channels, transforms: [...colour, ...fit, normalize(mean, std)] };
}
