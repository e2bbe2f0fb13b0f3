import { basename } from "node:path";
import { showNumber } from "../train/progress.ts";
import { lineDiagram } from "../train/report/chart.ts";
import type { PageSection } from "../train/report/data.ts";
import { sectionedDocument } from "../train/report/document.ts";
import { percent } from "../train/report/format.ts";
import { dataUri, html, type Markup } from "../train/report/markup.ts";
import { pngSize } from "../train/report/png.ts";
import { scrolling } from "../train/report/sections.ts";
import { type ColourMap, colourGradient, colourMapOf } from "./draw.ts";
import type { Heatmap } from "./heatmap.ts";
import type { Fact, ImageMethod } from "./image-methods.ts";
import type { RemovalCurve, RemovalCurves } from "./trust/deletion-insertion.ts";
import type { RandomizationResult } from "./trust/randomization.ts";

/** What one method says. */
export interface ShownMethod extends Omit<ImageMethod, "explain"> {
  readonly name: string;
  readonly heatmap: Heatmap;
  /** The map over the picture. */
  readonly png: Uint8Array;
  readonly facts: readonly Fact[];
  readonly seconds: number;
  readonly curves: RemovalCurves | null;
  readonly randomization: RandomizationResult | null;
}

/** What speaks for one class. */
export interface ShownClass {
  readonly label: string;
  readonly probability: number;
  readonly methods: readonly ShownMethod[];
  /** The curves of maps that know nothing, where curves are shown. */
  readonly chance: RemovalCurves | null;
}

/** A picture and what explains its classes. */
export interface ShownPicture {
  readonly path: string;
  /** The picture as the model sees it. */
  readonly png: Uint8Array;
  readonly predictions: readonly { readonly label: string; readonly probability: number }[];
  readonly classes: readonly ShownClass[];
}

export interface ExplanationPage {
  readonly model: string;
  readonly command: string;
  /** Of manabi. */
  readonly version: string;
  readonly pictures: readonly ShownPicture[];
}

/** Pictures with the methods side by side, as one HTML page without scripts and without anything from the network. */
export function renderExplanations({ model, command, version, pictures }: ExplanationPage): string {
  const labels = new Set(pictures.flatMap(({ classes }) => classes.map(({ label }) => label)));
  const title = labels.size <= 3 ? `Why ${[...labels].join(" and ")}?` : "Why these classes?";
  const header = html`<div class="meta"><span>${model}</span></div>
<h1>${title}</h1>
<pre tabindex="0" aria-label="Command"><code>${command}</code></pre>`;
  const methods = new Map(pictures.flatMap(({ classes }) => classes.flatMap((c) => c.methods.map((m) => [m.name, m]))));
  const sections: PageSection[] = [
    ...pictures.map((picture, i) => ({
      id: `picture-${i}`,
      title: basename(picture.path),
      body: pictureBody(picture, i),
    })),
    { id: "methods", title: "The methods", body: methodTable([...methods.values()]) },
  ];
  return sectionedDocument(title, version, header, sections);
}

function pictureBody({ png, predictions, classes, path }: ShownPicture, index: number): Markup {
  const said = predictions.map(
    ({ label, probability }) =>
      html`<tr><th scope="row">${label}</th><td class="number">${percent(probability, 1)}</td></tr>\n`,
  );
  return html`<div class="input">${image(png, `${basename(path)} as the model sees it`)}<div>
<h3>What the model says</h3><table>${said}</table></div></div>
${classes.map((shown, c) => classBody(shown, `${index}-${c}`))}`;
}

function classBody({ label, probability, methods, chance }: ShownClass, id: string): Markup {
  const curves = chance && methods.map((method) => method.curves && removalChart(method, method.curves, chance, id));
  return html`<h3 class="asked">${label} <small>${percent(probability, 1)}</small></h3>
<ul class="gallery wide">${methods.map(
    ({ title, png, heatmap }) => html`
<li>${image(png, `${title}: what speaks for ${label}`)}<span><b>${title}</b></span>${colourBar(colourMapOf(heatmap))}</li>`,
  )}
</ul>
${factTable(methods)}
${
  curves &&
  html`<p>Deletion takes the pixels away that a map calls important, the most important ones first, and insertion puts them into the picture out of focus. A good map has a low area under the first curve and a high one under the second; by chance are squares in random order.</p>
<div class="charts">${curves}</div>`
}
${methods.some(({ randomization }) => randomization) && randomizationTable(methods)}`;
}

