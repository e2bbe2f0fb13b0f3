import type { DType, HostArray } from "../core/dtype.ts";
import { arrayType } from "../core/dtype.ts";
import { FormatError } from "../core/errors.ts";
import { ImageMemory, sharedBytes } from "./memory.ts";

interface Element {
  readonly bytes: number;
  readonly dtype: DType;
  readonly read: (view: DataView, at: number) => number;
}

/** Element types by the third byte of the magic number; signed integers below 32 bits widen to i32. */
const elements: Record<number, Element> = {
  8: { bytes: 1, dtype: "u8", read: (v, at) => v.getUint8(at) },
  9: { bytes: 1, dtype: "i32", read: (v, at) => v.getInt8(at) },
  11: { bytes: 2, dtype: "i32", read: (v, at) => v.getInt16(at) },
  12: { bytes: 4, dtype: "i32", read: (v, at) => v.getInt32(at) },
  13: { bytes: 4, dtype: "f32", read: (v, at) => v.getFloat32(at) },
  14: { bytes: 8, dtype: "f64", read: (v, at) => v.getFloat64(at) },
};

/** Decodes an IDX file (the format of MNIST): two zero bytes, type, rank, big-endian sizes, elements. */
export function parseIdx(bytes: Uint8Array, name: string): HostArray {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4 || view.getUint16(0) !== 0)
    throw new FormatError(`${name}: not an IDX file; it must begin with two zero bytes`);
  const element = elements[bytes[2]];
  if (!element) throw new FormatError(`${name}: unknown IDX element type 0x${bytes[2].toString(16)}`);
  const rank = bytes[3];
  const header = 4 + 4 * rank;
  if (rank === 0 || bytes.length < header)
    throw new FormatError(`${name}: the IDX header of rank ${rank} does not fit; the file has ${bytes.length} bytes`);
  const shape = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const count = shape.reduce((a, b) => a * b, 1); // a double: lying sizes overflow to a number that no file matches
  if (bytes.length - header !== count * element.bytes)
    throw new FormatError(
      `${name}: the header says [${shape.join(",")}], ${count * element.bytes} bytes; the file holds ${bytes.length - header} (truncated or corrupt: remove it to fetch it again)`,
    );
  if (element.dtype === "u8") return { dtype: "u8", shape, data: new Uint8Array(bytes.subarray(header)) };
  const data = new (arrayType(element.dtype))(count);
  for (let i = 0; i < count; i++) data[i] = element.read(view, header + i * element.bytes);
  return { dtype: element.dtype, shape, data };
}

/** What an IDX file holds, and what to call it in errors. */
export interface IdxArray extends HostArray {
  readonly name: string;
}

/** Grey images u8 [n, h, w] with their labels u8 [n], as MNIST has them, as a data set. */
export function idxImages(images: IdxArray, labels: IdxArray, classes: readonly string[]): ImageMemory {
  if (images.dtype !== "u8" || images.shape.length !== 3)
    throw new FormatError(`${images.name}: holds ${images.dtype} [${images.shape.join(",")}], expected u8 [n, h, w]`);
  if (labels.dtype !== "u8" || labels.shape.length !== 1)
    throw new FormatError(`${labels.name}: holds ${labels.dtype} [${labels.shape.join(",")}], expected u8 [n]`);
  const pixels = sharedBytes(images.data.length);
  pixels.set(images.data);
  return new ImageMemory({
    pixels,
    height: images.shape[1],
    width: images.shape[2],
    channels: 1,
    labels: Int32Array.from(labels.data),
    classes,
    origin: images.name,
  });
}
