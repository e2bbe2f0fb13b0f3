import { bin, max, mean, min } from "d3-array";
import type { MetricRecord } from "../metrics-log.ts";
import { metricTitle, splitName } from "./format.ts";

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Series {
  /** As logged, for example "test/loss". */
  readonly name: string;
  /** The set it was measured on, "train" where no other is named; empty for what belongs to no set, as a rate. */
  readonly set: string;
  readonly points: readonly Point[];
}

/** One diagram: the same quantity on all sets it was measured on. */
export interface Curve {
  readonly base: string;
  readonly title: string;
  readonly series: readonly Series[];
}

/** Quantities people look for come first. */
const order = (base: string): number => {
  const found = [/loss/i, /accuracy|top1/i, /^lr$/].findIndex((pattern) => pattern.test(base));
  return found < 0 ? 3 : found;
};

/** The diagrams of a metrics log, by step. Values that were not finite are left out. */
export function curvesOf(metrics: readonly MetricRecord[]): Curve[] {
  const curves = new Map<string, Map<string, Point[]>>();
  for (const { step, values } of metrics)
    for (const [name, y] of Object.entries(values)) {
      const { base } = splitName(name);
      const series = curves.get(base) ?? new Map<string, Point[]>();
      curves.set(base, series);
      const points = series.get(name) ?? [];
      series.set(name, points);
      if (Number.isFinite(y)) points.push({ x: step, y });
    }
  return [...curves]
    .map(([base, series]) => ({
      base,
      title: metricTitle(base),
      series: [...series]
        .filter(([, points]) => points.length > 0)
        .map(([name, points]) => {
          const { set, base } = splitName(name);
          return { name, set: series.size === 1 && name === base && !/loss|accuracy/i.test(base) ? "" : set, points };
        }),
    }))
    .filter(({ series }) => series.length > 0)
    .sort((a, b) => order(a.base) - order(b.base));
}

/** The mean of the `window` points around each point, fewer at the ends; centred, so that the line does not lag. */
export function smooth(points: readonly Point[], window: number): Point[] {
  const sums = [0];
  for (const { y } of points) sums.push(sums[sums.length - 1] + y);
  const half = Math.floor(window / 2);
  return points.map(({ x }, i) => {
    const [from, to] = [Math.max(0, i - half), Math.min(points.length, i + half + 1)];
    return { x, y: (sums[to] - sums[from]) / (to - from) };
  });
}

/** At most about `limit` points that show the same line. Each of the bins gives its lowest and highest point, so that
 *  a single spike stays visible. */
export function thin(points: readonly Point[], limit: number): Point[] {
  if (points.length <= limit) return [...points];
  const bins = bin<Point, number>()
    .value((p) => p.x)
    .thresholds(Math.floor(limit / 2))([...points]);
  return bins.flatMap((group) => {
    if (group.length <= 2) return group;
    const low = group.reduce((a, b) => (b.y < a.y ? b : a));
    const high = group.reduce((a, b) => (b.y > a.y ? b : a));
    return low.x <= high.x ? [low, high] : [high, low];
  });
}

/** Whether values span so many orders of magnitude that only a logarithmic axis shows them. */
export function wantsLogScale(curve: Curve): boolean {
  if (!/loss|^lr$|error|perplexity/i.test(curve.base)) return false;
  const values = curve.series.flatMap(({ points }) => smooth(points, points.length / 50).map(({ y }) => y));
  const [low, high] = [min(values) ?? 0, max(values) ?? 0];
  return low > 0 && high / low > 50 && (mean(values) ?? 0) < high / 5;
}
