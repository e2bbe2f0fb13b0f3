import { scaleLog } from "d3-scale";
import { type SymbolType, symbol, symbolCircle, symbolDiamond, symbolSquare, symbolTriangle } from "d3-shape";
import { html, type Markup } from "../../train/report/markup.ts";
import { bandwidth, type MachinePeaks } from "../machine.ts";
import { type Family, families, type KernelProfile } from "../profile.ts";
import { placeLabels } from "./labels.ts";
import { showFlops, showRate } from "./units.ts";

/** Units of the view box. */
const size = { width: 960, height: 560, left: 66, right: 22, top: 18, bottom: 50 };
/** Kernels below this share of the time are left out of the picture: there are many, and they do not matter. */
const leastShare = 0.001;
/** Kernels that get a number in the picture: those that take the most time. */
const numbered = 14;

const shapes: Record<Family, SymbolType> = {
  "matrix products": symbolSquare,
  convolutions: symbolCircle,
  reductions: symbolTriangle,
  "other kernels": symbolDiamond,
};

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

/**
 * The roofline (Williams, Waterman, Patterson 2009): operations per second over operations per byte, both
 * logarithmic, with what the machine can do as roofs and, where given, kernels as marks under them. The area of a mark
 * is the kernel's share of the time; numbers are the rows of the table, which is in the same order.
 */
export function rooflineChart(peaks: MachinePeaks, kernels: readonly KernelProfile[]): Markup {
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
  const decade = (t: number) => Math.abs(Math.log10(t) - Math.round(Math.log10(t))) < 1e-9;

  const lines = [
    ...flat.map(({ name, value, main }) => {
      // A flat roof begins where the steepest slope reaches it.
      const from = Math.max(x0, value / Math.max(...slopes.map((s) => s.value)));
      return {
        main,
        path: `M${round(x(main ? Math.max(x0, value / bandwidth(peaks)) : from))} ${round(y(value))}H${round(x(x1))}`,
        label: `${name}: ${showFlops(value)}`,
        at: `translate(${size.width - size.right - 4} ${round(y(value) - 6)})`,
        anchor: "end",
      };
    }),
    ...slopes.map(({ name, value, main }) => {
      const [from, to] = [
        Math.max(x0, y0 / value),
        Math.min(x1, (main ? f32.all : Math.max(f32.all, f32.one)) / value),
      ];
      const angle = (Math.atan2(y(to * value) - y(from * value), x(to) - x(from)) * 180) / Math.PI;
      // Written along the line, a little above it, from its lower end.
      const [px, py] = [x(from), y(from * value)];
      const along = (distance: number) => [
        px + distance * Math.cos((angle * Math.PI) / 180),
        py + distance * Math.sin((angle * Math.PI) / 180),
      ];
      const [lx, ly] = along(14);
      return {
        main,
        path: `M${round(px)} ${round(py)}L${round(x(to))} ${round(y(to * value))}`,
        label: `${name}: ${showRate(value)}`,
        at: `translate(${round(lx)} ${round(ly)}) rotate(${round(angle)}) translate(0 -6)`,
        anchor: "start",
      };
    }),
  ];
  const radius = (share: number) => 3.5 + 15 * Math.sqrt(share);
  const placed = marks.map((mark) => ({ ...mark, px: x(mark.x), py: y(mark.y), r: radius(mark.kernel.share) }));
  const labels = placeLabels(
    placed
      .filter(({ number }) => number <= numbered)
      .map(({ px, py, r, number }) => ({ x: px, y: py, r, text: String(number) })),
    placed.map(({ px, py, r }) => ({ x: px, y: py, r })),
    { left: size.left, right: size.width - size.right, top: size.top, bottom: size.height - size.bottom },
  );
  const used = families.filter((family) => marks.some(({ kernel }) => kernel.family === family));
  return html`<figure class="chart roofline">
<svg viewBox="0 0 ${size.width} ${size.height}" role="img" aria-label="Roofline: operations per second over operations per byte">
${x
  .ticks(10)
  .filter(decade)
  .map(
    (
      tick,
    ) => html`<g class="tick" transform="translate(${round(x(tick))} 0)"><line y1="${size.top}" y2="${size.height - size.bottom}"/><text y="${size.height - size.bottom + 18}" text-anchor="middle">${plain(tick)}</text></g>
`,
  )}${y
  .ticks(10)
  .filter(decade)
  .map(
    (
      tick,
    ) => html`<g class="tick" transform="translate(0 ${round(y(tick))})"><line x1="${size.left}" x2="${size.width - size.right}"/><text x="${size.left - 8}" dy="0.34em" text-anchor="end">${showFlops(tick).replace(/FLOP\/s$/, "")}</text></g>
`,
  )}<text class="axis" x="${(size.left + size.width - size.right) / 2}" y="${size.height - 8}" text-anchor="middle">operations per byte of memory (FLOP/byte)</text>
<text class="axis" transform="translate(15 ${(size.top + size.height - size.bottom) / 2}) rotate(-90)" text-anchor="middle">operations per second (FLOP/s)</text>
${lines.map(
  ({ path, main }) => html`<path class="${main ? "roof main" : "roof"}" d="${path}"/>
`,
)}${[...placed]
  .sort((a, b) => b.r - a.r)
  .map(
    ({
      kernel,
      number,
      px,
      py,
      r,
    }) => html`<path class="mark s${families.indexOf(kernel.family)}" transform="translate(${round(px)} ${round(py)})" d="${symbol(shapes[kernel.family], Math.PI * r * r)()}"><title>${number}: ${kernel.name} ${kernel.shape}, ${showFlops(kernel.flopsPerSecond ?? 0)}, ${(kernel.share * 100).toFixed(1)} % of the time</title></path>
`,
  )}${lines.map(
  ({
    label,
    at,
    anchor,
    main,
  }) => html`<text class="${main ? "roof-label main" : "roof-label"}" transform="${at}" text-anchor="${anchor}">${label}</text>
`,
)}${labels.map(
  ({
    text,
    x,
    y,
  }) => html`<text class="number-label" x="${round(x)}" y="${round(y)}" text-anchor="middle" dy="0.36em">${text}</text>
`,
)}</svg>
${used.length > 0 && html`<figcaption>${used.map((family) => html`<span class="key"><svg class="symbol s${families.indexOf(family)}" viewBox="-9 -9 18 18" aria-hidden="true"><path d="${symbol(shapes[family], 110)()}"/></svg>${family}</span>`)}<span>area: share of the time, from ${leastShare * 100} % · numbers: rows of the table</span></figcaption>`}
</figure>`;
}

const round = (value: number): number => Math.round(value * 10) / 10;
const plain = (value: number): string =>
  value >= 1 ? value.toLocaleString("en-US") : String(Number(value.toPrecision(1)));