const image = (png: Uint8Array, alt: string): Markup => {
  const { width, height } = pngSize(png);
  const small = Math.max(width, height) <= 64;
  return html`<img class="${small && "pixels"}" src="${dataUri(png)}" width="${width}" height="${height}" alt="${alt}">`;
};

/** What the colours of a map mean. */
function colourBar(colours: ColourMap): Markup {
  const [low, high] = colours === "purple-orange" ? ["against", "for"] : ["nothing", "much"];
  return html`<span class="bar"><span>${low}</span><i style="background:${colourGradient(colours)}"></i><span>${high}</span></span>`;
}

function factTable(methods: readonly ShownMethod[]): Markup {
  const labels = [...new Set(methods.flatMap(({ facts }) => facts.map(({ label }) => label)))];
  const cell = ({ facts }: ShownMethod, label: string) => {
    const value = facts.find((fact) => fact.label === label)?.value ?? "–";
    return typeof value === "number" ? showNumber(value) : value;
  };
  return scrolling(
    "Facts about the explanations",
    html`<table>
<thead><tr><th scope="col">method</th>${labels.map((label) => html`<th scope="col" class="number">${label}</th>`)}<th scope="col" class="number">seconds</th></tr></thead>
<tbody>${methods.map(
      (method) =>
        html`<tr><th scope="row">${method.title}</th>${labels.map((label) => html`<td class="number">${cell(method, label)}</td>`)}<td class="number">${method.seconds.toFixed(1)}</td></tr>
`,
    )}</tbody></table>`,
  );
}

/** How like the trained model's maps are those of a model whose stages become random, from the head to the input. */
function randomizationTable(methods: readonly ShownMethod[]): Markup {
  const stages =
    methods
      .flatMap(({ randomization }) => randomization ?? [])
      .at(0)
      ?.steps.map(({ stage }) => stage) ?? [];
  return html`<p>Rank correlation of each map, with or without its signs, whichever is larger, with that of a model in which this stage and all left of it have random weights. A map that stays the same does not explain the model.</p>
${scrolling(
  "Maps under random weights",
  html`<table>
<thead><tr><th scope="col">method</th>${stages.map((stage) => html`<th scope="col" class="number">${stage}</th>`)}<th scope="col">the map</th></tr></thead>
<tbody>${methods.map(
    ({ title, randomization }) =>
      randomization &&
      html`<tr><th scope="row">${title}</th>${randomization.steps.map((step) => html`<td class="number">${step.likeness.toFixed(2)}</td>`)}<td>${randomization.verdict}</td></tr>
`,
  )}</tbody></table>`,
)}`;
}

/** Both curves of a map beside those of chance. */
function removalChart({ name, title }: ShownMethod, map: RemovalCurves, chance: RemovalCurves, id: string): Markup {
  const line = (curve: RemovalCurve, words: string) => ({
    points: [...curve.scores].map((y, i) => ({ x: curve.shares[i], y })),
    legend: html`${words} <b>${curve.area.toFixed(3)}</b>`,
  });
  const lines = [
    line(map.deletion, "deletion"),
    line(map.insertion, "insertion"),
    line(chance.deletion, "deletion by chance"),
    line(chance.insertion, "insertion by chance"),
  ];
  const highest = Math.max(...lines.flatMap(({ points }) => points.map(({ y }) => y)));
  return lineDiagram({
    id: `removal-${id}-${name.replace(/\W/g, "-")}`,
    title: html`${title} <small>score by share of pixels, and areas</small>`,
    xLabel: "share of pixels deleted or inserted",
    x: [0, 1],
    y: [0, highest],
    showX: String,
    yFormat: highest <= 1 ? "~%" : "~g",
    lines,
  });
}

const methodTable = (methods: readonly ShownMethod[]): Markup =>
  scrolling(
    "Methods",
    html`<table><tbody>${methods.map(
      ({ title, about, paper }) => html`<tr><th scope="row">${title}</th><td>${about}</td><td>${paper}</td></tr>
`,
    )}</tbody></table>`,
  );
