import { htmlDocument } from "../../train/report/document.ts";
import { count, magnitude } from "../../train/report/format.ts";
import { html, Markup } from "../../train/report/markup.ts";
import { type MachinePeaks, roofAt } from "../machine.ts";
import type { KernelProfile, ProgramProfile } from "../profile.ts";
import { rooflineChart } from "./chart.ts";
import { type MachineRow, machineRows } from "./machine-rows.ts";
import { showFlops, showRate, showSeconds, showShare } from "./units.ts";

/** What a page about a recipe shows besides the machine. */
export interface ProfiledRecipe {
  readonly name: string;
  readonly title: string;
  readonly command: string;
  readonly programs: readonly ProgramProfile[];
  /** Most bytes of main memory that the process held. */
  readonly peakBytes: number;
}

/** Rows of a table of kernels; the rest is summed up in one. */
const tableRows = 60;

/** Rules that only this page needs. */
const style = `.roofline{margin-bottom:22px}.roofline .scroll>svg{min-width:720px}.roofline text{font-size:13px}.roofline .axis{font-size:13.5px}
.roof{fill:none;stroke:var(--soft);stroke-width:1.4;stroke-dasharray:6 4}.roof.main{stroke:var(--text);stroke-width:2.6;stroke-dasharray:none}
.roofline .roof-label{paint-order:stroke;stroke:var(--card);stroke-width:4px;stroke-linejoin:round}.roofline .roof-label.main{fill:var(--text);font-weight:650}
.mark{fill:currentColor;fill-opacity:.62;stroke:currentColor;stroke-width:1.4}
.roofline .number-label{fill:var(--text);font-weight:700;font-size:13px;paint-order:stroke;stroke:var(--card);stroke-width:3px;stroke-linejoin:round}
.chart .symbol{display:inline-block;width:16px;height:16px;vertical-align:-3px;margin-right:6px}.symbol path{fill:currentColor}
.bar{display:inline-block;height:9px;background:var(--s0);border-radius:2px;min-width:1px}
.kernels code{white-space:normal}.kernels td{white-space:nowrap}.kernels td.shape{white-space:normal;min-width:150px}
`;

/** Machine and, where given, a recipe's programs as one HTML page without scripts. */
export function rooflinePage(version: string, peaks: MachinePeaks, recipe: ProfiledRecipe | null): string {
  const [step] = recipe?.programs ?? [];
  const title = recipe ? `${recipe.title}: where the time goes` : "What this machine can do";
  const body = html`<style>
${new Markup(style)}</style>
<header>
<div class="meta"><span>${peaks.cpu}</span><span>${peaks.threads} ${peaks.threads === 1 ? "thread" : "threads"}</span><span>load average ${peaks.load.toFixed(1)}</span></div>
<h1>${title}</h1>
${recipe && html`<pre tabindex="0" aria-label="Command"><code>${recipe.command}</code></pre>`}
${step && recipe && tiles(step, recipe.peakBytes)}
</header>
<main>
${
  recipe
    ? recipe.programs.map((program) => programSection(program, peaks))
    : html`<section><h2>Roofline</h2>
${explanation(peaks)}
${rooflineChart(peaks, [])}</section>`
}
<section><h2>The machine</h2>
${machineTable(machineRows(peaks))}</section>
</main>
`;
  return htmlDocument(title, version, body);
}

const tile = (label: string, value: string, note = ""): Markup =>
  html`<div><dt>${label}</dt><dd>${value}${note && html`<small>${note}</small>`}</dd></div>`;

function tiles(step: ProgramProfile, peakBytes: number): Markup {
  const { seconds, flops, roofline, arenaBytes, variableBytes, variables } = step;
  return html`<dl class="tiles">${[
    tile("Time of a step", showSeconds(seconds), `median of ${step.runs}`),
    tile("FLOP/s", magnitude(flops / seconds), `${magnitude(flops)}FLOP a step`),
    tile("Share of the roofline", showShare(roofline), "weighted by time"),
    tile(
      "Planned memory",
      `${magnitude(arenaBytes)}B`,
      `and ${magnitude(variableBytes)}B in ${count(variables)} variables`,
    ),
    tile("Most memory held", `${magnitude(peakBytes)}B`, "by the process"),
  ]}</dl>`;
}

const explanation = (peaks: MachinePeaks): Markup =>
  html`<p>Left of ${Number((peaks.f32.all / roofAt(peaks, 1)).toPrecision(2))} operations per byte, memory is what limits a kernel; right of it, arithmetic. A mark above the thick line has its operands in a cache.</p>`;

function programSection(program: ProgramProfile, peaks: MachinePeaks): Markup {
  const { name, parameters, updates, kernels, runs, seconds } = program;
  const unplaced = kernels.filter(({ intensity }) => intensity === null).reduce((sum, k) => sum + k.share, 0);
  return html`<section>
<h2>${name} <small>(${parameters.join(", ") || "no arguments"})</small></h2>
<p>${showSeconds(seconds)} a run, median of ${runs}; ${updates > 0 ? `updates ${count(updates)} variables` : "updates no variables"}; ${showFlops(program.flops / seconds)}, ${showRate(program.bytes / seconds)}; ${showShare(program.roofline)} of the roofline.${unplaced > 0.0005 && ` Kernels without arithmetic, such as copies, have no place in the picture: ${showShare(unplaced)} of the time.`}</p>
${explanation(peaks)}
${rooflineChart(peaks, kernels)}
<h3>Kernels, longest first</h3>
<div class="scroll"><table class="kernels"><thead><tr><th class="number">#</th><th>kernel</th><th>shape</th><th class="number">calls</th><th class="number">time</th><th class="number">share</th><th></th><th class="number">FLOP/s</th><th class="number">bytes/s</th><th class="number">of the roof</th></tr></thead>
<tbody>${kernels.slice(0, tableRows).map((kernel, i) => kernelRow(kernel, i, kernels[0].share))}</tbody>
${kernels.length > tableRows && html`<tfoot><tr><td></td><td colspan="4">${count(kernels.length - tableRows)} more</td><td class="number">${showShare(kernels.slice(tableRows).reduce((sum, k) => sum + k.share, 0))}</td><td colspan="4"></td></tr></tfoot>`}</table></div>
</section>
`;
}

const kernelRow = (kernel: KernelProfile, i: number, most: number): Markup => {
  const { name, shape, calls, seconds, share, flopsPerSecond, bytesPerSecond, roofline, text } = kernel;
  return html`<tr title="${text}"><td class="number">${i + 1}</td><td><code>${name}</code></td><td class="shape">${shape}</td><td class="number">${count(calls)}</td><td class="number">${showSeconds(seconds)}</td><td class="number">${showShare(share)}</td><td><span class="bar" style="width:${Math.round((share / most) * 90)}px"></span></td><td class="number">${flopsPerSecond ? magnitude(flopsPerSecond) : "-"}</td><td class="number">${bytesPerSecond ? magnitude(bytesPerSecond) : "-"}</td><td class="number">${showShare(roofline)}</td></tr>
`;
};

const machineTable = (rows: readonly MachineRow[]): Markup =>
  html`<div class="scroll"><table><thead><tr><th>what</th><th class="number">one core</th><th class="number">all</th></tr></thead><tbody>${rows.map(({ what, one, all }) => html`<tr><td>${what}</td><td class="number">${one}</td><td class="number">${all}</td></tr>`)}</tbody></table></div>`;
