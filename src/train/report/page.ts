import { lineChart } from "./chart.ts";
import { confusionHeatMap } from "./confusion.ts";
import { curvesOf } from "./curves.ts";
import type { PageSection, ReportData } from "./data.ts";
import { sectionedDocument } from "./document.ts";
import { html } from "./markup.ts";
import {
  classTable,
  defaultResults,
  facts,
  mistakeGallery,
  modelTable,
  resultTiles,
  sampleGallery,
} from "./sections.ts";

/** A run as one HTML page without scripts and without anything from the network. */
export function renderReport(data: ReportData): string {
  const { record, summary, results, confusion, mistakes = [], samples = [], model } = data;
  const curves = curvesOf(data.metrics);
  const lastStep = Math.max(
    0,
    ...curves.flatMap(({ series }) => series.map(({ points }) => points[points.length - 1].x)),
  );
  const sections: (PageSection | null | false | undefined)[] = [
    curves.length > 0 && {
      id: "curves",
      title: "Curves",
      body: html`<div class="charts">${curves.map((curve) => lineChart(curve, lastStep))}</div>`,
    },
    confusion && { id: "confusion", title: "Confusion matrix", body: confusionHeatMap(confusion) },
    confusion && { id: "classes", title: "Scores by class", body: classTable(confusion) },
    mistakes.length > 0 && { id: "mistakes", title: "The worst mistakes", body: mistakeGallery(mistakes) },
    samples.length > 0 && { id: "samples", title: "Samples", body: sampleGallery(samples) },
    ...(data.sections ?? []),
    model && { id: "model", title: "Model", body: modelTable(model) },
    { id: "run", title: "The run", body: facts(record) },
  ];
  const shown = sections.filter((section): section is PageSection => Boolean(section));
  const { command, started } = record.sessions[0];
  const header = html`<div class="meta"><span class="status ${record.status}">${record.status}</span><span>${record.recipe}</span><time datetime="${started}">${started.slice(0, 10)}</time></div>
<h1>${record.title}</h1>
${summary && html`<p>${summary}</p>\n`}${record.error && html`<p class="error">${record.error}</p>\n`}<pre tabindex="0" aria-label="Command"><code>${command}</code></pre>
${resultTiles(results ?? defaultResults(data))}`;
  return sectionedDocument(record.title, record.sessions[0].environment.manabi, header, shown);
}
