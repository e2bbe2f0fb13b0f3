import type { Shape } from "../core/shape.ts";
import type { PerAxis } from "../ops/conv.ts";
import {
  type AvgPoolOptions,
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPool3d,
  adaptiveMaxPool1d,
  adaptiveMaxPool1dWithIndices,
  adaptiveMaxPool2d,
  adaptiveMaxPool2dWithIndices,
  adaptiveMaxPool3d,
  adaptiveMaxPool3dWithIndices,
  avgPool1d,
  avgPool2d,
  avgPool3d,
  globalAvgPool,
  type MaxPoolOptions,
  type MaxUnpoolOptions,
  maxPool1d,
  maxPool1dWithIndices,
  maxPool2d,
  maxPool2dWithIndices,
  maxPool3d,
  maxPool3dWithIndices,
  maxUnpool1d,
  maxUnpool2d,
  maxUnpool3d,
  type OutputSize,
} from "../ops/pool.ts";
import type { Tensor } from "../ops/tensor.ts";
import { Module } from "./module.ts";

/** What a max pool returns: the maxima, and with `returnIndices` their flat positions in each plane (i32). */
export type Pooled<I extends boolean> = I extends true ? [values: Tensor, indices: Tensor] : Tensor;

export interface MaxPoolLayerOptions<I extends boolean> extends MaxPoolOptions {
  readonly returnIndices?: I;
}

/** Maximum of every window of x [n, c, w]. */
export class MaxPool1d<I extends boolean = false> extends Module {
  readonly kernelSize: PerAxis;
  readonly options: MaxPoolLayerOptions<I>;

  constructor(kernelSize: PerAxis, options: MaxPoolLayerOptions<I> = {}) {
    super();
    this.kernelSize = kernelSize;
    this.options = options;
  }

  forward(x: Tensor): Pooled<I> {
    const pool = this.options.returnIndices ? maxPool1dWithIndices : maxPool1d;
    return pool(x, this.kernelSize, this.options) as Pooled<I>;
  }
}

/** Maximum of every window of x [n, c, h, w]. */
export class MaxPool2d<I extends boolean = false> extends Module {
  readonly kernelSize: PerAxis;
  readonly options: MaxPoolLayerOptions<I>;

  constructor(kernelSize: PerAxis, options: MaxPoolLayerOptions<I> = {}) {
    super();
    this.kernelSize = kernelSize;
    this.options = options;
  }

  forward(x: Tensor): Pooled<I> {
    const pool = this.options.returnIndices ? maxPool2dWithIndices : maxPool2d;
    return pool(x, this.kernelSize, this.options) as Pooled<I>;
  }
}

/** Maximum of every window of x [n, c, d, h, w]. */
export class MaxPool3d<I extends boolean = false> extends Module {
  readonly kernelSize: PerAxis;
  readonly options: MaxPoolLayerOptions<I>;

  constructor(kernelSize: PerAxis, options: MaxPoolLayerOptions<I> = {}) {
    super();
    this.kernelSize = kernelSize;
    this.options = options;
  }

  forward(x: Tensor): Pooled<I> {
    const pool = this.options.returnIndices ? maxPool3dWithIndices : maxPool3d;
    return pool(x, this.kernelSize, this.options) as Pooled<I>;
  }
}

/** The inverse of a max pool on [n, c, w]: values at the positions they came from, zeros elsewhere. */
export class MaxUnpool1d extends Module {
  readonly kernelSize: PerAxis;
  readonly options: Omit<MaxUnpoolOptions, "outputSize">;

  constructor(kernelSize: PerAxis, options: Omit<MaxUnpoolOptions, "outputSize"> = {}) {
    super();
    this.kernelSize = kernelSize;
    this.options = options;
  }

  /** `outputSize` chooses among the spatial extents that pool to x. */
  forward(x: Tensor, indices: Tensor, outputSize: Shape | null = null): Tensor {
    return maxUnpool1d(x, indices, this.kernelSize, { ...this.options, outputSize });
  }
}

/** The inverse of a max pool on [n, c, h, w]: values at the positions they came from, zeros elsewhere. */
export class MaxUnpool2d extends Module {
  readonly kernelSize: PerAxis;
  readonly options: Omit<MaxUnpoolOptions, "outputSize">;

  constructor(kernelSize: PerAxis, options: Omit<MaxUnpoolOptions, "outputSize"> = {}) {
    super();
    this.kernelSize = kernelSize;
    this.options = options;
  }

  /** `outputSize` chooses among the spatial extents that pool to x. */
  forward(x: Tensor, indices: Tensor, outputSize: Shape | null = null): Tensor {
    return maxUnpool2d(x, indices, this.kernelSize, { ...this.options, outputSize });
  }
}

/** The inverse of a max pool on [n, c, d, h, w]: values at the positions they came from, zeros elsewhere. */
export class MaxUnpool3d extends Module {
  readonly kernelSize: PerAxis;
  readonly options: Omit<MaxUnpoolOptions, "outputSize">;

  constructor(kernelSize: PerAxis, options: Omit<MaxUnpoolOptions, "outputSize"> = {}) {
    super();
    this.kernelSize = kernelSize;
    this.options = options;
  }

