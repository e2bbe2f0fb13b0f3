import { html, type Markup } from "../../train/report/markup.ts";
import type { ShapValues } from "../shap/shap-values.ts";
import {
  axisScale,
  colours,
  column,
  levelBar,
  levelColour,
  levelsOf,
  type PlotOptions,
  ranking,
  round,
  shortened,
  svgPicture,
  text,
  widthOf,
  xAxis,
} from "./frame.ts";

const row = 32;
const radius = 2.6;

/** The values of all examples, a dot for each, feature by feature from the most important one, as an SVG picture; colours
 *  say whether the feature itself was low or high. */
export function summaryPlot(shap: ShapValues, options: PlotOptions = {}): string {
  const { limit = 12, title = "", output = "output" } = options;
  const shown = ranking(shap).slice(0, limit);
  const labels = shown.map(({ feature }) => shortened(shap.names[feature]));
  const left = Math.max(80, ...labels.map((label) => widthOf(label))) + 16;
  const top = title ? 44 : 14;
  const [right, bottom] = [left + 440, top + shown.length * row];
  const scale = axisScale([0, ...shown.flatMap(({ feature }) => column(shap, shap.values, feature))], left, right);
  const zero = round(scale(0));
  const rows = shown.map(({ feature }, i): Markup => {
    const y = top + (i + 0.5) * row;
    return html`${text(left - 10, y, labels[i], { anchor: "end" })}<line x1="${left}" x2="${right}" y1="${y}" y2="${y}" stroke="${colours.line}" stroke-dasharray="1 4"/>
${dots(shap, feature, scale, y)}`;
  });
  return svgPicture(right + (shap.data ? 60 : 24), bottom + 50, title || `What matters for ${output}`, [
    text(16, 22, title, { size: 15, weight: 600 }),
    xAxis(scale, top, bottom, `change of ${output}`),
    html`<line x1="${zero}" x2="${zero}" y1="${top}" y2="${bottom}" stroke="${colours.ink}"/>
`,
    ...rows,
    ...(shap.data ? [levelBar(right + 18, top, bottom, "value of the feature")] : []),
  ]);
}

function dots(shap: ShapValues, feature: number, scale: (value: number) => number, y: number): Markup[] {
  const levels = shap.data && levelsOf(column(shap, shap.data, feature));
  const xs = column(shap, shap.values, feature).map(scale);
  const offsets = swarm(xs, row / 2 - radius - 1);
  return xs.map((x, i) => {
    const level = levels?.[i] ?? 0;
    const colour = Number.isNaN(level) ? colours.missing : levels ? levelColour(level) : colours.neutral;
    return html`<circle cx="${round(x)}" cy="${round(y + offsets[i])}" r="${radius}" fill="${colour}"/>`;
  });
}

/** How far dots are moved off the line so that neighbours do not cover each other; the densest place reaches `most`. */
function swarm(xs: readonly number[], most: number): number[] {
  const bins = new Map<number, number[]>();
  for (const [i, x] of xs.entries()) {
    const bin = Math.round(x / (1.6 * radius));
    bins.set(bin, [...(bins.get(bin) ?? []), i]);
  }
  const tallest = Math.max(...[...bins.values()].map((members) => members.length));
  const step = Math.min(1.8 * radius, (2 * most) / Math.max(1, tallest - 1));
  const offsets = xs.map(() => 0);
  for (const members of bins.values())
    for (const [place, i] of members.entries()) offsets[i] = (place - (members.length - 1) / 2) * step;
  return offsets;
}
