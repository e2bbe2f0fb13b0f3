import { type SymbolType, symbol, symbolCircle, symbolDiamond, symbolSquare, symbolTriangle } from "d3-shape";
import { html, type Markup } from "../../train/report/markup.ts";
import type { MachinePeaks } from "../machine.ts";
import { type Family, families, type KernelProfile } from "../profile.ts";
import { layOut, leastShare, size } from "./layout.ts";
import { showFlops, showShare } from "./units.ts";

const shapes: Record<Family, SymbolType> = {
  "matrix products": symbolSquare,
  convolutions: symbolCircle,
  reductions: symbolTriangle,
  "other kernels": symbolDiamond,
};

/**
 * The roofline (Williams, Waterman, Patterson 2009): operations per second over operations per byte, both
 * logarithmic, with what the machine can do as roofs and, where given, kernels as marks under them. The area of a mark
 * is the kernel's share of the time; numbers are the rows of the table, which is in the same order.
 */
export function rooflineChart(peaks: MachinePeaks, kernels: readonly KernelProfile[]): Markup {
  const { x, y, roofs, cacheRoof, marks, numbers } = layOut(peaks, kernels);
  const [right, bottom] = [size.width - size.right, size.height - size.bottom];
  const xTick = (
    tick: number,
  ) => html`<g class="tick" transform="translate(${round(x(tick))} 0)"><line y1="${size.top}" y2="${bottom}"/><text y="${bottom + 18}" text-anchor="middle">${plain(tick)}</text></g>
`;
  const yTick = (
    tick: number,
  ) => html`<g class="tick" transform="translate(0 ${round(y(tick))})"><line x1="${size.left}" x2="${right}"/><text x="${size.left - 8}" dy="0.34em" text-anchor="end">${showFlops(tick).replace("FLOP/s", "")}</text></g>
`;
  const roof = (path: string, main: boolean) => html`<path class="roof${main && " main"}" d="${path}"/>
`;
  const roofLabel = ({
    label,
    at,
    anchor,
    main,
  }: (typeof roofs)[number]) => html`<text class="roof-label${main && " main"}" transform="${at}" text-anchor="${anchor}">${label}</text>
`;
  const mark = ({ kernel, number, disc }: (typeof marks)[number]) => {
    const { family, name, shape, flopsPerSecond, share } = kernel;
    const outline = symbol(shapes[family], Math.PI * disc.r * disc.r)();
    const title = `${number}: ${name} ${shape}, ${showFlops(flopsPerSecond ?? 0)}, ${showShare(share)} of the time`;
    return html`<path class="mark s${families.indexOf(family)}" transform="translate(${round(disc.x)} ${round(disc.y)})" d="${outline}"><title>${title}</title></path>
`;
  };
  const key = (family: Family) =>
    html`<span class="key"><svg class="symbol s${families.indexOf(family)}" viewBox="-9 -9 18 18" aria-hidden="true"><path d="${symbol(shapes[family], 110)()}"/></svg>${family}</span>`;
  const used = families.filter((family) => marks.some(({ kernel }) => kernel.family === family));
  return html`<figure class="chart roofline">
<div class="scroll"><svg viewBox="0 0 ${size.width} ${size.height}" role="img" aria-label="Roofline: operations per second over operations per byte">
${x.ticks(10).filter(isPower).map(xTick)}${y.ticks(10).filter(isPower).map(yTick)}<text class="axis" x="${(size.left + right) / 2}" y="${size.height - 8}" text-anchor="middle">operations per byte of memory (FLOP/byte)</text>
<text class="axis" transform="translate(15 ${(size.top + bottom) / 2}) rotate(-90)" text-anchor="middle">operations per second (FLOP/s)</text>
${roof(cacheRoof, false)}${roofs.map(({ path, main }) => roof(path, main))}${[...marks].sort((a, b) => b.disc.r - a.disc.r).map(mark)}${roofs.map(roofLabel)}${numbers.map(
  ({
    text,
    x,
    y,
  }) => html`<text class="number-label" x="${round(x)}" y="${round(y)}" text-anchor="middle" dy="0.36em">${text}</text>
`,
)}</svg></div>
${used.length > 0 && html`<figcaption>${used.map(key)}<span>area: share of the time, from ${leastShare * 100} % · numbers: rows of the table</span></figcaption>`}
</figure>`;
}

const round = (value: number): number => Math.round(value * 10) / 10;
const isPower = (value: number): boolean => Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-9;
const plain = (value: number): string =>
  value >= 1 ? value.toLocaleString("en-US") : String(Number(value.toPrecision(1)));
