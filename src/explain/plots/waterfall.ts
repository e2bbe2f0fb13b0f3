import { html, type Markup } from "../../train/report/markup.ts";
import type { ShapValues } from "../shap/shap-values.ts";
import { contributionsOf } from "./bar.ts";
import {
  axisScale,
  checkExample,
  colours,
  type PlotOptions,
  plain,
  round,
  signColour,
  signed,
  soft,
  svgPicture,
  text,
  widthOf,
  xAxis,
} from "./frame.ts";

const row = 30;

/** How the features of one example lead from the expected output to its own, as an SVG picture; the smallest step is at
 *  the bottom, where the expected output is. */
export function waterfallPlot(shap: ShapValues, example = 0, options: PlotOptions = {}): string {
  checkExample("waterfallPlot", shap, example);
  const { limit = 12, title = "", output = "output" } = options;
  const steps = contributionsOf(shap, example, limit);
  const [base, end] = [shap.base[example], shap.outputs[example]];
  const left = Math.max(90, ...steps.map(({ label }) => widthOf(label))) + 16;
  const top = (title ? 44 : 14) + 24;
  const [right, bottom] = [left + 420, top + steps.length * row];
  // From the bottom up: where each step begins.
  const starts = steps.map((_, i) => steps.slice(i + 1).reduce((sum, { value }) => sum + value, base));
  const ends = steps.map(({ value }, i) => starts[i] + value);
  const scale = axisScale([base, end, ...starts, ...ends], left, right);
  const guide = (value: number, from: number, to: number): Markup =>
    html`<line x1="${round(scale(value))}" x2="${round(scale(value))}" y1="${from}" y2="${to}" stroke="${colours.ink}" stroke-dasharray="2 3"/>
`;
  const inside = (x: number, words: string, y: number): [x: number, y: number, words: string] => {
    const half = widthOf(words) / 2 + 8;
    return [Math.max(half, Math.min(right + 70 - half, x)), y, words];
  };
  const drawn = steps.map(({ label, value }, i): Markup => {
    const y = top + (i + 0.5) * row;
    return html`${arrow(scale(starts[i]), scale(ends[i]), y, signColour(value))}${stepNumber(scale(starts[i]), scale(ends[i]), y, value, right)}${text(left - 10, y, label, { anchor: "end" })}${i > 0 && guide(ends[i], y - row / 2 - 5, y + 11)}`;
  });
  return svgPicture(right + 70, bottom + 74, title || `How ${output} comes about`, [
    text(16, 22, title, { size: 15, weight: 600 }),
    xAxis(scale, top, bottom + 6, output),
    guide(base, bottom - row / 2, bottom + 6),
    guide(end, top - 8, top + row / 2),
    ...drawn,
    text(...inside(scale(end), `${output} ${plain(end)}`, top - 16), { anchor: "middle", weight: 600 }),
    text(...inside(scale(base), `expected ${plain(base)}`, bottom + 60), { ...soft, anchor: "middle", weight: 600 }),
  ]);
}

/** A bar that points where it goes. */
function arrow(from: number, to: number, y: number, colour: string): Markup {
  const half = 11;
  const tip = Math.sign(to - from) * Math.min(7, Math.abs(to - from));
  const points = [
    [from, y - half],
    [to - tip, y - half],
    [to, y],
    [to - tip, y + half],
    [from, y + half],
  ];
  return html`<polygon points="${points.map((p) => p.map(round).join(",")).join(" ")}" fill="${colour}"/>
`;
}

/** The number of a step: in the bar where it fits, else beside it. */
function stepNumber(from: number, to: number, y: number, value: number, right: number): Markup {
  const words = signed(value);
  const needed = widthOf(words, 12) + 14;
  if (Math.abs(to - from) > needed)
    return text((from + to) / 2, y, words, { anchor: "middle", fill: "#fff", size: 12 });
  const beyond = Math.max(from, to) + 5;
  if (beyond + needed < right + 60) return text(beyond, y, words, { size: 12 });
  return text(Math.min(from, to) - 5, y, words, { anchor: "end", size: 12 });
}
