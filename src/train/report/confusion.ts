import { scaleLinear } from "d3-scale";
import { interpolateCividis, interpolateYlGnBu } from "d3-scale-chromatic";
import { mostConfused } from "../metrics.ts";
import type { ConfusionCounts } from "./data.ts";
import { count, percent } from "./format.ts";
import { html, type Markup } from "./markup.ts";

/** Up to this many classes the numbers stand in the cells. */
const tableLimit = 20;
const levels = 9;

/** The heat map of a confusion matrix; shade by the share of the true class, on a logarithmic scale from 0.1 % to all,
 *  because the few errors of a good model are what one wants to see. */
export function confusionHeatMap(confusion: ConfusionCounts): Markup {
  const map = confusion.labels.length <= tableLimit ? table(confusion) : picture(confusion);
  return html`<p>Rows are true classes, columns are predictions. <span class="scale" aria-hidden="true">0.1 % ${Array.from(
    { length: levels },
    (_, i) => html`<i class="h${i + 1}"></i>`,
  )} 100 %</span> of the true class.</p>
<div class="scroll" tabindex="0" role="group" aria-label="Confusion matrix">${map}</div>
${confusion.labels.length > tableLimit && pairs(confusion)}`;
}

/** The CSS of the shades. Both maps are even in lightness and safe for colour-blind eyes; each starts near the colour of
 *  the page, which means nothing, and ends far from it. */
export function heatStyle(theme: "light" | "dark"): string {
  const position = scaleLinear([1, levels], theme === "light" ? [0.1, 0.95] : [0.12, 1]);
  const colour = theme === "light" ? interpolateYlGnBu : interpolateCividis;
  return Array.from({ length: levels }, (_, i) => {
    const at = position(i + 1);
    return `--h${i + 1}:${colour(at)};--t${i + 1}:${at > 0.55 === (theme === "dark") ? "#111" : "#fff"};`;
  }).join("");
}

/** The rules that use the shades; `t` for text on them. */
export const heatRules = Array.from(
  { length: levels },
  (_, i) => `.h${i + 1}{background:var(--h${i + 1});color:var(--t${i + 1});fill:var(--h${i + 1})}`,
).join("\n");

function level(value: number, rowTotal: number): number {
  if (value === 0) return 0;
  const logShare = Math.log10(value / rowTotal);
  return Math.max(1, Math.round(1 + (levels - 1) * (1 + logShare / 3)));
}

const sum = (row: readonly number[]): number => row.reduce((a, b) => a + b, 0);

function table({ labels, counts }: ConfusionCounts): Markup {
  const upright = labels.some((label) => label.length > 4);
  return html`<table class="confusion${upright && " upright"}">
<caption class="hidden">True class by row, predicted class by column</caption>
<thead><tr><td></td>${labels.map((label) => html`<th scope="col"><span>${label}</span></th>`)}</tr></thead>
<tbody>${labels.map((label, t) => {
    const total = sum(counts[t]);
    return html`
<tr><th scope="row">${label}</th>${counts[t].map((value, p) => {
      const shade = level(value, total);
      const classes = [shade > 0 ? `h${shade}` : "none", ...(t === p ? ["right"] : [])].join(" ");
      return html`<td class="${classes}">${value > 0 && value}</td>`;
    })}</tr>`;
  })}
</tbody></table>`;
}

function picture({ labels, counts }: ConfusionCounts): Markup {
  const cell = labels.length <= 50 ? 16 : labels.length <= 120 ? 9 : 6;
  const named = cell > 6;
  const longest = Math.max(...labels.map((label) => label.length));
  const margin = named ? Math.min(150, 12 + longest * cell * 0.5) : 8;
  const side = margin + labels.length * cell + 8;
  const name = (label: string, i: number) => {
    const at = margin + i * cell + cell * 0.75;
    return html`<text x="${margin - 4}" y="${at}" text-anchor="end">${label}</text><text transform="translate(${at} ${margin - 4}) rotate(-90)">${label}</text>
`;
  };
  const cells = counts.flatMap((row, t) => {
    const total = sum(row);
    return row.map((value, p) =>
      value === 0
        ? null
        : html`<rect class="h${level(value, total)}" x="${margin + p * cell}" y="${margin + t * cell}" width="${cell}" height="${cell}"><title>${labels[t]} predicted as ${labels[p]}: ${value} of ${total}</title></rect>`,
    );
  });
  const grid = labels.length * cell;
  return html`<svg class="heat" width="${side}" height="${side}" viewBox="0 0 ${side} ${side}" role="img" aria-label="Confusion matrix of ${labels.length} classes; the most frequent confusions are listed below">
<g font-size="${cell * 0.8}">${named && labels.map(name)}</g>
<rect class="frame" x="${margin}" y="${margin}" width="${grid}" height="${grid}"/>
${cells}
</svg>`;
}

function pairs({ labels, counts }: ConfusionCounts): Markup | null {
  const rows = mostConfused(labels, counts, 15);
  if (rows.length === 0) return null;
  const totals = new Map(labels.map((label, t) => [label, sum(counts[t])]));
  return html`<h3>Most frequent confusions</h3>
<div class="scroll" tabindex="0" role="group" aria-label="Most frequent confusions"><table>
<thead><tr><th scope="col">true</th><th scope="col">predicted</th><th scope="col" class="number">cases</th><th scope="col" class="number">of the true class</th></tr></thead>
<tbody>${rows.map(
    (
      row,
    ) => html`<tr><td>${row.truth}</td><td>${row.predicted}</td><td class="number">${count(row.count)}</td><td class="number">${percent(row.count / (totals.get(row.truth) ?? 1), 1)}</td></tr>
`,
  )}</tbody></table></div>`;
}
