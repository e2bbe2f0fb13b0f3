import { ManabiError } from "../index.ts";

/** How much deeper, wider and finer a network gets with each unit of phi (Tan and Le 2019, equation 3). */
export interface CompoundBases {
  /** alpha: factor of the layers. */
  readonly depth: number;
  /** beta: factor of the channels. */
  readonly width: number;
  /** gamma: factor of the extent of the image. */
  readonly resolution: number;
}

/** What the paper's search found. */
export const published: CompoundBases = { depth: 1.2, width: 1.1, resolution: 1.15 };

/** Factor of the FLOPs per unit of phi: they grow with the depth and with the squares of width and resolution. */
export const flopsFactor = ({ depth, width, resolution }: CompoundBases): number =>
  depth * width ** 2 * resolution ** 2;

export interface SearchOptions {
  /** Distance of neighbouring values of each base, which start at 1 (default 0.05). */
  readonly step?: number;
  /** How far the factor of the FLOPs may be from 2 (default 0.1). */
  readonly tolerance?: number;
}

/** All bases >= 1 on a grid under which FLOPs double with each unit of phi: alpha beta^2 gamma^2 = 2, within a tolerance. */
export function feasibleBases({ step = 0.05, tolerance = 0.1 }: SearchOptions = {}): CompoundBases[] {
  if (!(step > 0 && tolerance >= 0))
    throw new ManabiError(`feasibleBases: step ${step} must be above 0 and tolerance ${tolerance} at least 0`);
  const largest = 2 + tolerance;
  const grid = Array.from({ length: Math.floor((largest - 1) / step + 1e-9) + 1 }, (_, i) => round(1 + i * step));
  return grid.flatMap((depth) =>
    grid.flatMap((width) =>
      grid
        .map((resolution) => ({ depth, width, resolution }))
        .filter((bases) => Math.abs(flopsFactor(bases) - 2) <= tolerance + 1e-9),
    ),
  );
}

/** Grid values without the noise of floating point. */
const round = (x: number): number => Math.round(x * 1e6) / 1e6;

/**
 * The grid search of the paper's step 1: of all feasible bases, those under which a small network scaled by phi = 1
 * scores best. `score` trains such a network and returns, for example, its accuracy.
 */
export async function searchBases(
  score: (bases: CompoundBases) => number | Promise<number>,
  options: SearchOptions = {},
): Promise<{ readonly bases: CompoundBases; readonly score: number }> {
  let best: { bases: CompoundBases; score: number } | null = null;
  for (const bases of feasibleBases(options)) {
    const value = await score(bases);
    if (best === null || value > best.score) best = { bases, score: value };
  }
  if (best === null)
    throw new ManabiError("searchBases: no bases are feasible; use a finer step or a larger tolerance");
  return best;
}

/** Factors of depth and width, and the extent of the image in pixels. */
export interface CompoundScale {
  readonly depth: number;
  readonly width: number;
  readonly resolution: number;
}

/** The paper's step 2: a network for about 2^phi times the FLOPs of the one for images of `base` pixels. */
export const compoundScale = (phi: number, bases: CompoundBases = published, base = 224): CompoundScale => ({
  depth: bases.depth ** phi,
  width: bases.width ** phi,
  resolution: Math.round(base * bases.resolution ** phi),
});
