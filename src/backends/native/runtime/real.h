/* One float width: `real`, its vectors, and their few operations, all from GCC/Clang vector extensions.
 *
 * A translation unit defines REAL_BITS as 32 or 64 and then includes the templates. With PAIRS as well, products are of
 * bf16: packers and boxes round two f32 that follow each other in the depth of the product to bf16 and put them into
 * one 32-bit element, so that a step of the tile does two steps of the depth; sums and everything else stay f32. With AMX
 * besides, the tile is that of AMX.
 *
 * With TERMS besides, an f32 is the sum of three bf16, and what one source of the depth adds to a sum are the six largest
 * products of their terms: three steps of two. With the terms h, m and l of one operand and H, M and L of the other,
 *     step      0        1        2
 *     A       h  h     m  m     h  l
 *     B       H  M     H  M     L  H
 * What is left out is below 2^-24 of the product. Infinities become NaN. */
#ifndef MNB_REAL_H
#define MNB_REAL_H

#include "runtime.h"

#include <string.h>

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX2__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

#ifdef PAIRS
#include <immintrin.h>
#endif

#if REAL_BITS == 32
typedef float real;
typedef int32_t lane_index;
#if defined(TERMS)
#define OP_NAME(name) mnb_##name##_f32_terms
#elif defined(AMX)
#define OP_NAME(name) mnb_##name##_f32_amx
#elif defined(PAIRS)
#define OP_NAME(name) mnb_##name##_f32_bf16
#else
#define OP_NAME(name) mnb_##name##_f32
#endif
#else
typedef double real;
typedef int64_t lane_index;
#define OP_NAME(name) mnb_##name##_f64
#endif

enum { LANES = VECTOR_BYTES * 8 / REAL_BITS };

typedef real vec __attribute__((vector_size(VECTOR_BYTES)));
typedef real unaligned_vec __attribute__((vector_size(VECTOR_BYTES), aligned(REAL_BITS / 8), may_alias));
typedef lane_index lane_mask __attribute__((vector_size(VECTOR_BYTES)));

#define INLINE static inline __attribute__((always_inline, unused))
#define HOT static __attribute__((noinline, unused))
#define COLD __attribute__((cold)) /* once per op: compiled for size, which keeps the build short */

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

INLINE vec load(const real *p) { return *(const unaligned_vec *)p; }
INLINE void store(real *p, vec v) { *(unaligned_vec *)p = v; }
INLINE vec splat(real x) { return x - (vec){0}; }

INLINE real sum_lanes(vec v) {
  real total = 0;
  for (int i = 0; i < LANES; i++) total += v[i];
  return total;
}

/* ---- steps: what one step of the tile takes of an operand; STEP sources of the depth make STEPS of them ---- */

#ifdef TERMS
enum { PAIRED = 1, STEP = 1, STEPS = 3 };
#elif defined(PAIRS)
enum { PAIRED = 1, STEP = 2, STEPS = 1 };
#else
enum { PAIRED = 0, STEP = 1, STEPS = 1 };
#endif

#ifdef PAIRS
/* Rounded to bf16, in the low halves of 32 bits. */
INLINE __m512i to_bf16(vec x) { return _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)x)); }
INLINE vec pair(__m512i first, __m512i second) { return (vec)_mm512_or_si512(first, _mm512_slli_epi32(second, 16)); }
INLINE vec multiply_add(vec sum, vec x, vec y) {
  return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)x, (__m512bh)y);
}
INLINE vec broadcast(real x) { return (vec)_mm512_set1_ps(x); }
INLINE vec step_of_vectors(vec first, vec second) { return pair(to_bf16(first), to_bf16(second)); }
INLINE real step_of(const real *first, const real *second) {
  __m128 both = _mm_setr_ps(*first, second ? *second : 0, 0, 0);
  return _mm_cvtss_f32((__m128)_mm_cvtneps_pbh(both));
}
/* LANES steps that follow each other in memory. */
INLINE vec steps_in_row(const real *p) {
  return (vec)_mm512_cvtne2ps_pbh((__m512)load(p + LANES), (__m512)load(p));
}
#else
INLINE vec multiply_add(vec sum, vec x, vec y) { return sum + x * y; }
INLINE vec broadcast(real x) { return splat(x); }
INLINE vec step_of_vectors(vec first, vec second) {
  (void)second;
  return first;
}
INLINE real step_of(const real *first, const real *second) {
  (void)second;
  return *first;
}
INLINE vec steps_in_row(const real *p) { return load(p); }
#endif

