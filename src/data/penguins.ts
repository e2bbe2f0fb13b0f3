import { rename } from "node:fs/promises";
import { join } from "node:path";
import { fileSource, npmSource } from "../fetch/providers.ts";
import { type AcquireOptions, acquire, type Manifest } from "../fetch/sources.ts";
import { readRows } from "./json-rows.ts";
import { type LabelledTable, labelledTable } from "./table.ts";

const file = "penguins.json";
const version = "3.2.1";

/** The Palmer penguins as `vega-datasets` has them. */
export const penguinsManifest: Manifest = {
  name: "penguins",
  files: [{ name: file, bytes: 67119, sha256: "0facf769609f1205b82cbceb8238c36af3e6147a0ca0e163902cc6281ce3e917" }],
  sources: [
    npmSource(
      {
        name: "vega-datasets",
        version,
        integrity: "sha512-lTSwZA6yq6qSU2YZm+6bqILiIvTPPxn4itir7jPGFmHIdPvUfQ9pCzzcrklYywMJgLUbaIeSkZQdiJd6wBxPug==",
      },
      (path) => path === `data/${file}`,
      (unpacked, folder) => rename(join(unpacked, "data", file), join(folder, file)),
    ),
    fileSource([`https://cdn.jsdelivr.net/npm/vega-datasets@${version}/data/`]),
  ],
};

/** 344 penguins of three species from three islands, measured (Horst, Hill and Gorman 2020; CC0): the 333 of which nothing
 *  is missing. The class is the species, or another column. */
export async function penguins({
  target = "Species",
  ...options
}: AcquireOptions & { readonly target?: string } = {}): Promise<LabelledTable> {
  return labelledTable(await readRows(join(await acquire(penguinsManifest, options), file)), target);
}
