/** The two float formats of 16 bits, as conversions between their patterns and f32. */
export type HalfDType = "f16" | "bf16";

const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);

/** Values of 16-bit patterns as f32, exactly (subnormals, infinities and NaN included). */
export const widen = (dtype: HalfDType, source: Uint16Array): Float32Array<ArrayBuffer> =>
  dtype === "f16" ? f16ToF32(source) : bf16ToF32(source);

/** Patterns of the nearest 16-bit values, ties to even. Numbers are rounded to f32 first, as in PyTorch. */
export const narrow = (dtype: HalfDType, values: ArrayLike<number>): Uint16Array<ArrayBuffer> => {
  const source = values instanceof Float32Array ? values : Float32Array.from(values);
  const patterns = new Uint32Array(source.buffer, source.byteOffset, source.length);
  return dtype === "f16" ? f32ToF16(patterns) : f32ToBf16(patterns);
};

/** The nearest 16-bit value of one number, as a number. */
export const roundHalf = (dtype: HalfDType, value: number): number => widen(dtype, narrow(dtype, [value]))[0];

function f16ToF32(source: Uint16Array): Float32Array<ArrayBuffer> {
  const out = new Float32Array(source.length);
  for (let i = 0; i < source.length; i++) {
    const exponent = (source[i] >> 10) & 0x1f;
    const mantissa = source[i] & 0x3ff;
    const sign = source[i] & 0x8000 ? -1 : 1;
    if (exponent === 0) out[i] = sign * mantissa * 2 ** -24;
    else if (exponent === 31) out[i] = mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    else {
      // The exponent moves from bias 15 to bias 127, the mantissa from 10 to 23 bits.
      bits[0] = (((source[i] & 0x8000) << 16) | ((exponent + 112) << 23) | (mantissa << 13)) >>> 0;
      out[i] = float[0];
    }
  }
  return out;
}

/** bf16 is the upper half of an f32. */
function bf16ToF32(source: Uint16Array): Float32Array<ArrayBuffer> {
  const out = new Uint32Array(source.length);
  for (let i = 0; i < source.length; i++) out[i] = source[i] << 16;
  return new Float32Array(out.buffer);
}

const infinity = 0x7f800000;

function f32ToBf16(source: Uint32Array): Uint16Array<ArrayBuffer> {
  const out = new Uint16Array(source.length);
  for (let i = 0; i < source.length; i++) {
    const u = source[i];
    // A carry out of the mantissa moves on to the next exponent, and from the largest one to infinity.
    out[i] = (u & 0x7fffffff) > infinity ? (u >>> 16) | 0x40 : (u + 0x7fff + ((u >>> 16) & 1)) >>> 16;
  }
  return out;
}

/** Halfway from 65504, the largest finite f16, to 65536, which would be the next one. */
const overflow = 0x477ff000;
/** 2^-14, the least normal f16. */
const normal = 0x38800000;

function f32ToF16(source: Uint32Array): Uint16Array<ArrayBuffer> {
  const out = new Uint16Array(source.length);
  for (let i = 0; i < source.length; i++) {
    const a = source[i] & 0x7fffffff;
    let magnitude: number;
    if (a > infinity) magnitude = 0x7e00;
    else if (a >= overflow) magnitude = 0x7c00;
    else if (a >= normal) magnitude = (a - (112 << 23) + 0xfff + ((a >> 13) & 1)) >> 13;
    else {
      // Floats from 0.5 on are 2^-24 apart, as subnormal f16 are: the sum is rounded to those.
      bits[0] = a;
      float[0] += 0.5;
      magnitude = bits[0] - 0x3f000000;
    }
    out[i] = ((source[i] >>> 16) & 0x8000) | magnitude;
  }
  return out;
}
