import { ManabiError, unknownName } from "../../core/errors.ts";
import { html } from "../../train/report/markup.ts";
import type { ShapValues } from "../shap/shap-values.ts";
import {
  axisScale,
  colours,
  column,
  levelBar,
  levelColour,
  levelsOf,
  type PlotOptions,
  round,
  svgPicture,
  text,
  xAxis,
  yAxis,
} from "./frame.ts";

export interface DependencePlotOptions extends Omit<PlotOptions, "limit"> {
  /** Another feature whose value gives the colour: where it separates the dots, the two interact. */
  readonly colourBy?: string | number;
}

/** What a feature's own value makes of its contribution, a dot per example, as an SVG picture. Examples where the feature
 *  is missing are left out. */
export function dependencePlot(
  shap: ShapValues,
  feature: string | number,
  options: DependencePlotOptions = {},
): string {
  const { title = "", output = "output", colourBy } = options;
  const { data } = shap;
  if (!data)
    throw new ManabiError("dependencePlot: the players have no numbers (groups, words, regions); use barPlot instead");
  const at = featureOf(shap, feature);
  const by = colourBy === undefined ? null : featureOf(shap, colourBy);
  const [left, top] = [70, title ? 44 : 14];
  const [right, bottom] = [left + 420, top + 280];
  const dots = column(shap, data, at)
    .map((value, i) => ({ value, shap: shap.values[i * shap.names.length + at], example: i }))
    .filter(({ value }) => !Number.isNaN(value));
  const x = axisScale(
    dots.map(({ value }) => value),
    left,
    right,
  );
  const y = axisScale(
    dots.map((dot) => dot.shap),
    bottom,
    top,
  );
  const levels = by === null ? null : levelsOf(column(shap, data, by));
  const colourOf = (example: number): string => {
    const level = levels?.[example];
    if (level === undefined) return colours.neutral;
    return Number.isNaN(level) ? colours.missing : levelColour(level);
  };
  return svgPicture(
    right + (by === null ? 24 : 60),
    bottom + 50,
    title || `What ${shap.names[at]} makes of ${output}`,
    [
      text(16, 22, title, { size: 15, weight: 600 }),
      xAxis(x, top, bottom, shap.names[at]),
      yAxis(y, left, right, `change of ${output}`),
      ...dots.map(
        (dot) =>
          html`<circle cx="${round(x(dot.value))}" cy="${round(y(dot.shap))}" r="3" fill="${colourOf(dot.example)}" fill-opacity="0.85"/>
`,
      ),
      ...(by === null ? [] : [levelBar(right + 18, top, bottom, shap.names[by])]),
    ],
  );
}

function featureOf({ names }: ShapValues, feature: string | number): number {
  const at = typeof feature === "number" ? feature : names.indexOf(feature);
  if (at in names) return at;
  throw unknownName("feature", String(feature), names);
}
