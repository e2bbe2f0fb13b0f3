import { ManabiError, ShapeError, showShape } from "../core/errors.ts";
import { type Shape, sameShape, sizeOf, stridesOf } from "../core/shape.ts";
import { div } from "../primitives/elementwise.ts";
import { constantLike } from "../primitives/leaf.ts";
import { unfold } from "../primitives/movement.ts";
import { argmax } from "../primitives/reduce.ts";
import { type PerAxis, perAxis } from "./conv.ts";
import { arange, onesLike, zeros } from "./creation.ts";
import { customVjp } from "./grad.ts";
import { resample } from "./resample.ts";
import { Tensor, tensor, where } from "./tensor.ts";
import { roundedOnce } from "./wide.ts";

export interface MaxPoolOptions {
  /** Default: the kernel size. */
  readonly stride?: PerAxis | null;
  /** Positions around the input that never win; at most half of the kernel. */
  readonly padding?: PerAxis;
  readonly dilation?: PerAxis;
  /** Whether a last window that reaches past the end counts. */
  readonly ceilMode?: boolean;
}

export interface AvgPoolOptions {
  /** Default: the kernel size. */
  readonly stride?: PerAxis | null;
  /** Zeros around the input. */
  readonly padding?: PerAxis;
  readonly ceilMode?: boolean;
  /** Whether padding counts as elements of a window (default true). */
  readonly countIncludePad?: boolean;
  /** Divides by this instead of the number of elements. */
  readonly divisorOverride?: number | null;
}

/** Windows along one spatial axis of `length` elements: window o holds start[o] + k dilation for k < size. */
interface Windows {
  readonly length: number;
  readonly start: readonly number[];
  readonly size: number;
  readonly stride: number;
  readonly dilation: number;
}

/** The windows of every spatial axis of x, from options as in PyTorch. */
function slidingWindows(
  op: string,
  rank: number,
  x: Tensor,
  kernelSize: PerAxis,
  options: MaxPoolOptions,
): readonly Windows[] {
  checkSpatial(op, rank, x);
  const kernel = perAxis(op, "kernelSize", kernelSize, rank);
  const stride = perAxis(op, "stride", options.stride ?? kernel, rank);
  const padding = perAxis(op, "padding", options.padding ?? 0, rank, 0);
  const dilation = perAxis(op, "dilation", options.dilation ?? 1, rank);
  const round = options.ceilMode ? Math.ceil : Math.floor;
  return kernel.map((size, i) => {
    const [length, step, pad] = [x.shape[i + 2], stride[i], padding[i]];
    if (pad > size / 2)
      throw new ShapeError(`${op}: padding [${padding}] must be at most half of the kernel size [${kernel}]`);
    let count = round((length + 2 * pad - (size - 1) * dilation[i] - 1) / step) + 1;
    // The last window must start inside of the input or the padding before it.
    if (options.ceilMode && (count - 1) * step >= length + pad) count--;
    if (count < 1)
      throw new ShapeError(
        `${op}: the kernel [${kernel}] (dilation [${dilation}]) is larger than x ${showShape(x.shape)} with padding [${padding}]`,
      );
    const start = Array.from({ length: count }, (_, o) => o * step - pad);
    return { length, start, size, stride: step, dilation: dilation[i] };
  });
}

function checkSpatial(op: string, rank: number, x: Tensor): void {
  if (x.rank !== rank + 2)
    throw new ShapeError(
      `${op}: x must be [n, c, ${"dhw"
        .slice(3 - rank)
        .split("")
        .join(", ")}], it is ${showShape(x.shape)}`,
    );
}

/** Whether windows lie side by side, so that they are a reshape of x. */
const tiled = (windows: readonly Windows[]): boolean =>
  windows.every(({ start, size, stride, dilation, length }) => {
    const covered = start.length * size;
    return start[0] === 0 && stride === size && dilation === 1 && covered <= length;
  });

/** x [n, c, s..] as a view of its windows [n, c, o1, k1, o2, k2, ..], with `value` outside of x. */
function slide(x: Tensor, windows: readonly Windows[], value: number): Tensor {
  if (tiled(windows)) {
    const cropped = windows.reduce((y, { start, size }, i) => y.slice(i + 2, 0, start.length * size), x);
    return cropped.reshape([...x.shape.slice(0, 2), ...windows.flatMap(({ start, size }) => [start.length, size])]);
  }
  const around = windows.map(({ length, start, size, dilation }): [number, number] => {
    const last = (start.at(-1) as number) + (size - 1) * dilation;
    return [-start[0], Math.max(0, last + 1 - length)];
  });
  let { node } = x.pad(around, value);
  windows.forEach(({ size, stride, dilation }, i) => {
    node = unfold(node, { axis: 2 + 2 * i, size, stride, dilation });
  });
  return new Tensor(node);
}

