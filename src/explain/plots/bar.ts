import { html, type Markup } from "../../train/report/markup.ts";
import type { ShapValues } from "../shap/shap-values.ts";
import {
  axisScale,
  checkExample,
  colours,
  labelOf,
  type PlotOptions,
  plain,
  ranking,
  round,
  shortened,
  signColour,
  signed,
  svgPicture,
  text,
  widthOf,
  xAxis,
} from "./frame.ts";

export interface BarPlotOptions extends PlotOptions {
  /** Left out, all examples: the mean magnitude of each feature's values. */
  readonly example?: number;
}

interface Bar {
  readonly label: string;
  readonly value: number;
}

const row = 26;

/** Features as bars, as an SVG picture: how much each matters over all examples, or for and against for one. */
export function barPlot(shap: ShapValues, options: BarPlotOptions = {}): string {
  const { example, limit = 12, title = "", output = "output" } = options;
  if (example !== undefined) checkExample("barPlot", shap, example);
  const bars = barsOf(shap, example, limit);
  const left = Math.max(80, ...bars.map(({ label }) => widthOf(label))) + 16;
  const top = title ? 44 : 14;
  const [right, bottom] = [left + 400, top + bars.length * row];
  // Numbers of bars to the left stand left of them.
  const before = bars.some(({ value }) => value < 0) ? 60 : 0;
  const scale = axisScale([0, ...bars.map(({ value }) => value)], left + before, right);
  const zero = scale(0);
  const what = example === undefined ? `mean |change of ${output}|` : `change of ${output}`;
  const body = bars.map(({ label, value }, i): Markup => {
    const y = top + (i + 0.5) * row;
    const end = scale(value);
    const colour = example === undefined ? colours.neutral : signColour(value);
    const number = example === undefined ? plain(value) : signed(value);
    return html`<rect x="${round(Math.min(zero, end))}" y="${round(y - 9)}" width="${round(Math.abs(end - zero))}" height="18" fill="${colour}"/>
${text(left - 10, y, label, { anchor: "end" })}${text(end + (value < 0 ? -5 : 5), y, number, { anchor: value < 0 ? "end" : "start", size: 12 })}`;
  });
  return svgPicture(right + 70, bottom + 50, title || `What matters for ${output}`, [
    text(16, 22, title, { size: 15, weight: 600 }),
    xAxis(scale, top, bottom, what),
    ...body,
    html`<line x1="${round(zero)}" x2="${round(zero)}" y1="${top}" y2="${bottom}" stroke="${colours.ink}"/>
`,
  ]);
}

/** The most important features and, of one example, the sum of the others. */
function barsOf(shap: ShapValues, example: number | undefined, limit: number): Bar[] {
  if (example === undefined)
    return ranking(shap)
      .slice(0, limit)
      .map(({ feature, importance }) => ({ label: shortened(shap.names[feature]), value: importance }));
  return contributionsOf(shap, example, limit);
}

/** The features with the largest values for one example, and the sum of the rest as the last. */
export function contributionsOf(shap: ShapValues, example: number, limit: number): Bar[] {
  const width = shap.names.length;
  const own = shap.values.subarray(example * width, (example + 1) * width);
  const rounding = 1e-9 * Math.max(...own.map(Math.abs));
  const sorted = Array.from(own, (value, feature) => ({ feature, value: Math.abs(value) > rounding ? value : 0 })).sort(
    (a, b) => Math.abs(b.value) - Math.abs(a.value),
  );
  const shown = sorted.length > limit ? sorted.slice(0, limit - 1) : sorted;
  const rest = sorted.slice(shown.length);
  return [
    ...shown.map(({ feature, value }) => ({ label: labelOf(shap, example, feature), value })),
    ...(rest.length > 0
      ? [{ label: `${rest.length} others`, value: rest.reduce((sum, { value }) => sum + value, 0) }]
      : []),
  ];
}
