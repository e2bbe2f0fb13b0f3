import { ManabiError } from "../core/errors.ts";
import type { Dataset } from "./dataset.ts";
import { concat, subset } from "./dataset.ts";
import type { DatasetSpec } from "./dataset-spec.ts";
import { ImageFileDataset } from "./image-files.ts";
import { ImageMemory } from "./memory.ts";

/** Opens the data set that `spec` describes. */
export async function openDataset(spec: DatasetSpec): Promise<Dataset> {
  switch (spec.kind) {
    case "memory":
      return new ImageMemory(spec.block, spec.rows);
    case "files":
      return new ImageFileDataset(spec.files);
    case "subset":
      return subset(await openDataset(spec.of), spec.indices);
    case "concat":
      return concat(...(await Promise.all(spec.parts.map(openDataset))));
    case "module":
      return moduleDataset(spec.url, ...spec.args);
  }
}

/**
 * A data set made by the default export of the module at `url`, called with `args` (plain data). Worker threads
 * import the same module, so that data sets of your own are read off the main thread.
 */
export async function moduleDataset(url: string | URL, ...args: readonly unknown[]): Promise<Dataset> {
  const { default: make }: { default?: (...args: readonly unknown[]) => Dataset | Promise<Dataset> } = await import(
    String(url)
  );
  if (typeof make !== "function")
    throw new ManabiError(`${url}: must have a function as default export that makes a data set`);
  const made = await make(...args);
  return {
    length: made.length,
    classes: made.classes,
    labels: made.labels,
    spec: { kind: "module", url: String(url), args },
    get: (index) => made.get(index),
    describe: (index) => made.describe(index),
  };
}