const windowAxes = (windows: readonly Windows[]): number[] => windows.map((_, i) => 3 + 2 * i);

/** `perWindow` [n, c, o..] with axes of size 1 for the elements of the windows: [n, c, o1, 1, o2, 1, ..]. */
const spread = (perWindow: Tensor): Tensor =>
  perWindow.reshape(perWindow.shape.flatMap((d, axis) => (axis < 2 ? [d] : [d, 1])));

/** The number of every element within its window, row-major: i32 [k1, 1, k2, .., kn]. */
function tapNumbers(windows: readonly Windows[]): Tensor {
  const strides = stridesOf(windows.map(({ size }) => size));
  return windows
    .map(({ size }, i) =>
      arange(size)
        .mul(strides[i])
        .reshape([size, ...windows.slice(i + 1).flatMap(() => [1, 1])]),
    )
    .reduce((a, b) => a.add(b));
}

/** The number within its window of the first maximum, or of the first NaN: i32 [n, c, o..]. */
const firstMaxima = (view: Tensor, windows: readonly Windows[]): Tensor =>
  new Tensor(argmax(view.node, windowAxes(windows)));

/** Where in its plane tap `number` of each window is: i32 [n, c, o..], flat over the spatial axes of x. */
function planePositions(number: Tensor, windows: readonly Windows[]): Tensor {
  const strides = stridesOf(windows.map(({ length }) => length));
  let flat = zeros(number.shape, { dtype: "i32" });
  for (let i = windows.length - 1; i >= 0; i--) {
    const { start, size, dilation, length } = windows[i];
    const tap = number.mod(size);
    number = quotient(number, size);
    const first = tensor(Int32Array.from(start), [start.length, ...windows.slice(i + 1).map(() => 1)]);
    // The clamp matters to windows without a finite value, whose first position may be padding.
    const at = tap
      .mul(dilation)
      .add(first)
      .maximum(0)
      .minimum(length - 1);
    flat = flat.add(at.mul(strides[i]));
  }
  return flat;
}

/** Integer quotient of non-negative numbers. */
const quotient = (x: Tensor, by: number): Tensor => new Tensor(div(x.node, constantLike(x.node, by)));

/** `values` [n, c, o..] added at `positions` of planes with the given extents. */
function scatterPlanes(values: Tensor, positions: Tensor, spatial: Shape): Tensor {
  const [n, c] = values.shape;
  const flat = (t: Tensor) => t.reshape([n, c, -1]);
  return zeros([n, c, sizeOf(spatial)], { dtype: values.dtype })
    .scatterAdd(2, flat(positions), flat(values))
    .reshape([n, c, ...spatial]);
}

type View = (x: Tensor) => Tensor;

/** The maximum of every window, and how to find its position. The gradient goes to the first maximum. */
function maxOver(x: Tensor, windows: readonly Windows[], view: View): { values: Tensor; positions: () => Tensor } {
  const values = customVjp(
    (x: Tensor) => view(x).max(windowAxes(windows)),
    ({ ct, inputs: [x] }) => {
      const first = firstMaxima(view(x), windows);
      const spatial = x.shape.slice(2);
      if (!tiled(windows)) return [scatterPlanes(ct, planePositions(first, windows), spatial)];
      const back = where(spread(first).eq(tapNumbers(windows)), spread(ct), 0);
      const covered = windows.map(({ start, size }) => start.length * size);
      return [back.reshape([...x.shape.slice(0, 2), ...covered]).pad(covered.map((d, i) => [0, spatial[i] - d]))];
    },
  )(x);
  return { values, positions: () => planePositions(firstMaxima(view(x), windows), windows) };
}

function slidingMax(op: string, rank: number, x: Tensor, kernelSize: PerAxis, options: MaxPoolOptions) {
  const windows = slidingWindows(op, rank, x, kernelSize, options);
  return maxOver(x, windows, (x) => slide(x, windows, Number.NEGATIVE_INFINITY));
}

const maxPool =
  (rank: number) =>
  (x: Tensor, kernelSize: PerAxis, options: MaxPoolOptions = {}): Tensor =>
    slidingMax(`maxPool${rank}d`, rank, x, kernelSize, options).values;
const maxPoolWithIndices =
  (rank: number) =>
  (x: Tensor, kernelSize: PerAxis, options: MaxPoolOptions = {}): [values: Tensor, indices: Tensor] => {
    const { values, positions } = slidingMax(`maxPool${rank}d`, rank, x, kernelSize, options);
    return [values, positions()];
  };

