import { type ScaleLinear, scaleLinear } from "d3-scale";
import { interpolatePlasma } from "d3-scale-chromatic";
import { ManabiError } from "../../core/errors.ts";
import { showNumber } from "../../train/progress.ts";
import { html, type Markup } from "../../train/report/markup.ts";
import { colourTable } from "../draw.ts";
import type { ShapValues } from "../shap/shap-values.ts";

export interface PlotOptions {
  readonly title?: string;
  /** Features shown, the most important ones; the rest are summed up or left out. Default 12. */
  readonly limit?: number;
  /** What the values are of, such as "log-odds of churn". */
  readonly output?: string;
}

export const colours = {
  ink: "#1c2026",
  line: "#d5dae0",
  missing: "#9aa4b0",
  neutral: "#3b6ea5",
  /** Speaks for the output, and against it: the ends of the diverging map. */
  positive: ofDiverging(0.97),
  negative: ofDiverging(0.08),
} as const;

function ofDiverging(at: number): string {
  const table = colourTable("purple-orange");
  return `rgb(${[...table.subarray(Math.round(at * 255) * 3, Math.round(at * 255) * 3 + 3)].join(",")})`;
}

/** The colour of a value by its sign. */
export const signColour = (value: number): string => (value < 0 ? colours.negative : colours.positive);

/** Low to high values of a feature, 0 to 1; without the palest part, which white paper swallows. */
export const levelColour = (level: number): string => interpolatePlasma(0.86 * level);

/** A picture that stands on its own: white ground, its own fonts and colours, so that it looks the same in a page, in a
 *  viewer and in print. */
export function svgPicture(width: number, height: number, label: string, body: Markup | readonly Markup[]): string {
  return html`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${label}" font-family="system-ui, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif" font-size="13" fill="${colours.ink}">
<rect width="${width}" height="${height}" fill="#fff"/>
${body}</svg>
`.text;
}

interface TextStyle {
  readonly anchor?: "start" | "middle" | "end";
  readonly fill?: string;
  readonly size?: number;
  readonly weight?: number;
  /** Degrees, clockwise, around the point. */
  readonly turn?: number;
}

/** Words centred on the height y. */
export function text(x: number, y: number, words: string | number, style: TextStyle = {}): Markup {
  const { anchor = "start", fill = colours.ink, size = 13, weight = 400, turn = 0 } = style;
  const place = `translate(${round(x)} ${round(y)})${turn ? ` rotate(${turn})` : ""}`;
  return html`<text transform="${place}" dy="0.34em" text-anchor="${anchor}" fill="${fill}" font-size="${size}" font-weight="${weight}">${words}</text>
`;
}

/** Labels of axes. */
export const soft = { fill: "#59626d", size: 12 } as const;

export const round = (value: number): number => Math.round(value * 100) / 100;

/** "+0.25" or "−0.25", with a minus as wide as the plus. */
export const signed = (value: number): string => (value > 0 ? `+${showNumber(value)}` : plain(value));

/** With a minus sign instead of a hyphen. */
export const plain = (value: number): string => showNumber(value).replace("-", "\u2212");

/** At most `most` characters. */
export const shortened = (words: string, most = 30): string =>
  words.length > most ? `${words.slice(0, most - 1)}\u2026` : words;

/** About how wide words are. */
export const widthOf = (words: string, size = 13): number => words.length * size * 0.56;

/** A linear scale whose ends are round numbers, around 0 where `values` are about 0. */
export function axisScale(values: Iterable<number>, from: number, to: number): ScaleLinear<number, number> {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  if (!(low <= high)) [low, high] = [0, 1];
  const pad = low === high ? Math.abs(low) * 0.1 || 1 : 0.03 * (high - low);
  return scaleLinear([low - pad, high + pad], [from, to]);
}

/** Ticks and labels of a horizontal axis below a plot that spans `top` to `bottom`. */
export function xAxis(scale: ScaleLinear<number, number>, top: number, bottom: number, label: string): Markup {
  const [from, to] = scale.range();
  const show = scale.tickFormat(5);
  return html`${scale.ticks(5).map(
    (
      tick,
    ) => html`<line x1="${round(scale(tick))}" x2="${round(scale(tick))}" y1="${top}" y2="${bottom}" stroke="${colours.line}"/>
${text(scale(tick), bottom + 13, show(tick), { ...soft, anchor: "middle" })}`,
  )}${text((from + to) / 2, bottom + 33, label, { ...soft, anchor: "middle" })}`;
}

/** Ticks and labels of a vertical axis left of a plot that spans `left` to `right`. */
export function yAxis(scale: ScaleLinear<number, number>, left: number, right: number, label: string): Markup {
  const [from, to] = scale.range();
  const show = scale.tickFormat(5);
  return html`${scale.ticks(5).map(
    (
      tick,
    ) => html`<line x1="${left}" x2="${right}" y1="${round(scale(tick))}" y2="${round(scale(tick))}" stroke="${colours.line}"/>
${text(left - 7, scale(tick), show(tick), { ...soft, anchor: "end" })}`,
  )}${text(14, (from + to) / 2, label, { ...soft, anchor: "middle", turn: -90 })}`;
}

/** The colours of low to high values of a feature as an upright bar. */
export function levelBar(x: number, top: number, bottom: number, label: string): Markup {
  const stops = Array.from({ length: 9 }, (_, i) => html`<stop offset="${i / 8}" stop-color="${levelColour(i / 8)}"/>`);
  return html`<linearGradient id="levels" x1="0" x2="0" y1="1" y2="0">${stops}</linearGradient>
<rect x="${x}" y="${top}" width="9" height="${bottom - top}" fill="url(#levels)"/>
${text(x + 14, top + 5, "high", soft)}${text(x + 14, bottom - 5, "low", soft)}${text(x + 22, (top + bottom) / 2, label, { ...soft, anchor: "middle", turn: -90 })}`;
}

/** Where values of a feature lie between its lowest and highest ones, 0 to 1; NaN stays. Outliers (the outer 5 % on both
 *  sides) do not stretch the scale. */
export function levelsOf(values: readonly number[]): number[] {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))];
  let [low, high] = [at(0.05), at(0.95)];
  if (low === high) [low, high] = [sorted[0], sorted[sorted.length - 1]];
  return values.map((value) => (low === high ? 0.5 : Math.min(1, Math.max(0, (value - low) / (high - low)))));
}

/** A feature's values over all examples. */
export const column = ({ count, names }: ShapValues, all: ArrayLike<number>, feature: number): number[] =>
  Array.from({ length: count }, (_, i) => all[i * names.length + feature]);

/** The features by falling importance: the mean magnitude of their values. */
export function ranking(shap: ShapValues): { readonly feature: number; readonly importance: number }[] {
  return shap.names
    .map((_, feature) => {
      const values = column(shap, shap.values, feature);
      return { feature, importance: values.reduce((sum, value) => sum + Math.abs(value), 0) / shap.count };
    })
    .sort((a, b) => b.importance - a.importance);
}

/** Throws where there is no such example. */
export function checkExample(plot: string, { count }: ShapValues, example: number): void {
  if (!(Number.isInteger(example) && example >= 0 && example < count))
    throw new ManabiError(`${plot}: there is no example ${example}; ${count} are explained (0 to ${count - 1})`);
}

/** "name = 3.2", or the name alone where features have no numbers. */
export function labelOf({ names, data }: ShapValues, example: number, feature: number): string {
  const name = shortened(names[feature]);
  return data ? `${name} = ${plain(data[example * names.length + feature])}` : name;
}
