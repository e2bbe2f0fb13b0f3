import { unknownName } from "../core/errors.ts";
import { BatchNorm2d, type ChannelNormOptions, Conv2d, init, type Layer, param, Sequential } from "../nn/index.ts";

/** Where the zeros around a map stand: as many before as behind (PyTorch), or, where a stride leaves an odd number, one
 *  more behind (TensorFlow's "same"). Without a stride they are alike. */
export type Padding = "symmetric" | "same";
const paddings: readonly Padding[] = ["symmetric", "same"];

/** Throws for a padding that there is not. */
export function checkPadding(family: string, padding: string): void {
  if (!(paddings as readonly string[]).includes(padding)) throw unknownName(`${family} padding`, padding, paddings);
}

export interface ConvOptions {
  readonly stride?: number;
  readonly groups?: number;
  readonly bias?: boolean;
  readonly padding?: Padding;
}

/** A k x k convolution that keeps the size but for its stride; its weight starts as in He et al. 2015 by fan-out. */
export function conv(inChannels: number, outChannels: number, kernel: number, options: ConvOptions = {}): Conv2d {
  const { stride = 1, groups = 1, bias = false, padding = "symmetric" } = options;
  const around = padding === "same" && stride > 1 ? "same" : kernel >> 1;
  const layer = new Conv2d(inChannels, outChannels, kernel, { stride, padding: around, groups, bias });
  layer.weight = param(layer.weight.shape, init.kaimingNormal({ mode: "fanOut" }));
  if (bias) layer.bias = param([outChannels], init.zeros);
  return layer;
}

export interface ConvNormOptions extends Omit<ConvOptions, "bias"> {
  readonly norm?: ChannelNormOptions;
  /** What follows the normalization; none for a linear one. */
  readonly activation?: Layer;
}

/** Convolution, batch normalization, activation, with torchvision's keys "0" and "1". */
export function convNorm(
  inChannels: number,
  outChannels: number,
  kernel: number,
  { norm, activation, ...options }: ConvNormOptions = {},
): Sequential {
  const layers = [conv(inChannels, outChannels, kernel, options), new BatchNorm2d(outChannels, norm)];
  return new Sequential(...layers, ...(activation ? [activation] : []));
}

/** The multiple of `divisor` nearest to `channels`, at most a tenth below it (Sandler et al. 2018). */
export function roundChannels(channels: number, divisor = 8): number {
  const rounded = Math.max(divisor, Math.floor((channels + divisor / 2) / divisor) * divisor);
  return rounded < 0.9 * channels ? rounded + divisor : rounded;
}