/** Maximum of every window of x [n, c, w]. */
export const maxPool1d = maxPool(1);
/** Maximum of every window of x [n, c, h, w]. */
export const maxPool2d = maxPool(2);
/** Maximum of every window of x [n, c, d, h, w]. */
export const maxPool3d = maxPool(3);
/** `maxPool1d` and the position of each maximum in its row, i32. */
export const maxPool1dWithIndices = maxPoolWithIndices(1);
/** `maxPool2d` and the position of each maximum in its plane, flat, i32. */
export const maxPool2dWithIndices = maxPoolWithIndices(2);
/** `maxPool3d` and the position of each maximum in its volume, flat, i32. */
export const maxPool3dWithIndices = maxPoolWithIndices(3);

export interface MaxUnpoolOptions {
  readonly stride?: PerAxis | null;
  readonly padding?: PerAxis;
  /** Spatial extents of the result; default: the smallest that pools to x. */
  readonly outputSize?: Shape | null;
}

const maxUnpool =
  (rank: number) =>
  (x: Tensor, indices: Tensor, kernelSize: PerAxis, options: MaxUnpoolOptions = {}): Tensor => {
    const op = `maxUnpool${rank}d`;
    checkSpatial(op, rank, x);
    if (!sameShape(indices.shape, x.shape))
      throw new ShapeError(`${op}: indices ${showShape(indices.shape)} must have the shape of x ${showShape(x.shape)}`);
    const kernel = perAxis(op, "kernelSize", kernelSize, rank);
    const stride = perAxis(op, "stride", options.stride ?? kernel, rank);
    const padding = perAxis(op, "padding", options.padding ?? 0, rank, 0);
    const least = kernel.map((k, i) => (x.shape[i + 2] - 1) * stride[i] - 2 * padding[i] + k);
    const spatial = options.outputSize ?? least;
    if (spatial.length !== rank || spatial.some((d, i) => Math.abs(d - least[i]) >= stride[i]))
      throw new ShapeError(
        `${op}: outputSize ${showShape(spatial)} must be within the stride [${stride}] of ${showShape(least)}`,
      );
    const sums = scatterPlanes(x, indices, spatial);
    if (kernel.every((k, i) => k <= stride[i])) return sums;
    // Overlapping windows name a position more than once, with equal values.
    return sums.div(scatterPlanes(onesLike(x), indices, spatial).maximum(1));
  };

/** x [n, c, w'] at the positions that `maxPool1dWithIndices` gave, zeros elsewhere: [n, c, w]. */
export const maxUnpool1d = maxUnpool(1);
/** x [n, c, h', w'] at the positions that `maxPool2dWithIndices` gave, zeros elsewhere: [n, c, h, w]. */
export const maxUnpool2d = maxUnpool(2);
/** x [n, c, d', h', w'] at the positions that `maxPool3dWithIndices` gave, zeros elsewhere: [n, c, d, h, w]. */
export const maxUnpool3d = maxUnpool(3);

const avgPool = (rank: number) =>
  roundedOnce((x: Tensor, kernelSize: PerAxis, options: AvgPoolOptions = {}): Tensor => {
    const { countIncludePad = true, divisorOverride = null, ...sliding } = options;
    const windows = slidingWindows(`avgPool${rank}d`, rank, x, kernelSize, sliding);
    const sums = slide(x, windows, 0).sum(windowAxes(windows));
    if (divisorOverride === 0) throw new ManabiError(`avgPool${rank}d: divisorOverride must not be 0`);
    if (divisorOverride !== null) return sums.div(divisorOverride);
    const counts = windows.map(({ start, size, length }) =>
      start.map((s) =>
        countIncludePad ? Math.min(s + size, length - start[0]) - s : Math.min(s + size, length) - Math.max(s, 0),
      ),
    );
    const full = windows.map(({ size }) => size);
    if (counts.every((list, i) => list.every((c) => c === full[i]))) return sums.div(sizeOf(full));
    const divisor = counts
      .map((list, i) => tensor(list, { shape: [list.length, ...full.slice(i + 1).map(() => 1)], dtype: x.dtype }))
      .reduce((a, b) => a.mul(b));
    return sums.div(divisor);
  });

/** Mean of every window of x [n, c, w]. */
export const avgPool1d = avgPool(1);
/** Mean of every window of x [n, c, h, w]. */
export const avgPool2d = avgPool(2);
/** Mean of every window of x [n, c, d, h, w]. */
export const avgPool3d = avgPool(3);

/** Extents of an adaptive pool; null keeps the extent of the input. */
export type OutputSize = number | null | readonly (number | null)[];

/** `count` windows that cover an axis evenly: i starts at floor(i length / count), ends before ceil((i + 1) length / count). */
function evenBounds(length: number, count: number): [start: number, end: number][] {
  return Array.from({ length: count }, (_, i) => [
    Math.floor((i * length) / count),
    Math.ceil(((i + 1) * length) / count),
  ]);
}

