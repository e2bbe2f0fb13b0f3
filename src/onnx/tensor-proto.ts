import { type DType, type HostArray, isHalf, storeValues, type TypedArray } from "../core/dtype.ts";
import { FormatError, ManabiError, showShape } from "../core/errors.ts";
import { sizeOf } from "../core/shape.ts";
import { bitSizes, decode, type FileDType } from "../io/file-dtype.ts";
import type { TensorProto } from "./schema.ts";

/** `TensorProto.DataType` of our dtypes. */
export const onnxDTypes: Readonly<Record<DType, number>> = {
  f32: 1,
  u8: 2,
  i32: 6,
  bool: 9,
  f16: 10,
  f64: 11,
  u32: 12,
  bf16: 16,
};
export const int64 = 7;

/** Types of a file, as safetensors calls them. */
const fileDTypes: Readonly<Record<number, FileDType>> = {
  1: "F32",
  2: "U8",
  3: "I8",
  4: "U16",
  5: "I16",
  6: "I32",
  7: "I64",
  9: "BOOL",
  10: "F16",
  11: "F64",
  12: "U32",
  13: "U64",
  16: "BF16",
};

/** The dtype that values of an ONNX type have here: integers of 64, 16 and signed 8 bits are i32. */
export function dtypeOf(label: string, type: number | undefined): DType {
  const file = fileDTypes[type ?? 0];
  const found = (Object.keys(onnxDTypes) as DType[]).find((dtype) => onnxDTypes[dtype] === type);
  if (!file) throw new ManabiError(`${label} has the ONNX type ${type}, which manabi cannot read`);
  return found ?? "i32";
}

/** Values as a tensor of a file; `type` in place of the array's own, to write i32 as int64. */
export function toTensorProto(name: string, { dtype, shape, data }: HostArray, type = onnxDTypes[dtype]): TensorProto {
  const stored = type === int64 ? BigInt64Array.from(data, BigInt) : data;
  const rawData = new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
  return { name, dims: shape, dataType: type, rawData };
}

/** 2^62: integers beyond are taken for "to the end". */
const endless = 2 ** 62;

/** The values of a tensor of a file; `label` names it in errors. */
export function fromTensorProto(label: string, tensor: TensorProto): HostArray {
  const { dims = [], dataType = 0, rawData, externalData, dataLocation } = tensor;
  const dtype = dtypeOf(label, dataType);
  const file = fileDTypes[dataType];
  if (externalData?.length || dataLocation)
    throw new ManabiError(`${label}: its values are in another file; export the model into one file`);
  const size = sizeOf(dims);
  if (dims.some((d) => !(d >= 0)) || !Number.isSafeInteger(size))
    throw new FormatError(`${label}: ${showShape(dims)} is no shape`);
  const bytes = (size * bitSizes[file]) / 8;
  if (rawData) {
    if (rawData.length !== bytes)
      throw new FormatError(`${label}: ${dtype}${showShape(dims)} takes ${bytes} bytes, it has ${rawData.length}`);
    const copy = new Uint8Array(rawData).buffer; // not slice(), which is a view for a Buffer
    if (file === "I64") return { dtype: "i32", shape: dims, data: narrowed(label, new BigInt64Array(copy)) };
    return decode(label, { dtype: file, shape: dims }, copy, false);
  }
  const values = tensor.floatData ?? tensor.int32Data ?? tensor.int64Data ?? tensor.doubleData ?? [];
  if (values.length !== size)
    throw new FormatError(`${label}: ${dtype}${showShape(dims)} has ${size} values, the file ${values.length}`);
  return { dtype, shape: dims, data: fromNumbers(label, file, dtype, values) };
}

function fromNumbers(label: string, file: FileDType, dtype: DType, values: readonly number[]): TypedArray {
  // 16-bit floats are given as their patterns.
  if (isHalf(dtype)) return Uint16Array.from(values);
  if (file === "I64")
    return narrowed(
      label,
      BigInt64Array.from(values, (v) => clampedBigInt(v)),
    );
  return storeValues(values, dtype);
}

/** Numbers near 2^63 were rounded on reading; 2^63 itself does not fit. */
const clampedBigInt = (value: number): bigint =>
  Math.abs(value) >= endless ? (value < 0 ? -(2n ** 63n) : 2n ** 63n - 1n) : BigInt(value);

/** int64 as i32, with the largest and smallest numbers, which mean "to the end", as the largest and smallest of i32. */
function narrowed(label: string, values: BigInt64Array): Int32Array<ArrayBuffer> {
  return Int32Array.from(values, (value, i) => {
    const number = Number(value);
    if (number === (number | 0)) return number;
    if (Math.abs(number) >= endless) return number < 0 ? -(2 ** 31) : 2 ** 31 - 1;
    throw new ManabiError(`${label}: element ${i} is ${value}, which does not fit i32`);
  });
}
