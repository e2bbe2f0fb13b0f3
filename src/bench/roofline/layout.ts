import { type ScaleLogarithmic, scaleLog } from "d3-scale";
import { bandwidth, type MachinePeaks } from "../machine.ts";
import type { KernelProfile } from "../profile.ts";
import { type Disc, LabelSpace } from "./labels.ts";
import { showFlops, showRate } from "./units.ts";

/** Units of the view box. */
export const size = { width: 960, height: 560, left: 66, right: 22, top: 18, bottom: 50 };
/** Kernels below this share of the time are left out of the picture: there are many, and they do not matter. */
export const leastShare = 0.001;
/** Kernels that get a number in the picture: those that take the most time. */
const numbered = 14;

interface Roof {
  readonly name: string;
  /** FLOP/s of a flat roof, bytes/s of a slope. */
  readonly value: number;
  /** Whether it bounds all kernels, or only tells what a part of the machine can do. */
  readonly main: boolean;
}

/** Roofs of one kind without those that nearly cover one that came before. The first one is the main one. */
function apart(roofs: readonly Roof[]): Roof[] {
  const kept: Roof[] = [];
  for (const roof of roofs)
    if (kept.every(({ value }) => Math.max(value, roof.value) / Math.min(value, roof.value) > 1.35)) kept.push(roof);
  return kept;
}

/** Where everything of a roofline picture goes. */
export interface Layout {
  readonly x: ScaleLogarithmic<number, number>;
  readonly y: ScaleLogarithmic<number, number>;
  /** Roofs with what is written along them; `at` is a transformation of the text. */
  readonly roofs: readonly {
    readonly main: boolean;
    readonly path: string;
    readonly label: string;
    readonly at: string;
    readonly anchor: "start" | "end";
  }[];
  /** The main roof left of its bend, which only kernels with operands in a cache can reach. */
  readonly cacheRoof: string;
  readonly marks: readonly { readonly kernel: KernelProfile; readonly number: number; readonly disc: Disc }[];
  /** Middles of the numbers. */
  readonly numbers: readonly { readonly text: string; readonly x: number; readonly y: number }[];
}

export function layOut(peaks: MachinePeaks, kernels: readonly KernelProfile[]): Layout {
  const { threads, f32 } = peaks;
  const cores = threads === 1 ? "1 core" : `${threads} cores`;
  const flat = apart([
    { name: `f32 vectors, ${cores}`, value: f32.all, main: true },
    ...(threads > 1 ? [{ name: "f32 vectors, 1 core", value: f32.one, main: false }] : []),
    ...peaks.bf16.map(({ name, all }) => ({ name: `bf16, ${name}, ${cores}`, value: all, main: false })),
    { name: "f32 scalars, 1 core", value: peaks.scalar, main: false },
    { name: "f32 scalars, one chain", value: peaks.chain, main: false },
  ]);
  const slopes = apart([
    { name: `memory, ${cores}`, value: bandwidth(peaks), main: true },
    ...peaks.caches.map(({ level, read }) => ({ name: `L${level} cache, ${cores}`, value: read.all, main: false })),
  ]);
  const marks = kernels.flatMap((kernel, i) =>
    kernel.intensity !== null && kernel.flopsPerSecond && kernel.share >= leastShare
      ? [{ kernel, number: i + 1, x: kernel.intensity, y: kernel.flopsPerSecond }]
      : [],
  );
  const ridge = f32.all / bandwidth(peaks);
  const xs = [0.1, ridge * 12, ...marks.map(({ x }) => x)];
  // What is far below everything else would press the rest together; its marks sit on the lower edge.
  const floor = peaks.chain / 30;
  const top = Math.max(...flat.map(({ value }) => value));
  const ys = [
    Math.max(floor, Math.min(peaks.chain / 2, ...marks.map(({ y }) => y))),
    top * 1.9,
    ...marks.map(({ y }) => y),
  ];
  const x = scaleLog([Math.min(...xs) / 1.3, Math.max(...xs) * 1.3], [size.left, size.width - size.right]);
  const y = scaleLog(
    [Math.max(floor, Math.min(...ys) / 1.5), Math.max(...ys)],
    [size.height - size.bottom, size.top],
  ).clamp(true);
  const [x0, x1] = x.domain();
  const [y0] = y.domain();

  const radius = (share: number) => 3.5 + 15 * Math.sqrt(share);
  const placed = marks.map(({ kernel, number, ...mark }) => {
    const disc = { x: x(mark.x), y: y(mark.y), r: radius(kernel.share) };
    return { kernel, number, disc };
  });
  const area = {
    left: size.left,
    right: size.width - size.right,
    top: size.top - 6,
    bottom: size.height - size.bottom,
  };
  const space = new LabelSpace(
    area,
    placed.map(({ disc }) => disc),
  );
  const widthOf = (text: string, main: boolean) => text.length * (main ? 7.6 : 6.7);
  const steepest = Math.max(...slopes.map(({ value }) => value));
  const roofs = [
    ...flat.map(({ name, value, main }) => {
      // A flat roof begins where the steepest slope reaches it; the main one is thick from the main slope on.
      const from = Math.max(x0, value / (main ? bandwidth(peaks) : steepest));
      const label = `${name}: ${showFlops(value)}`;
      const width = widthOf(label, main);
      const starts = Array.from({ length: 12 }, (_, i) => ({
        x: size.width - size.right - 4 - width - i * 40,
        y: y(value) - 6,
      }));
      const at = space.along(
        starts.filter((p, i) => i === 0 || p.x > x(from)),
        0,
        width,
      );
      return {
        ...{ main, label },
        path: `M${round(x(from))} ${round(y(value))}H${round(x(x1))}`,
        at: `translate(${round(at.x + width)} ${round(at.y)})`,
        anchor: "end" as const,
      };
    }),
    ...slopes.map(({ name, value, main }) => {
      const [from, to] = [Math.max(x0, y0 / value), Math.min(x1, f32.all / value)];
      const [start, end] = [from, to].map((t) => ({ x: x(t), y: y(t * value) }));
      const angle = Math.atan2(end.y - start.y, end.x - start.x);
      const label = `${name}: ${showRate(value)}`;
      // Written along the line, a little above it, as near to its lower end as there is room.
      const starts = Array.from({ length: 12 }, (_, i) => {
        const distance = 14 + i * 25;
        return {
          x: start.x + distance * Math.cos(angle) + 6 * Math.sin(angle),
          y: start.y + distance * Math.sin(angle) - 6 * Math.cos(angle),
        };
      });
      const at = space.along(starts, angle, widthOf(label, main));
      return {
        ...{ main, label },
        path: `M${round(start.x)} ${round(start.y)}L${round(end.x)} ${round(end.y)}`,
        at: `translate(${round(at.x)} ${round(at.y)}) rotate(${round((angle * 180) / Math.PI)})`,
        anchor: "start" as const,
      };
    }),
  ];
  const bend = Math.max(x0, ridge);
  const cacheRoof = `M${round(x(Math.max(x0, f32.all / steepest)))} ${round(y(f32.all))}H${round(x(bend))}`;
  const numbers = placed.flatMap(({ number, disc }) => {
    const at = number <= numbered ? space.beside(disc, String(number)) : null;
    return at ? [{ text: String(number), ...at }] : [];
  });
  return { x, y, roofs, cacheRoof, marks: placed, numbers };
}

const round = (value: number): number => Math.round(value * 10) / 10;
