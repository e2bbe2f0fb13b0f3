/* What generated kernels call. Branch-free in f32, so that the compiler vectorizes loops that use it. */
#include <math.h>
#include <stdint.h>
#include <string.h>

/* A computed position: counts from the end if negative, then clamped. */
static inline int64_t mnb_at(int32_t i, int64_t n) {
  int64_t k = i < 0 ? i + n : i;
  return k < 0 ? 0 : k >= n ? n - 1 : k;
}

/* Floor division and its remainder, for index arithmetic; the divisor is positive. */
static inline int64_t mnb_div(int64_t x, int64_t n) { return x >= 0 ? x / n : -((-x + n - 1) / n); }
static inline int64_t mnb_mod(int64_t x, int64_t n) {
  int64_t r = x % n;
  return r < 0 ? r + n : r;
}

#define MNB_TO_INT(from, F, to, T, LOW, HIGH) \
  static inline T mnb_##from##_to_##to(F x) { \
    return x != x ? 0 : x <= (F)LOW ? LOW : x >= (F)HIGH ? HIGH : (T)x; \
  }
MNB_TO_INT(f32, float, i32, int32_t, INT32_MIN, INT32_MAX)
MNB_TO_INT(f64, double, i32, int32_t, INT32_MIN, INT32_MAX)
MNB_TO_INT(f32, float, u32, uint32_t, 0, UINT32_MAX)
MNB_TO_INT(f64, double, u32, uint32_t, 0, UINT32_MAX)
MNB_TO_INT(f32, float, u8, uint8_t, 0, UINT8_MAX)
MNB_TO_INT(f64, double, u8, uint8_t, 0, UINT8_MAX)

static inline float mnb_sign_f32(float x) { return x != x ? x : (float)((x > 0) - (x < 0)); }
static inline double mnb_sign_f64(double x) { return x != x ? x : (double)((x > 0) - (x < 0)); }

static inline int32_t mnb_div_i32(int32_t x, int32_t y) { return y == 0 ? 0 : y == -1 ? -x : x / y; }
static inline uint32_t mnb_div_u32(uint32_t x, uint32_t y) { return y == 0 ? 0 : x / y; }
static inline uint8_t mnb_div_u8(uint8_t x, uint8_t y) { return y == 0 ? 0 : x / y; }
static inline float mnb_mod_f32(float x, float y) { return x - y * __builtin_floorf(x / y); }
static inline double mnb_mod_f64(double x, double y) { return x - y * __builtin_floor(x / y); }
static inline int32_t mnb_mod_i32(int32_t x, int32_t y) {
  if (y == 0 || y == -1) return 0;
  int32_t r = x % y;
  return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}
static inline uint32_t mnb_mod_u32(uint32_t x, uint32_t y) { return y == 0 ? 0 : x % y; }
static inline uint8_t mnb_mod_u8(uint8_t x, uint8_t y) { return y == 0 ? 0 : x % y; }

#define MNB_POW_INT(name, T) \
  static inline T mnb_pow_##name(T x, T y) { \
    T r = 1; \
    if (y < 0 && y + 1 <= 0) return x == 1 ? 1 : x == (T)-1 ? ((y & 1) ? x : 1) : 0; \
    for (; y; y = (T)(y >> 1), x = (T)(x * x)) \
      if (y & 1) r = (T)(r * x); \
    return r; \
  }
MNB_POW_INT(i32, int32_t)
MNB_POW_INT(u32, uint32_t)
MNB_POW_INT(u8, uint8_t)

static inline float mnb_bits_f32(int32_t i) {
  float f;
  memcpy(&f, &i, 4);
  return f;
}
static inline int32_t mnb_int_f32(float f) {
  int32_t i;
  memcpy(&i, &f, 4);
  return i;
}

/* The 16-bit floats. In a kernel their values are f32; `from` reads a pattern, `round` gives the nearest value (ties to
   even, NaN stays NaN), and `to` its pattern. Integer operations throughout: every compiler vectorizes them, and what
   the hardware does with subnormals does not matter. */
