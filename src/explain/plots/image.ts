import { ManabiError } from "../../core/errors.ts";
import type { Segmentation } from "../../superpixels/index.ts";
import { dataUri, html, type Markup } from "../../train/report/markup.ts";
import type { Picture } from "../../train/report/png.ts";
import { colourTable, overlay } from "../draw.ts";
import type { Heatmap } from "../heatmap.ts";
import type { ShapValues } from "../shap/shap-values.ts";
import { checkExample, plain, round, soft, svgPicture, text } from "./frame.ts";

export interface ImageMap {
  readonly map: Heatmap;
  /** Such as the class. */
  readonly title: string;
}

/** The values of an image's regions as a map: each pixel has the value of its whole region. */
export function regionHeatmap(shap: ShapValues, regions: Segmentation, example = 0): Heatmap {
  checkExample("regionHeatmap", shap, example);
  if (shap.names.length !== regions.count)
    throw new ManabiError(
      `regionHeatmap: there are values of ${shap.names.length} players for ${regions.count} regions; give the regions of the masker`,
    );
  const own = shap.values.subarray(example * regions.count, (example + 1) * regions.count);
  const { width, height } = regions;
  return { width, height, data: Float32Array.from(regions.labels, (label) => own[label]) };
}

const gap = 16;
const side = 240;

/**
 * A picture beside what its pixels say for (orange) and against (purple) each class, on one scale, as an SVG picture that
 * holds everything it shows.
 */
export async function imagePlot(picture: Picture, maps: readonly ImageMap[]): Promise<string> {
  if (maps.length === 0) throw new ManabiError("imagePlot: there is no map to show; give at least one");
  const { encodePng } = await import("../../train/report/png.ts"); // needs sharp, which pages do not have
  const limit = strongest(maps);
  const height = round((side * picture.height) / picture.width);
  const top = 34;
  const panels = [
    { title: "input", png: await encodePng(picture) },
    ...(await Promise.all(
      maps.map(async ({ map, title }) => ({
        title,
        png: await encodePng(overlay(picture, map, { colours: "purple-orange", limit })),
      })),
    )),
  ];
  const width = gap + panels.length * (side + gap);
  const drawn = panels.map(
    (
      { title, png },
      i,
    ) => html`${text(gap + i * (side + gap), 18, title, { weight: 600 })}<image x="${gap + i * (side + gap)}" y="${top}" width="${side}" height="${height}" href="${dataUri(png)}" preserveAspectRatio="none"/>
`,
  );
  return svgPicture(width, top + height + 54, `What speaks for ${maps.map(({ title }) => title).join(", ")}`, [
    ...drawn,
    colourBar(width / 2 - 120, top + height + 16, limit),
  ]);
}

/** The magnitude that 99.5 % of the pixels of all maps do not exceed. */
function strongest(maps: readonly ImageMap[]): number {
  const all = Float64Array.from(
    maps.flatMap(({ map }) => [...map.data]),
    Math.abs,
  ).sort();
  return all[Math.ceil(0.995 * (all.length - 1))] || 1;
}

function colourBar(x: number, y: number, limit: number): Markup {
  const table = colourTable("purple-orange");
  const stops = Array.from({ length: 17 }, (_, i) => {
    const at = Math.round((i / 16) * 255) * 3;
    return html`<stop offset="${i / 16}" stop-color="rgb(${table.subarray(at, at + 3).join(",")})"/>`;
  });
  return html`<linearGradient id="signs">${stops}</linearGradient>
<rect x="${x}" y="${y}" width="240" height="9" fill="url(#signs)"/>
${text(x - 8, y + 5, "against", { ...soft, anchor: "end" })}${text(x + 248, y + 5, "for", soft)}${text(x, y + 22, plain(-limit), { ...soft, anchor: "middle" })}${text(x + 120, y + 22, "0", { ...soft, anchor: "middle" })}${text(x + 240, y + 22, plain(limit), { ...soft, anchor: "middle" })}`;
}
