/** The part of `manabi/data` that needs no files and no threads: data sets in memory, the loader, transforms. @module */
export type { Skipped } from "./batch.ts";
export type { Dataset, Field, Sample, SplitOptions, Splits } from "./dataset.ts";
export { concat, map, split, subset, take, UnreadableSample } from "./dataset.ts";
export type { DatasetSpec, ImageBlock } from "./dataset-spec.ts";
export { type IdxArray, idxImages, parseIdx } from "./idx.ts";
export type { LoaderOptions, LoaderState } from "./loader.ts";
export { DataLoader } from "./loader.ts";
export { ImageMemory, sharedBytes } from "./memory.ts";
export type { BatchTransform } from "./transforms/batch-literals.ts";
export * from "./transforms/batch-literals.ts";
export { applyTransforms } from "./transforms/index.ts";
export * from "./transforms/literals.ts";
