/** Images divided into regions of like pixels, each method a function of the image. */
export { type FelzenszwalbOptions, felzenszwalb } from "./felzenszwalb.ts";
export { type QuickshiftOptions, quickshift } from "./quickshift.ts";
export type { Segmentation } from "./segmentation.ts";
export { type SlicOptions, slic } from "./slic.ts";
