/** An image divided into regions, rows from the top. */
export interface Segmentation {
  readonly width: number;
  readonly height: number;
  /** The region of each pixel, 0 to count - 1, numbered in the order in which they are met. [height, width] */
  readonly labels: Int32Array<ArrayBuffer>;
  /** How many regions there are. */
  readonly count: number;
}

/** Regions from any numbers below `pixels` that tell them apart, such as the pixel at the root of each tree. */
export function numbered(marks: Int32Array, width: number, height: number): Segmentation {
  const numbers = new Int32Array(marks.length).fill(-1);
  const labels = new Int32Array(marks.length);
  let count = 0;
  for (let p = 0; p < marks.length; p++) {
    if (numbers[marks[p]] < 0) numbers[marks[p]] = count++;
    labels[p] = numbers[marks[p]];
  }
  return { width, height, labels, count };
}
