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

/* e^x = 2^n e^r with |r| <= ln 2 / 2; the scale is applied in two halves so that subnormal results round right. */
static inline float mnb_exp_f32(float x) {
  float c = x > 89.0f ? 89.0f : x < -104.0f ? -104.0f : x;
  c = x != x ? 0.0f : c;
  float n = __builtin_rintf(c * 1.44269504f);
  float r = c - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  float p = 1.9841270e-4f;
  p = p * r + 1.3888889e-3f;
  p = p * r + 8.3333333e-3f;
  p = p * r + 4.1666667e-2f;
  p = p * r + 1.6666667e-1f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  int32_t k = (int32_t)n, h = k >> 1;
  float y = p * mnb_bits_f32((h + 127) << 23) * mnb_bits_f32((k - h + 127) << 23);
  y = x > 88.7228394f ? INFINITY : y;
  return x != x ? x : y;
}
static inline double mnb_exp_f64(double x) { return __builtin_exp(x); }

/* log x = n ln 2 + log m with m in [1/sqrt 2, sqrt 2), by the odd series in s = (m - 1) / (m + 1). */
static inline float mnb_log_f32(float x) {
  float tiny = x < 1.17549435e-38f ? 1.0f : 0.0f;
  float y = x * (tiny != 0.0f ? 16777216.0f : 1.0f);
  int32_t i = mnb_int_f32(y);
  int32_t e = (i - 0x3f3504f3) >> 23;
  float m = mnb_bits_f32(i - (e << 23));
  float n = (float)e - tiny * 24.0f;
  float f = m - 1.0f;
  float s = f / (m + 1.0f);
  float z = s * s;
  float p = 0.22222222f * z + 0.28571429f;
  p = p * z + 0.4f;
  p = p * z + 0.66666667f;
  float half = 0.5f * f * f;
  /* log m = f - f^2/2 + s (f^2/2 + z p) keeps the leading terms exact. */
  float r = f - (half - (s * (half + z * p) + n * 1.42860677e-6f)) + n * 0.693145752f;
  r = x == INFINITY ? x : r;
  r = x == 0.0f ? -INFINITY : r;
  return (x < 0.0f || x != x) ? NAN : r;
}
static inline double mnb_log_f64(double x) { return __builtin_log(x); }

/* tanh x = x + x^3 P(x^2) near 0, else 1 - 2 / (e^{2x} + 1). */
static inline float mnb_tanh_f32(float x) {
  float a = __builtin_fabsf(x);
  float z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  float small = x + x * z * p;
  float big = 1.0f - 2.0f / (mnb_exp_f32(2.0f * a) + 1.0f);
  big = x < 0.0f ? -big : big;
  return a < 0.625f ? small : big;
}
static inline double mnb_tanh_f64(double x) { return __builtin_tanh(x); }

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