#ifdef TERMS
/* The three terms of each lane. */
struct terms {
  __m512i high, middle, low;
};
INLINE struct terms split_terms(vec x) {
  struct terms t = {.high = to_bf16(x)};
  x -= (vec)_mm512_slli_epi32(t.high, 16);
  t.middle = to_bf16(x);
  t.low = to_bf16(x - (vec)_mm512_slli_epi32(t.middle, 16));
  return t;
}
/* Step 0, 1 or 2 of each lane, in an operand A and in an operand B. */
INLINE vec a_steps(vec x, vec partner, int step) {
  (void)partner;
  struct terms t = split_terms(x);
  return step == 0 ? pair(t.high, t.high) : step == 1 ? pair(t.middle, t.middle) : pair(t.high, t.low);
}
INLINE vec b_steps(vec x, vec partner, int step) {
  (void)partner;
  struct terms t = split_terms(x);
  return step < 2 ? pair(t.high, t.middle) : pair(t.low, t.high);
}
#else
/* The step of each lane, the same in both operands. */
INLINE vec a_steps(vec x, vec partner, int step) {
  (void)step;
  return step_of_vectors(x, partner);
}
INLINE vec b_steps(vec x, vec partner, int step) { return a_steps(x, partner, step); }
#endif

/* The step of every lane from two rows of which the second may be missing. */
INLINE vec step_of_rows(const real *first, const real *second) {
  return step_of_vectors(load(first), second ? load(second) : (vec){0});
}

/* All ones in the first n lanes; and a vector with the other lanes set to zero. */
INLINE lane_mask first_lanes(int n) {
  lane_mask mask = {0};
  for (int l = 0; l < LANES; l++) mask[l] = l < n ? -1 : 0;
  return mask;
}
INLINE vec keep_lanes(vec v, lane_mask mask) { return (vec)((lane_mask)v & mask); }

/* SHUFFLE(x, y, f, d): lane l is lane f(l, d) of x followed by y. */
#define LOW(l, d) ((l) & (d) ? LANES + (l) - (d) : (l))
#define HIGH(l, d) ((l) & (d) ? LANES + (l) : (l) + (d))
#define EVERY(l, d) ((d) * (l)) /* one lane of d */
#define EACH2(f, d, b) f((b), d), f((b) + 1, d)
#define EACH4(f, d, b) EACH2(f, d, b), EACH2(f, d, (b) + 2)
#define EACH8(f, d, b) EACH4(f, d, b), EACH4(f, d, (b) + 4)
#define EACH16(f, d, b) EACH8(f, d, b), EACH8(f, d, (b) + 8)
#if VECTOR_BYTES * 8 / REAL_BITS == 2
#define EACH_LANE EACH2
#elif VECTOR_BYTES * 8 / REAL_BITS == 4
#define EACH_LANE EACH4
#elif VECTOR_BYTES * 8 / REAL_BITS == 8
#define EACH_LANE EACH8
#else
#define EACH_LANE EACH16
#endif
#if defined(__clang__)
#define SHUFFLE(x, y, f, d) __builtin_shufflevector(x, y, EACH_LANE(f, d, 0))
#else
#define SHUFFLE(x, y, f, d) __builtin_shuffle(x, y, (lane_mask){EACH_LANE(f, d, 0)})
#endif
/* Swaps the off-diagonal d x d blocks of every pair of rows that lie d apart. */
#define TRANSPOSE_STEP(d)                                   \
  UNROLL for (int i = 0; i < LANES; i++) {                  \
    if ((i & (d)) == 0) {                                   \
      vec x = row[i], y = row[(i + (d)) % LANES];           \
      row[i] = SHUFFLE(x, y, LOW, d);                       \
      row[(i + (d)) % LANES] = SHUFFLE(x, y, HIGH, d);      \
    }                                                       \
  }

/* Transposes the LANES x LANES matrix whose rows are given. */
INLINE void transpose_lanes(vec row[LANES]) {
  TRANSPOSE_STEP(1)
#if VECTOR_BYTES * 8 / REAL_BITS > 2
  TRANSPOSE_STEP(2)
#endif
#if VECTOR_BYTES * 8 / REAL_BITS > 4
  TRANSPOSE_STEP(4)
#endif
#if VECTOR_BYTES * 8 / REAL_BITS > 8
  TRANSPOSE_STEP(8)
#endif
}

#endif
