import { FormatError } from "../core/errors.ts";
import type { Dataset, Sample } from "./dataset.ts";
import { checkIndex } from "./dataset.ts";
import type { ImageBlock } from "./dataset-spec.ts";

/** Allocates u8 memory that worker threads can share, or plain memory in a web page that may not share any. */
export const sharedBytes = (length: number): Uint8Array<ArrayBufferLike> =>
  new Uint8Array(typeof SharedArrayBuffer === "undefined" ? new ArrayBuffer(length) : new SharedArrayBuffer(length));

/** An in-memory image data set; `rows` picks images of the block, so a subset costs only its index. */
export class ImageMemory implements Dataset {
  readonly block: ImageBlock;
  readonly rows: Uint32Array | null;
  readonly length: number;
  readonly labels: Int32Array;

  constructor(block: ImageBlock, rows: Uint32Array | null = null) {
    const { pixels, height, width, channels, labels, classes, origin } = block;
    if (pixels.length !== labels.length * height * width * channels)
      throw new FormatError(
        `${origin}: ${labels.length} labels of ${height}x${width}x${channels} images need ${labels.length * height * width * channels} pixels, got ${pixels.length}`,
      );
    const wrong = labels.findIndex((label) => label < 0 || label >= classes.length);
    if (wrong >= 0)
      throw new FormatError(
        `${origin}: label ${labels[wrong]} of image ${wrong} is not one of ${classes.length} classes`,
      );
    this.block = block;
    this.rows = rows;
    this.length = rows ? rows.length : labels.length;
    this.labels = rows ? Int32Array.from(rows, (row) => labels[row]) : labels;
  }

  get classes(): readonly string[] {
    return this.block.classes;
  }

  get spec() {
    return { kind: "memory", block: this.block, rows: this.rows } as const;
  }

  /** The image of the block that sample `index` is. */
  row(index: number): number {
    return this.rows ? this.rows[index] : index;
  }

  get(index: number): Sample {
    checkIndex(index, this.length);
    const { pixels, height, width, channels } = this.block;
    const size = height * width * channels;
    const row = this.row(index);
    const data = new Uint8Array(size);
    data.set(pixels.subarray(row * size, (row + 1) * size));
    return [{ dtype: "u8", shape: [height, width, channels], data }, this.labels[index]];
  }

  describe(index: number): string {
    return `${this.block.origin} image ${this.row(index)}`;
  }

  select(indices: Uint32Array): ImageMemory {
    return new ImageMemory(
      this.block,
      indices.map((i) => this.row(i)),
    );
  }
}
