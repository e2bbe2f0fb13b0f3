import sharp from "sharp";

/** An 8-bit picture, rows from the top, channels interleaved: grey, RGB or RGBA. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3 | 4;
  readonly data: Uint8Array;
}

/** The picture as a PNG file. */
export function encodePng({ data, width, height, channels }: Picture): Promise<Uint8Array> {
  return sharp(data, { raw: { width, height, channels } }).png({ compressionLevel: 9 }).toBuffer();
}

/** Width and height of a PNG file, from its first chunk. */
export function pngSize(png: Uint8Array): { width: number; height: number } {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  return { width: view.getUint32(16), height: view.getUint32(20) };
}