function outputExtents(op: string, rank: number, x: Tensor, size: OutputSize): number[] {
  checkSpatial(op, rank, x);
  const list = size === null || typeof size === "number" ? x.shape.slice(2).map(() => size) : size;
  return perAxis(
    op,
    "outputSize",
    list.map((d, i) => d ?? x.shape[i + 2]),
    rank,
  );
}

const adaptiveAvgPool = (rank: number) =>
  roundedOnce((x: Tensor, outputSize: OutputSize): Tensor => {
    const counts = outputExtents(`adaptiveAvgPool${rank}d`, rank, x, outputSize);
    const spatial = x.shape.slice(2);
    if (spatial.every((d, i) => d % counts[i] === 0))
      return x
        .reshape([...x.shape.slice(0, 2), ...spatial.flatMap((d, i) => [counts[i], d / counts[i]])])
        .mean(spatial.map((_, i) => 3 + 2 * i));
    return counts.reduce((y, count, i) => {
      const bounds = evenBounds(spatial[i], count);
      const index = bounds.map(([start, end]) => Array.from({ length: end - start }, (_, k) => start + k));
      return resample(y, i + 2, { index, weight: index.map((list) => list.map(() => 1 / list.length)) });
    }, x);
  });

/** Means of evenly spread windows: x [n, c, w] -> [n, c, outputSize]. */
export const adaptiveAvgPool1d = adaptiveAvgPool(1);
/** Means of evenly spread windows: x [n, c, h, w] -> [n, c, ..outputSize]. */
export const adaptiveAvgPool2d = adaptiveAvgPool(2);
/** Means of evenly spread windows: x [n, c, d, h, w] -> [n, c, ..outputSize]. */
export const adaptiveAvgPool3d = adaptiveAvgPool(3);

function adaptiveMax(rank: number, x: Tensor, outputSize: OutputSize) {
  const counts = outputExtents(`adaptiveMaxPool${rank}d`, rank, x, outputSize);
  const bounds = counts.map((count, i) => evenBounds(x.shape[i + 2], count));
  const windows = bounds.map((list, i): Windows => {
    const size = Math.max(...list.map(([start, end]) => end - start));
    return { length: x.shape[i + 2], start: list.map(([start]) => start), size, stride: 0, dilation: 1 };
  });
  // Shorter windows repeat their last position, which changes neither the maximum nor the first place of it.
  const view = (x: Tensor) =>
    bounds.reduce((y, list, i) => {
      const at = list.map(([start, end]) =>
        Array.from({ length: windows[i].size }, (_, k) => Math.min(start + k, end - 1)),
      );
      return y.take(tensor(at, { dtype: "i32" }), 2 + 2 * i);
    }, x);
  return maxOver(x, windows, view);
}

const adaptiveMaxPool =
  (rank: number) =>
  (x: Tensor, outputSize: OutputSize): Tensor =>
    adaptiveMax(rank, x, outputSize).values;
const adaptiveMaxPoolWithIndices =
  (rank: number) =>
  (x: Tensor, outputSize: OutputSize): [values: Tensor, indices: Tensor] => {
    const { values, positions } = adaptiveMax(rank, x, outputSize);
    return [values, positions()];
  };

/** Maxima of evenly spread windows: x [n, c, w] -> [n, c, outputSize]. */
export const adaptiveMaxPool1d = adaptiveMaxPool(1);
/** Maxima of evenly spread windows: x [n, c, h, w] -> [n, c, ..outputSize]. */
export const adaptiveMaxPool2d = adaptiveMaxPool(2);
/** Maxima of evenly spread windows: x [n, c, d, h, w] -> [n, c, ..outputSize]. */
export const adaptiveMaxPool3d = adaptiveMaxPool(3);
/** `adaptiveMaxPool1d` and the position of each maximum in its row, i32. */
export const adaptiveMaxPool1dWithIndices = adaptiveMaxPoolWithIndices(1);
/** `adaptiveMaxPool2d` and the position of each maximum in its plane, flat, i32. */
export const adaptiveMaxPool2dWithIndices = adaptiveMaxPoolWithIndices(2);
/** `adaptiveMaxPool3d` and the position of each maximum in its volume, flat, i32. */
export const adaptiveMaxPool3dWithIndices = adaptiveMaxPoolWithIndices(3);

/** Mean over all spatial axes: x [n, c, s..] -> [n, c]. */
export function globalAvgPool(x: Tensor): Tensor {
  if (x.rank < 3) throw new ShapeError(`globalAvgPool: x must be [n, c, spatial..], it is ${showShape(x.shape)}`);
  return x.mean(x.shape.slice(2).map((_, i) => i + 2));
}