  /** `outputSize` chooses among the spatial extents that pool to x. */
  forward(x: Tensor, indices: Tensor, outputSize: Shape | null = null): Tensor {
    return maxUnpool3d(x, indices, this.kernelSize, { ...this.options, outputSize });
  }
}

/** Mean of every window of x [n, c, w]. */
export class AvgPool1d extends Module {
  readonly kernelSize: PerAxis;
  readonly options: AvgPoolOptions;

  constructor(kernelSize: PerAxis, options: AvgPoolOptions = {}) {
    super();
    this.kernelSize = kernelSize;
    this.options = options;
  }

  forward(x: Tensor): Tensor {
    return avgPool1d(x, this.kernelSize, this.options);
  }
}

/** Mean of every window of x [n, c, h, w]. */
export class AvgPool2d extends Module {
  readonly kernelSize: PerAxis;
  readonly options: AvgPoolOptions;

  constructor(kernelSize: PerAxis, options: AvgPoolOptions = {}) {
    super();
    this.kernelSize = kernelSize;
    this.options = options;
  }

  forward(x: Tensor): Tensor {
    return avgPool2d(x, this.kernelSize, this.options);
  }
}

/** Mean of every window of x [n, c, d, h, w]. */
export class AvgPool3d extends Module {
  readonly kernelSize: PerAxis;
  readonly options: AvgPoolOptions;

  constructor(kernelSize: PerAxis, options: AvgPoolOptions = {}) {
    super();
    this.kernelSize = kernelSize;
    this.options = options;
  }

  forward(x: Tensor): Tensor {
    return avgPool3d(x, this.kernelSize, this.options);
  }
}

/** Means of evenly spread windows of x [n, c, w]: its spatial extents become `outputSize`. */
export class AdaptiveAvgPool1d extends Module {
  readonly outputSize: OutputSize;

  constructor(outputSize: OutputSize) {
    super();
    this.outputSize = outputSize;
  }

  forward(x: Tensor): Tensor {
    return adaptiveAvgPool1d(x, this.outputSize);
  }
}

/** Means of evenly spread windows of x [n, c, h, w]: its spatial extents become `outputSize`. */
export class AdaptiveAvgPool2d extends Module {
  readonly outputSize: OutputSize;

  constructor(outputSize: OutputSize) {
    super();
    this.outputSize = outputSize;
  }

  forward(x: Tensor): Tensor {
    return adaptiveAvgPool2d(x, this.outputSize);
  }
}

/** Means of evenly spread windows of x [n, c, d, h, w]: its spatial extents become `outputSize`. */
export class AdaptiveAvgPool3d extends Module {
  readonly outputSize: OutputSize;

  constructor(outputSize: OutputSize) {
    super();
    this.outputSize = outputSize;
  }

  forward(x: Tensor): Tensor {
    return adaptiveAvgPool3d(x, this.outputSize);
  }
}

/** Maxima of evenly spread windows of x [n, c, w]: its spatial extents become `outputSize`. */
export class AdaptiveMaxPool1d<I extends boolean = false> extends Module {
  readonly outputSize: OutputSize;
  readonly returnIndices: boolean;

  constructor(outputSize: OutputSize, options: { readonly returnIndices?: I } = {}) {
    super();
    this.outputSize = outputSize;
    this.returnIndices = options.returnIndices ?? false;
  }

  forward(x: Tensor): Pooled<I> {
    const pool = this.returnIndices ? adaptiveMaxPool1dWithIndices : adaptiveMaxPool1d;
    return pool(x, this.outputSize) as Pooled<I>;
  }
}

/** Maxima of evenly spread windows of x [n, c, h, w]: its spatial extents become `outputSize`. */
export class AdaptiveMaxPool2d<I extends boolean = false> extends Module {
  readonly outputSize: OutputSize;
  readonly returnIndices: boolean;

  constructor(outputSize: OutputSize, options: { readonly returnIndices?: I } = {}) {
    super();
    this.outputSize = outputSize;
    this.returnIndices = options.returnIndices ?? false;
  }

  forward(x: Tensor): Pooled<I> {
    const pool = this.returnIndices ? adaptiveMaxPool2dWithIndices : adaptiveMaxPool2d;
    return pool(x, this.outputSize) as Pooled<I>;
  }
}

/** Maxima of evenly spread windows of x [n, c, d, h, w]: its spatial extents become `outputSize`. */
export class AdaptiveMaxPool3d<I extends boolean = false> extends Module {
  readonly outputSize: OutputSize;
  readonly returnIndices: boolean;

  constructor(outputSize: OutputSize, options: { readonly returnIndices?: I } = {}) {
    super();
    this.outputSize = outputSize;
    this.returnIndices = options.returnIndices ?? false;
  }

  forward(x: Tensor): Pooled<I> {
    const pool = this.returnIndices ? adaptiveMaxPool3dWithIndices : adaptiveMaxPool3d;
    return pool(x, this.outputSize) as Pooled<I>;
  }
}

/** Mean over all spatial axes: [n, c, s..] -> [n, c]. */
export class GlobalAvgPool extends Module {
  forward(x: Tensor): Tensor {
    return globalAvgPool(x);
  }
}
