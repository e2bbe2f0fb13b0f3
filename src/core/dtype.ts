import { type HalfDType, narrow, roundHalf, widen } from "./half.ts";

export type { HalfDType } from "./half.ts";

/** Element types. f16 and bf16 are stored as 16-bit patterns; a backend that lacks a dtype refuses it by name. */
export type DType = "f32" | "f64" | "f16" | "bf16" | "i32" | "u32" | "u8" | "bool";

export type TypedArray =
  | Float32Array<ArrayBuffer>
  | Float64Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>;

interface ArrayConstructor {
  new (length: number): TypedArray;
  new (buffer: ArrayBuffer, offset?: number, length?: number): TypedArray;
  from(values: ArrayLike<number>): TypedArray;
  readonly BYTES_PER_ELEMENT: number;
}

const arrays: Record<DType, ArrayConstructor> = {
  f32: Float32Array as ArrayConstructor,
  f64: Float64Array as ArrayConstructor,
  f16: Uint16Array as ArrayConstructor,
  bf16: Uint16Array as ArrayConstructor,
  i32: Int32Array as ArrayConstructor,
  u32: Uint32Array as ArrayConstructor,
  u8: Uint8Array as ArrayConstructor,
  bool: Uint8Array as ArrayConstructor,
};

export const dtypes = Object.keys(arrays) as readonly DType[];

/** A dense row-major array in host memory: what data sets and files exchange. f16 and bf16 are 16-bit patterns. */
export interface HostArray {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TypedArray;
}

/** The typed-array constructor that stores `dtype`. */
export const arrayType = (dtype: DType): ArrayConstructor => arrays[dtype];

/** Bytes per element. */
export const byteSize = (dtype: DType): number => arrays[dtype].BYTES_PER_ELEMENT;

export const isFloat = (dtype: DType): boolean =>
  dtype === "f32" || dtype === "f64" || dtype === "f16" || dtype === "bf16";

export const isHalf = (dtype: DType): dtype is HalfDType => dtype === "f16" || dtype === "bf16";

/** The dtype in which arithmetic on `dtype` is done, before the result is rounded to it. */
export const computeDType = <D extends string>(dtype: D): D | "f32" =>
  dtype === "f16" || dtype === "bf16" ? "f32" : dtype;

/** Numbers as an array of `dtype`: floats are rounded to nearest, ties to even. */
export const storeValues = (values: ArrayLike<number>, dtype: DType): TypedArray =>
  isHalf(dtype) ? narrow(dtype, values) : arrayType(dtype).from(values);

/** `size` times `value` as an array of `dtype`. */
export const filledArray = (size: number, dtype: DType, value: number): TypedArray =>
  new (arrayType(dtype))(size).fill(storeValues([value], dtype)[0]) as TypedArray;

/** The numbers in an array of `dtype`: the array itself but for 16-bit floats, which are widened to f32. */
export const loadValues = (data: TypedArray, dtype: DType): TypedArray =>
  isHalf(dtype) ? widen(dtype, data as Uint16Array) : data;

/** `value` as it is once stored in `dtype`. */
export function storedValue(value: number, dtype: DType): number {
  switch (dtype) {
    case "f32":
      return Math.fround(value);
    case "f16":
    case "bf16":
      return roundHalf(dtype, value);
    case "i32":
      return value | 0;
    case "u32":
      return value >>> 0;
    case "u8":
      return value & 255;
    case "bool":
      return value !== 0 ? 1 : 0;
    default:
      return value;
  }
}

const rank: Record<DType, number> = { bool: 0, u8: 1, u32: 2, i32: 3, f16: 4, bf16: 4, f32: 5, f64: 6 };

/** The dtype of a binary operation on two tensors: floats win over integers, wider wins over narrower. */
export function promote(a: DType, b: DType): DType {
  if (a === b) return a;
  if (rank[a] === rank[b]) return "f32"; // f16 with bf16
  return rank[a] > rank[b] ? a : b;
}
