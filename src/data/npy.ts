import type { DType, HostArray } from "../core/dtype.ts";
import { arrayType } from "../core/dtype.ts";
import { FormatError } from "../core/errors.ts";

/** NumPy's type strings for the dtypes that a file may hold, all little-endian. */
const dtypes: Readonly<Record<string, DType>> = {
  "|u1": "u8",
  "|b1": "bool",
  "<i4": "i32",
  "<u4": "u32",
  "<f4": "f32",
  "<f8": "f64",
};

/** The header of a NumPy .npy file and where its data begin. */
export interface NpyHeader {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly offset: number;
}

/** Reads the header of a .npy file (format 1.0 to 3.0, C order) from its first bytes. */
export function parseNpyHeader(bytes: Uint8Array, name: string): NpyHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 12 || view.getUint32(0) !== 0x934e554d || view.getUint16(4) !== 0x5059)
    throw new FormatError(`${name}: not a .npy file; it must begin with \\x93NUMPY`);
  const start = bytes[6] === 1 ? 10 : 12;
  const length = bytes[6] === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  const offset = start + length;
  if (offset > bytes.length)
    throw new FormatError(`${name}: the .npy header says ${length} bytes; the file ends before`);
  const text = new TextDecoder("latin1").decode(bytes.subarray(start, offset));
  const type = /'descr':\s*'([^']+)'/.exec(text)?.[1] ?? "";
  const shape = /'shape':\s*\(([\d,\s]*)\)/.exec(text)?.[1];
  const dtype = Object.hasOwn(dtypes, type) ? dtypes[type] : null;
  if (!dtype || shape === undefined || !/'fortran_order':\s*False/.test(text))
    throw new FormatError(
      `${name}: needs a .npy file in C order of ${Object.keys(dtypes).join(", ")}; the header says ${text.trim()}`,
    );
  return { dtype, shape: shape.split(",").flatMap((n) => (n.trim() ? [Number(n)] : [])), offset };
}

/** Decodes a whole .npy file. */
export function parseNpy(bytes: Uint8Array, name: string): HostArray {
  const { dtype, shape, offset } = parseNpyHeader(bytes, name);
  const count = shape.reduce((a, b) => a * b, 1);
  const size = count * arrayType(dtype).BYTES_PER_ELEMENT;
  if (bytes.length - offset !== size)
    throw new FormatError(
      `${name}: the header says [${shape.join(",")}], ${size} bytes; the file holds ${bytes.length - offset}`,
    );
  const aligned = new Uint8Array(bytes.subarray(offset)); // a copy, so that wider elements are aligned
  return { dtype, shape, data: new (arrayType(dtype))(aligned.buffer, 0, count) };
}
