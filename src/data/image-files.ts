import sharp from "sharp";
import type { HostArray } from "../core/dtype.ts";
import { FormatError } from "../core/errors.ts";
import type { Dataset, Sample } from "./dataset.ts";
import { checkIndex, UnreadableSample } from "./dataset.ts";
import type { ImageFiles } from "./dataset-spec.ts";

/** Pixels of the largest picture that is decoded: three quarters of a GiB as RGB. A small file can claim to be larger. */
const mostPixels = 2 ** 28;

/**
 * Decodes JPEG, PNG, WebP, GIF, AVIF or TIFF to u8 [height, width, 3]: the first frame, upright by its EXIF
 * orientation, any colour type as 8-bit RGB, without alpha. Colour profiles of RGB files are ignored, as Pillow does.
 * Throws for what is damaged, and for pictures of more than 2^28 pixels before any of them is decoded.
 */
export async function decodeImage(source: string | Uint8Array): Promise<HostArray> {
  const options = { failOn: "error", ignoreIcc: true, sequentialRead: true, limitInputPixels: mostPixels } as const;
  const { data, info } = await sharp(source, options)
    .autoOrient()
    .toColourspace("srgb")
    .removeAlpha()
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true })
    .catch(async (cause: Error) => {
      throw /pixel limit/.test(cause.message) ? await tooLarge(source, cause) : cause;
    });
  return { dtype: "u8", shape: [info.height, info.width, info.channels], data: new Uint8Array(data) };
}

async function tooLarge(source: string | Uint8Array, cause: Error): Promise<FormatError> {
  const { width, height } = await sharp(source, { limitInputPixels: false }).metadata();
  const size = `it is ${width} x ${height} pixels, and the limit is ${mostPixels} in all`;
  return new FormatError(`${size}; make it smaller`, { cause });
}

/** Images in files, decoded when asked for. */
export class ImageFileDataset implements Dataset {
  readonly files: ImageFiles;

  constructor(files: ImageFiles) {
    this.files = files;
  }

  get length(): number {
    return this.files.paths.length;
  }

  get classes(): readonly string[] {
    return this.files.classes;
  }

  get labels(): Int32Array {
    return this.files.labels;
  }

  get spec() {
    return { kind: "files", files: this.files } as const;
  }

  async get(index: number): Promise<Sample> {
    checkIndex(index, this.length);
    const { paths, labels, onError } = this.files;
    const image = await decodeImage(paths[index]).catch((cause: Error) => {
      const message = `${paths[index]}: cannot be decoded (${cause.message.trim()})`;
      throw onError === "skip"
        ? new UnreadableSample(message, { cause })
        : new FormatError(`${message}; remove it, or use onError: "skip"`, { cause });
    });
    return [image, labels[index]];
  }

  describe(index: number): string {
    return this.files.paths[index];
  }

  select(indices: Uint32Array): ImageFileDataset {
    const { paths, labels } = this.files;
    return new ImageFileDataset({
      ...this.files,
      paths: Array.from(indices, (i) => paths[i]),
      labels: Int32Array.from(indices, (i) => labels[i]),
    });
  }
}
