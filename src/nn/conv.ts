import { ShapeError } from "../core/errors.ts";
import {
  type ConvOptions,
  type ConvTransposeOptions,
  conv1d,
  conv2d,
  conv3d,
  convGeometry,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  type PerAxis,
  perAxis,
} from "../ops/conv.ts";
import { layerNorm } from "../ops/norm.ts";
import { type PadMode, pad } from "../ops/padding.ts";
import type { Tensor } from "../ops/tensor.ts";
import { fans, uniform } from "./init.ts";
import { Module, type Param, param } from "./module.ts";

export interface ConvLayerOptions extends ConvOptions {
  readonly bias?: boolean;
  /** What stands around the input where it is padded. */
  readonly paddingMode?: "zeros" | Exclude<PadMode, "constant">;
}

export interface ConvTransposeLayerOptions extends ConvTransposeOptions {
  readonly bias?: boolean;
}

type Parameters = [weight: Param, bias: Param | null];

/** Weight [first, second / groups, k..] and bias [out], uniform within 1 / sqrt(fan in) as in PyTorch. */
function parameters(
  [first, second, out]: readonly [number, number, number],
  kernel: readonly number[],
  { groups = 1, bias = true }: ConvLayerOptions | ConvTransposeLayerOptions,
): Parameters {
  if (first % groups || second % groups)
    throw new ShapeError(
      `convolution: channels ${first} and ${second} do not divide into ${groups} groups; both must be multiples`,
    );
  const shape = [first, second / groups, ...kernel];
  const bound = 1 / Math.sqrt(fans(shape).fanIn);
  return [param(shape, uniform(-bound, bound)), bias ? param([out], uniform(-bound, bound)) : null];
}

interface Convolution {
  readonly weight: Tensor;
  readonly bias: Tensor | null;
  readonly options: ConvLayerOptions;
}

/** Pads in the layer's mode, then convolves. */
function convolve(conv: typeof conv2d, x: Tensor, { weight, bias, options }: Convolution): Tensor {
  const { paddingMode = "zeros", ...rest } = options;
  if (paddingMode === "zeros") return conv(x, weight, bias, rest);
  const { padding } = convGeometry(`conv${weight.rank - 2}d`, weight.shape.slice(2), x.shape.slice(2), rest);
  return conv(pad(x, padding, { mode: paddingMode }), weight, bias, { ...rest, padding: 0 });
}

/** Cross-correlation over x [n, in, w]. */
export class Conv1d extends Module {
  weight: Param; // [out, in / groups, kw]
  bias: Param | null; // [out]
  readonly options: ConvLayerOptions;

  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvLayerOptions = {}) {
    super();
    const kernel = perAxis("Conv1d", "kernelSize", kernelSize, 1);
    [this.weight, this.bias] = parameters([outChannels, inChannels, outChannels], kernel, options);
    this.options = options;
  }

  forward(x: Tensor): Tensor {
    return convolve(conv1d, x, this);
  }
}

/** Cross-correlation over x [n, in, h, w]. */
export class Conv2d extends Module {
  weight: Param; // [out, in / groups, kh, kw]
  bias: Param | null; // [out]
  readonly options: ConvLayerOptions;

  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvLayerOptions = {}) {
    super();
    const kernel = perAxis("Conv2d", "kernelSize", kernelSize, 2);
    [this.weight, this.bias] = parameters([outChannels, inChannels, outChannels], kernel, options);
    this.options = options;
  }

  forward(x: Tensor): Tensor {
    return convolve(conv2d, x, this);
  }
}

export interface StdConv2dOptions extends ConvLayerOptions {
  /** Added to the variance of a filter (default 1e-6). */
  readonly eps?: number;
}

/** Cross-correlation over x [n, in, h, w] with standardized weights: each output channel's filter has mean 0 and
 *  variance 1 (Qiao et al. 2019, arXiv:1903.10520). */
export class StdConv2d extends Module {
  weight: Param; // [out, in / groups, kh, kw]
  bias: Param | null; // [out]
  readonly options: ConvLayerOptions;
  readonly eps: number;

  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: StdConv2dOptions = {}) {
    super();
    const { eps = 1e-6, ...rest } = options;
    const kernel = perAxis("StdConv2d", "kernelSize", kernelSize, 2);
    [this.weight, this.bias] = parameters([outChannels, inChannels, outChannels], kernel, rest);
    this.options = rest;
    this.eps = eps;
  }

  forward(x: Tensor): Tensor {
    const weight = layerNorm(this.weight, this.weight.shape.slice(1), { eps: this.eps });
    return convolve(conv2d, x, { weight, bias: this.bias, options: this.options });
  }
}

/** Cross-correlation over x [n, in, d, h, w]. */
export class Conv3d extends Module {
  weight: Param; // [out, in / groups, kd, kh, kw]
  bias: Param | null; // [out]
  readonly options: ConvLayerOptions;

  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvLayerOptions = {}) {
    super();
    const kernel = perAxis("Conv3d", "kernelSize", kernelSize, 3);
    [this.weight, this.bias] = parameters([outChannels, inChannels, outChannels], kernel, options);
    this.options = options;
  }

  forward(x: Tensor): Tensor {
    return convolve(conv3d, x, this);
  }
}

/** Transposed convolution over x [n, in, w]. */
export class ConvTranspose1d extends Module {
  weight: Param; // [in, out / groups, kw]
  bias: Param | null; // [out]
  readonly options: ConvTransposeLayerOptions;

  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvTransposeLayerOptions = {}) {
    super();
    const kernel = perAxis("ConvTranspose1d", "kernelSize", kernelSize, 1);
    [this.weight, this.bias] = parameters([inChannels, outChannels, outChannels], kernel, options);
    this.options = options;
  }

  forward(x: Tensor): Tensor {
    return convTranspose1d(x, this.weight, this.bias, this.options);
  }
}

/** Transposed convolution over x [n, in, h, w]. */
export class ConvTranspose2d extends Module {
  weight: Param; // [in, out / groups, kh, kw]
  bias: Param | null; // [out]
  readonly options: ConvTransposeLayerOptions;

  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvTransposeLayerOptions = {}) {
    super();
    const kernel = perAxis("ConvTranspose2d", "kernelSize", kernelSize, 2);
    [this.weight, this.bias] = parameters([inChannels, outChannels, outChannels], kernel, options);
    this.options = options;
  }

  forward(x: Tensor): Tensor {
    return convTranspose2d(x, this.weight, this.bias, this.options);
  }
}

/** Transposed convolution over x [n, in, d, h, w]. */
export class ConvTranspose3d extends Module {
  weight: Param; // [in, out / groups, kd, kh, kw]
  bias: Param | null; // [out]
  readonly options: ConvTransposeLayerOptions;

  constructor(inChannels: number, outChannels: number, kernelSize: PerAxis, options: ConvTransposeLayerOptions = {}) {
    super();
    const kernel = perAxis("ConvTranspose3d", "kernelSize", kernelSize, 3);
    [this.weight, this.bias] = parameters([inChannels, outChannels, outChannels], kernel, options);
    this.options = options;
  }

  forward(x: Tensor): Tensor {
    return convTranspose3d(x, this.weight, this.bias, this.options);
  }
}
