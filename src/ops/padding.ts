import { ShapeError, showShape, unknownName } from "../core/errors.ts";
import { resample } from "./resample.ts";
import type { Tensor } from "./tensor.ts";

export type PadMode = "constant" | "reflect" | "replicate" | "circular";

export interface PadOptions {
  /** What stands around x: `value` (default), x mirrored without its border, its border repeated, x repeated. */
  readonly mode?: PadMode;
  readonly value?: number;
}

interface Border {
  /** Most positions that can be added to one side of `length` elements. */
  most(length: number): number;
  /** The position in x that stands at position i of the axis, which may lie outside. */
  source(i: number, length: number): number;
}

const borders: Record<Exclude<PadMode, "constant">, Border> = {
  reflect: {
    most: (length) => length - 1,
    source: (i, length) => (i < 0 ? -i : i >= length ? 2 * (length - 1) - i : i),
  },
  replicate: {
    most: (length) => (length ? Number.POSITIVE_INFINITY : 0),
    source: (i, length) => Math.min(length - 1, Math.max(0, i)),
  },
  circular: {
    most: (length) => length,
    source: (i, length) => (i + length) % length,
  },
};

/** x with [before, after] positions added to its last `amounts.length` axes. */
export function pad(
  x: Tensor,
  amounts: readonly (readonly [number, number])[],
  { mode = "constant", value = 0 }: PadOptions = {},
): Tensor {
  if (mode === "constant") return x.pad(amounts, value);
  const border = borders[mode];
  if (!border) throw unknownName("pad mode", mode, ["constant", ...Object.keys(borders)]);
  if (amounts.length > x.rank)
    throw new ShapeError(`pad: ${amounts.length} pairs given for ${showShape(x.shape)}, which has ${x.rank} axes`);
  return amounts.reduce((y, [before, after], i) => {
    const axis = x.rank - amounts.length + i;
    const length = x.shape[axis];
    if (before === 0 && after === 0) return y;
    if ([before, after].some((n) => !Number.isInteger(n) || n < 0 || n > border.most(length)))
      throw new ShapeError(
        `pad: ${mode} adds 0 to ${border.most(length)} positions to axis ${axis} of ${showShape(x.shape)}, ` +
          `got [${before}, ${after}]`,
      );
    const index = Array.from({ length: before + length + after }, (_, o) => [border.source(o - before, length)]);
    return resample(y, axis, { index, weight: index.map(() => [1]) });
  }, x);
}
