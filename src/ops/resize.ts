import { ShapeError, showShape, unknownName } from "../core/errors.ts";
import { type Shape, sameShape, sizeOf } from "../core/shape.ts";
import { repeat } from "./joining.ts";
import { resample, type Taps } from "./resample.ts";
import type { Tensor } from "./tensor.ts";
import { roundedOnce } from "./wide.ts";

export type InterpolateMode = "nearest" | "linear" | "bilinear" | "trilinear" | "bicubic";

export interface InterpolateOptions {
  /** Spatial extents of the result; a number for all. Give this or `scaleFactor`. */
  readonly size?: number | Shape | null;
  /** Result over input extents, rounded down; a number for all axes. */
  readonly scaleFactor?: number | readonly number[] | null;
  readonly mode?: InterpolateMode;
  /** Whether the centres of the corner pixels are kept, rather than the corners of the image. */
  readonly alignCorners?: boolean;
}

/** Spatial axes that a mode works on; nearest takes any. */
const ranks: Record<InterpolateMode, number | null> = {
  nearest: null,
  linear: 1,
  bilinear: 2,
  trilinear: 3,
  bicubic: 2,
};

/** Positions and weights of the pixels around the (fractional) source position of an output. */
type Kernel = (source: number) => readonly (readonly [index: number, weight: number])[];

const linearKernel: Kernel = (source) => {
  const at = Math.max(0, source);
  const low = Math.floor(at);
  return [
    [low, 1 - (at - low)],
    [low + 1, at - low],
  ];
};

/** Keys 1981 with a = -0.75. */
const cubicKernel: Kernel = (source) => {
  const a = -0.75;
  const low = Math.floor(source);
  const t = source - low;
  const near = (d: number) => ((a + 2) * d - (a + 3)) * d * d + 1;
  const far = (d: number) => ((d - 5) * d + 8) * d * a - 4 * a;
  return [far(t + 1), near(t), near(1 - t), far(2 - t)].map((w, k) => [low - 1 + k, w] as const);
};

function tapsOf(kernel: Kernel, length: number, count: number, scale: number, alignCorners: boolean): Taps {
  const ratio = count > 1 ? (length - 1) / (count - 1) : 0;
  const taps = Array.from({ length: count }, (_, o) => kernel(alignCorners ? o * ratio : (o + 0.5) * scale - 0.5));
  return {
    index: taps.map((list) => list.map(([i]) => Math.min(length - 1, Math.max(0, i)))),
    weight: taps.map((list) => list.map(([, w]) => w)),
  };
}

/** x [n, c, s..] resampled to another spatial size with PyTorch's geometry. */
export const interpolate = roundedOnce((x: Tensor, options: InterpolateOptions): Tensor => {
  const { mode = "nearest", alignCorners = false } = options;
  if (!(mode in ranks)) throw unknownName("interpolate mode", mode, Object.keys(ranks));
  const rank = ranks[mode] ?? x.rank - 2;
  if (rank < 1 || x.rank !== rank + 2)
    throw new ShapeError(
      `interpolate: ${mode} takes x [n, c, ${
        ranks[mode]
          ? "dhw"
              .slice(3 - rank)
              .split("")
              .join(", ")
          : "spatial.."
      }], ` + `it is ${showShape(x.shape)}`,
    );
  if (mode === "nearest" && alignCorners)
    throw new ShapeError("interpolate: alignCorners is for linear and cubic modes, not for nearest");
  const { size, scales } = target(x, options);
  if (sameShape(size, x.shape.slice(2))) return x;
  const axes = size.map((count, i) => ({ count, axis: i + 2, length: x.shape[i + 2], scale: scales[i] }));
  // The last axis, whose gathers are the slowest, comes when there are the fewest rows.
  if (sizeOf(size) > sizeOf(x.shape.slice(2))) axes.reverse();
  return axes.reduce((y, { count, axis, length, scale }) => {
    if (count === length) return y;
    if (mode === "bicubic") return resample(y, axis, tapsOf(cubicKernel, length, count, scale, alignCorners));
    if (mode !== "nearest") return resample(y, axis, tapsOf(linearKernel, length, count, scale, alignCorners));
    const whole = count % length === 0 && Math.abs(count * scale - length) < 1e-6;
    if (whole) return repeat(y, count / length, axis);
    const index = Array.from({ length: count }, (_, o) => [Math.min(length - 1, Math.floor(o * scale))]);
    return resample(y, axis, { index, weight: index.map(() => [1]) });
  }, x);
});

/** Extents of the result, and input pixels per output pixel along each axis. */
function target(x: Tensor, { size = null, scaleFactor = null }: InterpolateOptions): { size: Shape; scales: number[] } {
  const spatial = x.shape.slice(2);
  const given = size ?? scaleFactor;
  if (given === null || (size !== null && scaleFactor !== null))
    throw new ShapeError("interpolate: give either size or scaleFactor");
  const list = typeof given === "number" ? spatial.map(() => given) : given;
  const counts = size === null ? spatial.map((d, i) => Math.floor(d * list[i])) : list;
  if (list.length !== spatial.length || counts.some((d) => !Number.isInteger(d) || d < 1))
    throw new ShapeError(
      `interpolate: ${size === null ? "scaleFactor" : "size"} ${JSON.stringify(given)} gives no spatial extents ` +
        `>= 1 for x ${showShape(x.shape)}`,
    );
  return { size: counts, scales: spatial.map((d, i) => (size === null ? 1 / list[i] : d / counts[i])) };
}
