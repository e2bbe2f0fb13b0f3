import { bisector } from "d3-array";
import { type ScaleContinuousNumeric, scaleLinear, scaleLog } from "d3-scale";
import { curveMonotoneX, line } from "d3-shape";
import type { Point } from "../app/series.ts";
import { type Changing, watch } from "../app/signal.ts";
import type { Text } from "../text/en.ts";
import { language, text } from "../text/language.ts";
import { h, svg, words } from "./dom.ts";

export interface ChartSeries {
  readonly name: (t: Text) => string;
  readonly points: () => readonly Point[];
  /** Marks each point, for series of few; the others are smoothed, what is smoothed faint behind. */
  readonly dots: boolean;
}

export interface ChartOptions {
  readonly title: (t: Text) => string;
  /** `log` for losses, `share` for values from 0 to 1 of which the upper ones matter. */
  readonly scale: "log" | "share";
  /** Epochs on the horizontal axis. */
  readonly xMax: () => number;
  readonly series: readonly ChartSeries[];
  readonly format: (value: number, t: Text) => string;
  /** What the curves change with. */
  readonly changes: readonly Changing[];
}

const height = 190;
const margin = { top: 10, right: 14, bottom: 26, left: 46 };

/** Curves over the epochs. The legend tells the latest values, or those under the pointer or the keyboard's cursor. */
export function lineChart(options: ChartOptions): HTMLElement {
  const { title, series, format, changes } = options;
  const picture = svg("svg", { class: "chart", tabindex: 0, role: "img" });
  const values = series.map(() => h("b", {}));
  const legend = h(
    "figcaption",
    {},
    h("span", { class: "title" }, words(title)),
    ...series.map(({ name }, i) => h("span", { class: `key s${i}` }, words(name), " ", values[i])),
  );
  /** Position of the cursor in epochs; null shows the latest. */
  let cursor: number | null = null;
  let width = 0;

  const draw = () => {
    if (width === 0) return;
    const t = text();
    const all = series.map(({ points, dots }) => (dots ? points() : smoothed(points())));
    const [x, y] = scales(options, all, width);
    const drawing = svg("g", {}, ...axes(x, y, options, t, width));
    for (const [i, { points, dots }] of series.entries()) {
      if (!dots) drawing.append(curve(points(), "faint", false, x, y));
      drawing.append(curve(all[i], `s${i}`, dots, x, y));
    }
    const shown = all.map((points) => pointAt(points, cursor));
    if (cursor !== null) drawing.append(marks(shown, x, y));
    picture.replaceChildren(drawing);
    for (const [i, point] of shown.entries()) values[i].textContent = point ? format(point.y, t) : "–";
    const told = series.map(({ name }, i) => `${name(t)} ${values[i].textContent}`).join(", ");
    const place = cursor === null ? "" : `${t.epochAxis} ${cursor.toFixed(2)}: `;
    picture.setAttribute(
      "aria-label",
      `${title(t)}. ${place}${all.some((p) => p.length) ? told : t.chartEmpty} ${t.chartHint}`,
    );
  };
  const move = (to: number | null) => {
    cursor = to === null ? null : Math.min(Math.max(to, 0), options.xMax());
    draw();
  };
  picture.addEventListener("pointermove", ({ offsetX }) => {
    move(xScale(options, width).invert(offsetX));
  });
  picture.addEventListener("pointerleave", () => move(null));
  picture.addEventListener("blur", () => move(null));
  picture.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -0.02, ArrowRight: 0.02 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    move((cursor ?? options.xMax()) + by * options.xMax());
  });
  new ResizeObserver(([{ contentRect }]) => {
    width = contentRect.width;
    picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    draw();
  }).observe(picture);
  watch([...changes, language], draw);
  return h("figure", {}, legend, picture);
}

type Scale = ScaleContinuousNumeric<number, number>;

const xScale = ({ xMax }: Pick<ChartOptions, "xMax">, width: number): Scale =>
  scaleLinear([0, xMax()], [margin.left, width - margin.right]);