static inline float mnb_from_bf16(uint16_t h) { return mnb_bits_f32((int32_t)((uint32_t)h << 16)); }
/* A carry out of the mantissa moves on to the next exponent, and from the largest one to infinity. */
static inline uint16_t mnb_to_bf16(float x) {
  uint32_t u = (uint32_t)mnb_int_f32(x);
  return (uint16_t)(x != x ? 0x7fc0u : (u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}
static inline float mnb_round_bf16(float x) {
  uint32_t u = (uint32_t)mnb_int_f32(x), r = (u + 0x7fffu + (u >> 16 & 1u)) & 0xffff0000u;
  return mnb_bits_f32((int32_t)(x != x ? 0x7fc00000u : r));
}

#if defined(__AVX512FP16__) || (defined(__clang__) && defined(__FLT16_MANT_DIG__) && (defined(__F16C__) || defined(__aarch64__)))
/* Where compilers vectorize these conversions. */
static inline float mnb_from_f16(uint16_t h) {
  _Float16 f;
  memcpy(&f, &h, 2);
  return (float)f;
}
static inline uint16_t mnb_to_f16(float x) {
  _Float16 f = (_Float16)x;
  uint16_t h;
  memcpy(&h, &f, 2);
  return h;
}
static inline float mnb_round_f16(float x) { return (float)(_Float16)x; }
#else
/* Exponent and mantissa of f16 at their places in f32 are 2^112 too small; what was infinite or NaN becomes so again. */
static inline float mnb_from_f16(uint16_t h) {
  uint32_t e = (uint32_t)(h & 0x7fff) << 13;
  uint32_t u = (uint32_t)mnb_int_f32(mnb_bits_f32((int32_t)e) * 0x1p112f);
  u = e >= 0x0f800000u ? u | 0x7f800000u : u;
  return mnb_bits_f32((int32_t)(u | (uint32_t)(h & 0x8000) << 16));
}
/* f16 begins at 2^-14 with normal values; below it they are 2^-24 apart, as floats from 0.5 on are. From 65520, halfway
   between the largest value and the next power of two, all is infinite. */
static inline uint16_t mnb_to_f16(float x) {
  uint32_t u = (uint32_t)mnb_int_f32(x), a = u & 0x7fffffffu;
  uint32_t r = (a + 0xfffu + (a >> 13 & 1u) - 0x38000000u) >> 13;
  r = a < 0x38800000u ? (uint32_t)mnb_int_f32(mnb_bits_f32((int32_t)a) + 0.5f) - 0x3f000000u : r;
  r = a >= 0x477ff000u ? 0x7c00u : r;
  r = a > 0x7f800000u ? 0x7e00u : r;
  return (uint16_t)(r | (u >> 16 & 0x8000u));
}
static inline float mnb_round_f16(float x) {
  uint32_t u = (uint32_t)mnb_int_f32(x), a = u & 0x7fffffffu;
  uint32_t r = (a + 0xfffu + (a >> 13 & 1u)) & 0xffffe000u;
  r = a < 0x38800000u ? (uint32_t)mnb_int_f32((mnb_bits_f32((int32_t)a) + 0.5f) - 0.5f) : r;
  r = a >= 0x477ff000u ? 0x7f800000u : r;
  r = a > 0x7f800000u ? 0x7fc00000u : r;
  return mnb_bits_f32((int32_t)(r | (u & 0x80000000u)));
}
#endif

/* Functions of f32: branch-free, so that loops vectorize, and within 2 units in the last place over the whole range
   (test/conformance/functions.test.ts). Polynomials are minimax fits by scripts/fit-functions.py; the error stated is
   that of the fit, in units of 2^-24 of the result. f64 takes the functions of libm. */

static inline float mnb_horner(float x, const float *c, int n) {
  float p = c[0];
  for (int i = 1; i < n; i++) p = p * x + c[i];
  return p;
}
#define MNB_POLYNOMIAL(x, ...) \
  mnb_horner(x, (const float[]){__VA_ARGS__}, sizeof((const float[]){__VA_ARGS__}) / sizeof(float))

/* 2^k for -126 <= k <= 127. */
static inline float mnb_power_of_two(int32_t k) { return mnb_bits_f32((k + 127) << 23); }

/* x - n ln 2; the first part of ln 2 has few bits, so that its product with n is exact. */
static inline float mnb_less_ln2(float x, float n) { return (x - n * 0.693359375f) + n * 2.12194440e-4f; }

/* e^x = 2^n (1 + r + r^2 P(r)) with |r| <= ln 2 / 2; the scale is applied in two halves, so that subnormal results
   round right. Error 0.002. */
static inline float mnb_exp_f32(float x) {
  float c = x > 89.0f ? 89.0f : x < -104.0f ? -104.0f : x;
  c = x != x ? 0.0f : c;
  float n = __builtin_rintf(c * 1.44269504f);
  float r = mnb_less_ln2(c, n);
  float p = MNB_POLYNOMIAL(r, 0x1.9dfbbp-13f, 0x1.6d4cbcp-10f, 0x1.11130ep-7f, 0x1.5554e8p-5f, 0x1.555554p-3f, 0.5f);
  int32_t k = (int32_t)n, h = k >> 1;
  float y = (1.0f + (r + r * r * p)) * mnb_power_of_two(h) * mnb_power_of_two(k - h);
  y = x > 88.7228394f ? INFINITY : y;
  return x != x ? x : y;
}

/* e^x - 1 = 2^n (e^r - 1) + (2^n - 1), at half the scale, because 2^128 overflows. Error 0.007. */
static inline float mnb_expm1_f32(float x) {
  float c = x > 89.0f ? 89.0f : x < -18.0f ? -18.0f : x;
  c = x != x ? 0.0f : c;
  float n = __builtin_rintf(c * 1.44269504f);
  float r = mnb_less_ln2(c, n);
  float p = MNB_POLYNOMIAL(r, 0x1.9e72dcp-13f, 0x1.6d3a3ap-10f, 0x1.1112d8p-7f, 0x1.5554f8p-5f, 0x1.555554p-3f, 0.5f);
  float half = mnb_power_of_two((int32_t)n - 1);
  float y = 2.0f * (half * (r + r * r * p) + (half - 0.5f));
  y = x > 88.7228394f ? INFINITY : y;
  y = n == 0.0f ? r + r * r * p : y;
  return x == 0.0f || x != x ? x : y;
}

/* n ln 2 + log(1 + f) with log(1 + f) = f - f^2 / 2 + f^3 P(f) for 1 + f in [1/sqrt 2, sqrt 2). Error 0.013. */
static inline float mnb_log_parts(float n, float f) {
  float p = MNB_POLYNOMIAL(f, 0x1.1484e8p-4f, -0x1.de1004p-4f, 0x1.e6c03ep-4f, -0x1.fc26acp-4f, 0x1.233b78p-3f,
                           -0x1.555c4ep-3f, 0x1.99a478p-3f, -0x1.000006p-2f, 0x1.555548p-2f);
  float z = f * f;
  return n * 0.693145752f + (f - (0.5f * z - (z * f * p + n * 1.42860682e-6f)));
}

static inline float mnb_log_f32(float x) {
  int tiny = x < 1.17549435e-38f;
  float y = tiny ? x * 16777216.0f : x;
  int32_t i = mnb_int_f32(y), e = (i - 0x3f3504f3) >> 23;
  float r = mnb_log_parts((float)e - (tiny ? 24.0f : 0.0f), mnb_bits_f32(i - (e << 23)) - 1.0f);
  r = x == INFINITY ? x : r;
  r = x == 0.0f ? -INFINITY : r;
  return x < 0.0f || x != x ? NAN : r;
}

/* log u, u = 1 + x rounded, with what the rounding lost added to the mantissa. */
static inline float mnb_log1p_f32(float x) {
  float u = 1.0f + x;
  float lost = x < 16777216.0f ? x - (u - 1.0f) : 0.0f;
  int32_t i = mnb_int_f32(u), e = (i - 0x3f3504f3) >> 23;
  float f = (mnb_bits_f32(i - (e << 23)) - 1.0f) + lost * mnb_power_of_two(e > 126 ? -126 : -e);
  float r = mnb_log_parts((float)e, f);
  r = x == INFINITY || x == 0.0f ? x : r;
  r = x == -1.0f ? -INFINITY : r;
  return x < -1.0f || x != x ? NAN : r;
}

/* tanh x = x + x^3 P(x^2) near 0, error 0.003; else 1 - 2 / (e^2x + 1). */
static inline float mnb_tanh_f32(float x) {
  float a = __builtin_fabsf(x), z = x * x;
  float p = MNB_POLYNOMIAL(z, 0x1.1a2e3ep-9f, -0x1.0c602p-7f, 0x1.63a57ep-6f, -0x1.b9f18ap-5f, 0x1.11107ap-3f,
                           -0x1.555554p-2f);
  float small = a + a * (z * p);
  float big = 1.0f - 2.0f / (mnb_exp_f32(2.0f * a) + 1.0f);
  return __builtin_copysignf(a < 0.625f ? small : big, x);
}

/* erf x = x + x P(x^2) near 0, error 0.024; else 1 - e^Q(x), error 0.018. */
static inline float mnb_erf_f32(float x) {
  float a = __builtin_fabsf(x), z = x * x;
  float c = a > 4.0f ? 4.0f : a;
  float p = MNB_POLYNOMIAL(z, 0x1.4771fcp-14f, -0x1.a3515ep-11f, 0x1.53f224p-8f, -0x1.b7f71ap-6f, 0x1.ce2ce6p-4f,
                           -0x1.81273ep-2f, 0x1.06eba8p-3f);
  float q = MNB_POLYNOMIAL(c, 0x1.86debep-13f, -0x1.825bcap-9f, 0x1.65cbdcp-6f, -0x1.a65372p-4f, -0x1.46bae6p-1f,
                           -0x1.2088ecp+0f, -0x1.661a16p-12f);
  float big = __builtin_copysignf(1.0f - mnb_exp_f32(q), x);
  float y = a < 1.0f ? x + x * p : big;
  return x != x ? x : y;
}

/* atan t = t + t^3 P(t^2) for |t| <= 1, error 0.044; atan x = pi/2 - atan 1/x beyond. */
static inline float mnb_atan_f32(float x) {
  float a = __builtin_fabsf(x);
  float t = a > 1.0f ? 1.0f / a : a, z = t * t;
  float p = MNB_POLYNOMIAL(z, -0x1.d4fbbap-10f, 0x1.64f734p-7f, -0x1.fe2b58p-6f, 0x1.da74f8p-5f, -0x1.581b4p-4f,
                           0x1.c09124p-4f, -0x1.2420d8p-3f, 0x1.9991e8p-3f, -0x1.55553ep-2f);
  float r = t * (z * p);
  float y = a > 1.0f ? 1.57079637f - (t + (r + 4.37113883e-8f)) : t + r;
  return __builtin_copysignf(y, x);
}

/* sin(x + shift pi/2). The quarter turns in x are counted in f64: a large x is an integer times 2^s and is
   multiplied by 2^s 2/pi modulo 4, held in three parts of which the first two have 29 bits, so that their products with the 24 bits
   of x are exact and whole turns drop out exactly, however large x is. sin r = r + r^3 P(r^2) and
   cos r = 1 - r^2 / 2 + r^4 Q(r^2) for |r| <= pi/4, errors 0.003 and 0.002. */
static inline float mnb_sine_f32(float x, double shift) {
  float a = __builtin_fabsf(x);
  int s1 = a >= 0x1p48f, s2 = a >= 0x1p74f, s3 = a >= 0x1p100f;
  double y = (double)x * (s3 ? 0x1p-77 : s2 ? 0x1p-51 : s1 ? 0x1p-25 : 1.0);
  double p1 = y * (s3 ? 0x1.d5f47d4p-1 : s2 ? 0x1.529fc24p-1 : s1 ? 0x1.6e4e441p+1 : 0x1.45f306cp-1);
  double p2 = y * (s3 ? 0x1.a6ee06cp-30 : s2 ? 0x1.abe8fa9p-28 : s1 ? 0x1.4a7f09cp-29 : 0x1.c9c882ap-29);
  double p3 = y * (s3   ? 0x1.b14acc9e21c82p-58
                   : s2 ? 0x1.4ddc0db629599p-57
                   : s1 ? 0x1.5f47d4d377037p-57
                        : 0x1.4fe13abe8fa9ap-59);
  double n1 = __builtin_rint(p1), n2 = __builtin_rint(p2);
  double f = ((p1 - n1) + (p2 - n2)) + p3;
  double n3 = __builtin_rint(f);
  double n = ((n1 - 4.0 * __builtin_rint(n1 * 0.25)) + (n2 - 4.0 * __builtin_rint(n2 * 0.25))) + (n3 + shift);
  int32_t quarter = (int32_t)n;
  float r = (float)((f - n3) * 1.5707963267948966), z = r * r;
  float p = MNB_POLYNOMIAL(z, 0x1.7c345ep-19f, -0x1.a05964p-13f, 0x1.111174p-7f, -0x1.555556p-3f);
  float q = MNB_POLYNOMIAL(z, 0x1.99e81p-16f, -0x1.6c0c28p-10f, 0x1.55554ap-5f);
  float sine = r + r * (z * p), cosine = (1.0f - 0.5f * z) + z * (z * q);
  float v = quarter & 1 ? cosine : sine;
  v = quarter & 2 ? -v : v;
  return a < INFINITY ? v : NAN;
}
static inline float mnb_sin_f32(float x) { return x == 0.0f ? x : mnb_sine_f32(x, 0.0); }
static inline float mnb_cos_f32(float x) { return mnb_sine_f32(x, 1.0); }

/* Word 0 of Threefry-2x32, 20 rounds (Salmon et al. 2011). */
static inline uint32_t mnb_threefry(uint32_t k0, uint32_t k1, uint32_t c0, uint32_t c1) {
  uint32_t k2 = k0 ^ k1 ^ 0x1bd11bdau, a = c0 + k0, b = c1 + k1;
#define MNB_ROUND(r) a += b, b = (b << r) | (b >> (32 - r)), b ^= a
#define MNB_FOUR(r0, r1, r2, r3) MNB_ROUND(r0), MNB_ROUND(r1), MNB_ROUND(r2), MNB_ROUND(r3)
  MNB_FOUR(13, 15, 26, 6), a += k1, b += k2 + 1;
  MNB_FOUR(17, 29, 16, 24), a += k2, b += k0 + 2;
  MNB_FOUR(13, 15, 26, 6), a += k0, b += k1 + 3;
  MNB_FOUR(17, 29, 16, 24), a += k1, b += k2 + 4;
  MNB_FOUR(13, 15, 26, 6), a += k2, b += k0 + 5;
#undef MNB_FOUR
#undef MNB_ROUND
  (void)b;
  return a;
}
