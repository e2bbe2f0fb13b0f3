/** How much each pixel of an image matters, rows from the top. Positive speaks for what is explained, negative against. */
export interface Heatmap {
  readonly width: number;
  readonly height: number;
  /** [height, width] */
  readonly data: Float32Array<ArrayBuffer>;
}