function scales(
  { scale, xMax }: ChartOptions,
  all: readonly (readonly Point[])[],
  width: number,
): [x: Scale, y: Scale] {
  const x = xScale({ xMax }, width);
  const range = [height - margin.bottom, margin.top];
  const values = all.flat().map(({ y }) => y);
  if (scale === "log") {
    const low = Math.max(1e-4, Math.min(0.1, ...values.filter((v) => v > 0)));
    return [x, scaleLog([low / 1.2, Math.max(2.5, ...values.filter(Number.isFinite))], range).clamp(true)];
  }
  // The first steps are near chance; the rest decides what is worth seeing.
  const [curve] = all;
  const settled = [...curve.slice(Math.ceil(curve.length / 10)), ...all.slice(1).flat()].map(({ y }) => y);
  const floor = curve.length ? Math.max(0, Math.floor(Math.min(0.9, ...settled) * 10) / 10) : 0;
  return [x, scaleLinear([floor, 1], range).clamp(true)];
}

function axes(x: Scale, y: Scale, { scale, xMax }: ChartOptions, t: Text, width: number): SVGElement[] {
  const parts: SVGElement[] = [];
  const wanted = [2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002, 0.0001];
  const [low, high] = y.domain();
  const ticks = scale === "log" ? wanted.filter((v) => v >= low && v <= high) : y.ticks(5);
  for (const value of ticks) {
    const at = y(value);
    parts.push(svg("line", { class: "grid", x1: margin.left, x2: width - margin.right, y1: at, y2: at }));
    const name = scale === "log" ? String(value) : t.percent(value, 0);
    parts.push(svg("text", { x: margin.left - 8, y: at, dy: "0.32em", "text-anchor": "end" }, name));
  }
  const step = Math.max(1, Math.ceil(xMax() / 6));
  for (let epoch = 0; epoch <= xMax(); epoch += step)
    parts.push(svg("text", { x: x(epoch), y: height - 8, "text-anchor": "middle" }, String(epoch)));
  const end = { x: width - margin.right, y: height - 8, "text-anchor": "end", class: "unit" };
  if (xMax() % step || xMax() === 1) parts.push(svg("text", end, t.epochAxis));
  return parts;
}

function curve(points: readonly Point[], name: string, dots: boolean, x: Scale, y: Scale): SVGElement {
  const [low] = y.domain();
  const seen = points.filter((p) => Number.isFinite(p.y) && p.y >= low);
  const path = line<Point>(
    (p) => x(p.x),
    (p) => y(p.y),
  ).curve(curveMonotoneX);
  const group = svg("g", { class: `series ${name}` }, svg("path", { d: path(seen) ?? "" }));
  if (dots) for (const p of seen) group.append(svg("circle", { cx: x(p.x), cy: y(p.y), r: 4 }));
  return group;
}

/** The exponential moving average, free of the bias of its beginning (Kingma & Ba 2015, section 3): the more points
 *  there are, the more of them it joins. */
function smoothed(points: readonly Point[]): Point[] {
  const decay = points.length / (points.length + 60);
  let [mean, weight] = [0, 0];
  return points.map(({ x, y }) => {
    mean = decay * mean + (1 - decay) * y;
    weight = decay * weight + 1 - decay;
    return { x, y: mean / weight };
  });
}

const byX = bisector((p: Point) => p.x).center;

/** The point nearest to the cursor, or the latest one. */
const pointAt = (points: readonly Point[], cursor: number | null): Point | undefined =>
  cursor === null ? points.at(-1) : points[byX(points, cursor)];

function marks(points: readonly (Point | undefined)[], x: Scale, y: Scale): SVGElement {
  const group = svg("g", { class: "cursor" });
  for (const [i, p] of points.entries()) {
    if (!p) continue;
    if (i === 0) group.append(svg("line", { x1: x(p.x), x2: x(p.x), y1: margin.top, y2: height - margin.bottom }));
    group.append(svg("circle", { class: `s${i}`, cx: x(p.x), cy: y(p.y), r: 4.5 }));
  }
  return group;
}
