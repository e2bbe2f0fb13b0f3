/** Data sets, loaders and image transforms. @module */
export type { Dataset, Field, Sample, SplitOptions, Splits } from "./dataset.ts";
export { concat, map, split, subset } from "./dataset.ts";
export type { LoaderOptions, LoaderState } from "./loader.ts";
export { DataLoader } from "./loader.ts";
export { fashionMnist, idxFolder, mnist } from "./mnist.ts";
export type { AcquireOptions } from "./sources.ts";
export * from "./transforms/literals.ts";
