import { extent } from "d3-array";
import { scaleLinear, scaleLog } from "d3-scale";
import { line } from "d3-shape";
import { type Curve, type Point, type Series, smooth, thin, wantsLogScale } from "./curves.ts";
import { count, magnitude, metricValue } from "./format.ts";
import { html, type Markup } from "./markup.ts";

/** Units of the view box; on the page the picture is as wide as its column. */
const size = { width: 440, height: 250, left: 52, right: 12, top: 10, bottom: 38 };
/** More points than this are drawn as a faint line with their moving average over it. */
const manyPoints = 60;

/** One line of a diagram. */
export interface ChartLine {
  readonly points: readonly Point[];
  /** A raw line behind it. */
  readonly faint?: readonly Point[] | null;
  /** What to say of each point where points are marked. */
  readonly marker?: ((point: Point) => string) | null;
  /** What the legend says of the line. */
  readonly legend: Markup | string;
}

/** A diagram of lines over a common x. */
export interface LineDiagram {
  /** Unique on the page. */
  readonly id: string;
  readonly title: Markup | string;
  readonly xLabel: string;
  readonly x: readonly [from: number, to: number];
  readonly y: readonly [from: number, to: number];
  readonly showX: (value: number) => string;
  /** How values of y are written: a format of d3-format, or as they are. */
  readonly yFormat?: string;
  readonly logarithmic?: boolean;
  readonly lines: readonly ChartLine[];
}

/** A diagram of up to four lines that differ in colour and dash, with axes and a legend. */
export function lineDiagram(diagram: LineDiagram): Markup {
  const { id, title, xLabel, lines, logarithmic = false, yFormat } = diagram;
  const x = scaleLinear(diagram.x, [size.left, size.width - size.right]);
  const range = [size.height - size.bottom, size.top];
  const [y0, y1] = diagram.y;
  const y = logarithmic ? scaleLog([y0, y1], range).nice() : scaleLinear([y0, y1], range).nice(5);
  const path = line<Point>(
    (p) => round(x(p.x)),
    (p) => round(y(p.y)),
  );
  const yTicks = logarithmic ? y.ticks(4).filter((tick) => isPower(tick) || y1 / y0 < 30) : y.ticks(5);
  const yLabel = y.tickFormat(5, yFormat);
  return html`<figure class="chart">
<h3 id="${id}">${title}</h3>
<svg viewBox="0 0 ${size.width} ${size.height}" role="img" aria-labelledby="${id}">
${yTicks.map(
  (
    tick,
  ) => html`<g class="tick" transform="translate(0 ${round(y(tick))})"><line x1="${size.left}" x2="${size.width - size.right}"/><text x="${size.left - 7}" dy="0.34em" text-anchor="end">${yLabel(tick)}</text></g>
`,
)}${x.ticks(5).map(
  (
    tick,
  ) => html`<text class="tick" x="${round(x(tick))}" y="${size.height - size.bottom + 17}" text-anchor="middle">${diagram.showX(tick)}</text>
`,
)}<text class="axis" x="${size.width - size.right}" y="${size.height - 4}" text-anchor="end">${xLabel}</text>
<clipPath id="${id}-area"><rect x="${size.left}" y="${size.top - 4}" width="${size.width - size.left - size.right + 4}" height="${size.height - size.bottom - size.top + 8}"/></clipPath>
<g clip-path="url(#${id}-area)">
${lines.map(
  ({ faint, points, marker }, index) => html`<g class="series s${index % 4}">${
    faint && html`<path class="faint" d="${path([...faint])}"/>`
  }<path d="${path([...points])}"/>${
    marker &&
    points.map(
      (p) => html`<circle cx="${round(x(p.x))}" cy="${round(y(p.y))}" r="2.6"><title>${marker(p)}</title></circle>`,
    )
  }</g>
`,
)}</g>
</svg>
<figcaption>${lines.map(
    ({ legend }, index) => html`<span class="key"><span class="swatch s${index % 4}"></span>${legend}</span> `,
  )}</figcaption>
</figure>`;
}

/** A line diagram of one quantity over the steps from 0 to `lastStep`, with a legend that gives the last and the best
 *  value in words. */
export function lineChart(curve: Curve, lastStep: number): Markup {
  const drawn = curve.series.map((series) => ({ ...drawSeries(series), series }));
  const visible = drawn.flatMap(({ faint, strong }) => [...(faint ? inner(faint) : []), ...strong]);
  const [y0 = 0, y1 = 1] = extent(visible, ({ y }) => y);
  const logarithmic = wantsLogScale(curve) && y0 > 0;
  const pad = y0 === y1 && !logarithmic ? Math.abs(y0) * 0.1 || 1 : 0;
  const isShare = metricValue(curve.base, 0.5).endsWith("%") && y1 <= 1;
  return lineDiagram({
    id: `chart-${curve.base.replace(/\W/g, "-")}`,
    title: html`${curve.title}${logarithmic && html` <small>logarithmic</small>`}`,
    xLabel: "step",
    x: [0, Math.max(1, lastStep)],
    y: [y0 - pad, y1 + pad],
    showX: (tick) => (tick < 10_000 ? count(tick) : magnitude(tick)),
    yFormat: isShare ? "~%" : logarithmic ? "~g" : undefined,
    logarithmic,
    lines: drawn.map(({ faint, strong, markers, series }) => ({
      points: strong,
      faint,
      marker: markers ? (p) => `step ${p.x}: ${metricValue(series.name, p.y)}` : null,
      legend: legend(series),
    })),
  });
}

interface Drawn {
  readonly faint: Point[] | null;
  readonly strong: Point[];
  readonly markers: boolean;
}

function drawSeries({ points }: Series): Drawn {
  if (points.length <= manyPoints) return { faint: null, strong: [...points], markers: true };
  // A schedule is smooth already; only a noisy line gets an average.
  const turns = points.filter((p, i) => i > 1 && (p.y - points[i - 1].y) * (points[i - 1].y - points[i - 2].y) < 0);
  if (turns.length < points.length / 10) return { faint: null, strong: thin(points, 500), markers: false };
  const averaged = smooth(points, points.length / 50);
  return { faint: thin(points, 600), strong: thin(averaged, 400), markers: false };
}

/** The middle 99 % of values: an outlier of the raw line must not flatten the rest of the picture. */
function inner(points: readonly Point[]): Point[] {
  const sorted = [...points].sort((a, b) => a.y - b.y);
  const cut = Math.floor(sorted.length * 0.005);
  return sorted.slice(cut, sorted.length - cut);
}

function legend({ name, set, points }: Series): Markup {
  const last = points[points.length - 1];
  const goal = /loss|error|perplexity/i.test(name)
    ? "min"
    : /accuracy|top\d|f1|precision|recall/i.test(name)
      ? "max"
      : null;
  const best = goal && points.reduce((a, b) => ((goal === "max" ? b.y > a.y : b.y < a.y) ? b : a));
  return html`${set && `${set}: `}last <b>${metricValue(name, last.y)}</b>${
    best && best !== last && html`, best <b>${metricValue(name, best.y)}</b> at step ${count(best.x)}`
  }`;
}

const round = (value: number): number => Math.round(value * 10) / 10;
const isPower = (value: number): boolean => Number.isInteger(Math.round(Math.log10(value) * 1e9) / 1e9);
