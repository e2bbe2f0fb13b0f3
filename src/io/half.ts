const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);

/** IEEE half-precision patterns as f32 values, exactly (subnormals, infinities and NaN included). */
export function f16ToF32(source: Uint16Array): Float32Array<ArrayBuffer> {
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

/** bfloat16 patterns as f32 values, exactly: bf16 is the upper half of an f32. */
export function bf16ToF32(source: Uint16Array): Float32Array<ArrayBuffer> {
  const out = new Uint32Array(source.length);
  for (let i = 0; i < source.length; i++) out[i] = source[i] << 16;
  return new Float32Array(out.buffer);
}
