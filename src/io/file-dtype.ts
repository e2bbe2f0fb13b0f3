import { type HostArray, loadValues, type TypedArray } from "../core/dtype.ts";
import { FormatError, ManabiError } from "../core/errors.ts";

/** Bits per element of every dtype of the format, those that cannot be read here included. */
export const bitSizes = {
  F64: 64,
  I64: 64,
  U64: 64,
  C64: 64,
  F32: 32,
  I32: 32,
  U32: 32,
  F16: 16,
  BF16: 16,
  I16: 16,
  U16: 16,
  I8: 8,
  U8: 8,
  BOOL: 8,
  F8_E4M3: 8,
  F8_E5M2: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  F6_E2M3: 6,
  F6_E3M2: 6,
  F4: 4,
} as const;

/** A dtype as the file spells it. */
export type FileDType = keyof typeof bitSizes;

/** The bytes of one tensor as a host array; `label` names file and tensor in errors. */
export function decode(
  label: string,
  { dtype, shape }: { readonly dtype: FileDType; readonly shape: readonly number[] },
  bytes: ArrayBuffer,
  widen: boolean,
): HostArray {
  const as = (to: HostArray["dtype"], data: TypedArray): HostArray => ({ dtype: to, shape, data });
  switch (dtype) {
    case "F64":
      return as("f64", new Float64Array(bytes));
    case "F32":
      return as("f32", new Float32Array(bytes));
    case "F16":
    case "BF16": {
      const half = dtype === "F16" ? "f16" : "bf16";
      const patterns = new Uint16Array(bytes);
      return widen ? as("f32", loadValues(patterns, half)) : as(half, patterns);
    }
    case "I64":
    case "U64":
      return as("i32", narrow(label, dtype, bytes));
    case "I32":
      return as("i32", new Int32Array(bytes));
    case "I16":
      return as("i32", Int32Array.from(new Int16Array(bytes)));
    case "U16":
      return as("i32", Int32Array.from(new Uint16Array(bytes)));
    case "I8":
      return as("i32", Int32Array.from(new Int8Array(bytes)));
    case "U32":
      return as("u32", new Uint32Array(bytes));
    case "U8":
      return as("u8", new Uint8Array(bytes));
    case "BOOL": {
      const data = new Uint8Array(bytes);
      const bad = data.findIndex((value) => value > 1);
      if (bad >= 0) throw new FormatError(`${label}: element ${bad} is ${data[bad]}; a BOOL is 0 or 1`);
      return as("bool", data);
    }
    default:
      throw new ManabiError(`${label} has dtype ${dtype}, which manabi cannot read; convert it to F32 or BF16`);
  }
}

function narrow(label: string, dtype: "I64" | "U64", bytes: ArrayBuffer): Int32Array<ArrayBuffer> {
  const words = new Int32Array(bytes);
  const out = new Int32Array(words.length / 2);
  for (let i = 0; i < out.length; i++) {
    out[i] = words[2 * i];
    // Fits when the upper word is the sign extension of the lower one (zero for an unsigned value).
    if (words[2 * i + 1] !== (dtype === "I64" ? out[i] >> 31 : 0) || (dtype === "U64" && out[i] < 0)) {
      const value = new DataView(bytes)[dtype === "I64" ? "getBigInt64" : "getBigUint64"](8 * i, true);
      throw new ManabiError(`${label}: element ${i} is ${value}, which does not fit i32; store it as I32 or F64`);
    }
  }
  return out;
}
