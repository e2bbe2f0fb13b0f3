import { showShape } from "../../core/errors.ts";
import { type ClassScore, classScores, macroAverage } from "../metrics.ts";
import { showDuration } from "../progress.ts";
import type { RunRecord } from "../run-record.ts";
import type { ConfusionCounts, LayerRow, Mistake, ReportData, ReportPicture, ReportResult } from "./data.ts";
import { count, magnitude, metricTitle, metricValue, percent, splitName } from "./format.ts";
import { dataUri, html, type Markup } from "./markup.ts";
import { pngSize } from "./png.ts";

/** A table that scrolls sideways by itself, also by keyboard, instead of widening the page. */
export const scrolling = (label: string, table: Markup): Markup =>
  html`<div class="scroll" tabindex="0" role="group" aria-label="${label}">${table}</div>`;

/** The large figures: those of the recipe, or the best and last values that were logged. */
export function resultTiles(results: readonly ReportResult[]): Markup {
  return html`<dl class="tiles">${results.map(
    ({ label, value, note }) => html`
<div><dt>${label}</dt><dd>${value}${note && html`<small>${note}</small>`}</dd></div>`,
  )}
</dl>`;
}

/** Figures for a recipe that gives none of its own. */
export function defaultResults({ record, model }: ReportData): ReportResult[] {
  const results: ReportResult[] = [];
  if (record.metric && record.best) {
    const { set, base } = splitName(record.metric.name);
    const label = `Best ${set === "train" ? "" : `${set} `}${metricTitle(base).toLowerCase()}`;
    const note = `at step ${count(record.best.step)}`;
    results.push({ label, value: metricValue(base, record.best.value), note });
  }
  for (const [name, value] of Object.entries(record.metrics)) {
    const { set, base } = splitName(name);
    if (value === null || !Number.isFinite(value) || name === record.metric?.name || !/loss|accuracy/i.test(base))
      continue;
    results.push({ label: `Last ${set} ${metricTitle(base).toLowerCase()}`, value: metricValue(base, value) });
  }
  const epochs = record.epoch > 0 ? `${count(record.epoch)} epochs, ` : "";
  results.push({ label: "Time", value: showDuration(record.time), note: `${epochs}${count(record.step)} steps` });
  if (model) results.push({ label: "Parameters", value: magnitude(total(model.layers, "parameters")) });
  return results;
}

const total = (layers: readonly LayerRow[], field: "parameters" | "flops"): number =>
  layers.reduce((sum, layer) => sum + layer[field], 0);

/** Precision, recall, F1 and support of every class. */
export function classTable({ labels, counts }: ConfusionCounts): Markup {
  const scores = classScores(labels, counts);
  const all = macroAverage(scores);
  const cells = ({ precision, recall, f1, support }: Omit<ClassScore, "label">) =>
    html`${[precision, recall, f1].map(
      (value) => html`<td class="number">${percent(value)}</td>`,
    )}<td class="number">${count(support)}</td>`;
  return scrolling(
    "Scores by class",
    html`<table>
<thead><tr><th scope="col">class</th><th scope="col" class="number">precision</th><th scope="col" class="number">recall</th><th scope="col" class="number">F1</th><th scope="col" class="number">support</th></tr></thead>
<tbody>${scores.map((score) => html`<tr><th scope="row">${score.label}</th>${cells(score)}</tr>\n`)}</tbody>
<tfoot><tr><th scope="row">mean of classes</th>${cells(all)}</tr></tfoot>
</table>`,
  );
}

const img = (png: Uint8Array, alt: string): Markup => {
  const { width, height } = pngSize(png);
  // Small pictures are enlarged with their pixels in sight; large ones are shown as they are.
  const small = Math.max(width, height) <= 64;
  return html`<img class="${small && "pixels"}" src="${dataUri(png)}" width="${width}" height="${height}" alt="${alt}">`;
};

/** The wrong predictions of which the model was most certain. */
export function mistakeGallery(mistakes: readonly Mistake[]): Markup {
  const sorted = [...mistakes].sort((a, b) => b.probability - a.probability);
  return html`<p>In bold what the model said, with its probability; below it what the picture is.</p>
<ul class="gallery">${sorted.map(
    ({ png, truth, predicted, probability }) => html`
<li>${img(png, `true class ${truth}, predicted ${predicted}`)}<span><b>${predicted}</b> ${percent(probability, 1)}<br>true: ${truth}</span></li>`,
  )}
</ul>`;
}

/** Pictures with captions. */
export function sampleGallery(samples: readonly ReportPicture[]): Markup {
  return html`<ul class="gallery${samples.some(({ png }) => pngSize(png).width > 200) && " wide"}">${samples.map(
    ({ png, caption = "" }) => html`
<li>${img(png, caption || "sample")}<span>${caption}</span></li>`,
  )}
</ul>`;
}

/** Layers with output shape, parameters and FLOPs, and the totals. */
export function modelTable({ name, layers }: { readonly name: string; readonly layers: readonly LayerRow[] }): Markup {
  const table = html`<table class="model">
<thead><tr><th scope="col">layer</th><th scope="col">kind</th><th scope="col">output</th><th scope="col" class="number">parameters</th><th scope="col" class="number">FLOPs</th></tr></thead>
<tbody>${layers.map(
    (
      layer,
    ) => html`<tr><th scope="row"><code>${layer.name}</code></th><td>${layer.kind}</td><td><code>${showShape(layer.output)}</code></td><td class="number">${layer.parameters > 0 && count(layer.parameters)}</td><td class="number">${layer.flops > 0 && magnitude(layer.flops)}</td></tr>
`,
  )}</tbody>
<tfoot><tr><th scope="row">total</th><td></td><td></td><td class="number">${count(total(layers, "parameters"))}</td><td class="number">${magnitude(total(layers, "flops"))}</td></tr></tfoot>
</table>`;
  const sum = `${name}: ${layers.length} layers, ${count(total(layers, "parameters"))} parameters, ${magnitude(total(layers, "flops"))}FLOPs`;
  return html`<details${layers.length <= 40 && html` open`}><summary>${sum}</summary>${scrolling("Layers of the model", table)}</details>`;
}

/** The arguments, and the machines and versions of every session. */
export function facts(record: RunRecord): Markup {
  const rows = (pairs: readonly (readonly [string, string])[]) =>
    pairs.map(([key, value]) => html`<tr><th scope="row">${key}</th><td>${value}</td></tr>\n`);
  const args = Object.entries(record.args).map(([name, value]) => [name, String(value ?? "–")] as const);
  const { environment: env, host } = record.sessions[record.sessions.length - 1];
  const commit = env.git && `${env.git.commit.slice(0, 12)}${env.git.dirty ? " with local changes" : ""}`;
  const environment: [string, string][] = [
    ["manabi", env.manabi],
    ["Node.js", env.node],
    ["system", env.os],
    ["processor", `${env.cpu}, ${env.cores} cores`],
    ["memory", `${env.memoryGiB} GiB`],
    ["machine", host],
    ...(commit ? [["commit", commit] as [string, string]] : []),
  ];
  const sessions = record.sessions.map(({ started, ended }, i) => {
    const length = ended ? showDuration((Date.parse(ended) - Date.parse(started)) / 1000) : "not ended";
    return [record.sessions.length > 1 ? `session ${i + 1}` : "started", `${isoMinute(started)} (${length})`] as const;
  });
  return html`<div class="columns">
<div><h3>Arguments</h3><table>${rows(args)}</table></div>
<div><h3>Environment</h3><table>${rows([...environment, ...sessions])}</table></div>
</div>`;
}

const isoMinute = (iso: string): string => `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`;
