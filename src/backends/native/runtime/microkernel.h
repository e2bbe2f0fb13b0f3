/* The GEMM tile: TILE_ROWS x TILE_COLS of C held in registers, C (+)= A B over `depth` steps.
 *
 * Every matrix product and convolution ends here; they differ in where a step finds its operands:
 *   A packed    [depth][rows], written by the packers
 *   A strided   element (i, k) at a[i] + k * a_step: a matrix as it lies in memory
 *   A indexed   element (i, k) at a[i] + a_index[k]: taps of an image (weight gradient)
 *   B strided   row k at b + k * b_step: packed panels (b_step = TILE_COLS) or a matrix as it lies
 *   B indexed   row k at b + b_index[k], separately for the two vectors: taps of an image (forward)
 * Fewer rows have kernels of their own (ROW_CLASSES); at the right edge a tile computes into a buffer. With AMX all
 * operands are packed (microkernel-amx.h). */
#ifndef MNB_MICROKERNEL_H
#define MNB_MICROKERNEL_H

#include "real.h"

#ifdef AMX
enum { PACKED_ONLY = 1 };
#else
enum { PACKED_ONLY = 0 };
#endif
#if defined(AMX)
enum { TILE_ROWS = 32 };
#define ROW_CLASSES(f) f(32) f(16)
#elif VECTOR_BYTES == 64
enum { TILE_ROWS = 14 };
#define ROW_CLASSES(f) f(14) f(8) f(4) f(2)
#elif defined(__aarch64__)
enum { TILE_ROWS = 8 }; /* more would spill: gcc keeps every scalar of A in a register of its own */
#define ROW_CLASSES(f) f(8) f(4) f(2)
#else
enum { TILE_ROWS = 6 };
#define ROW_CLASSES(f) f(6) f(4) f(2)
#endif
enum { TILE_COLS = 2 * LANES, LINE_BYTES = 64 };

struct tile {
  int64_t depth;
  const real *a[TILE_ROWS]; /* only a[0] if A is packed */
  int64_t a_step;
  const int64_t *a_index;
  const real *b[2]; /* the left and the right vector */
  int64_t b_step;
  const int64_t *b_index;
  real *c[2]; /* row i of the left and the right vector at c[v] + i * c_step */
  int64_t c_step;
  int accumulate; /* C += instead of C = */
  const real *next; /* what later tiles will read, or NULL: a line of it per step is fetched into L2 */
};

/* The narrow ones have a single vector of columns, b[0] and c[0]. */
enum tile_kind { PACKED_STRIDED, PACKED_INDEXED, STRIDED_STRIDED, INDEXED_STRIDED, PACKED_NARROW, INDEXED_NARROW };

#ifdef AMX
#include "microkernel-amx.h"
#else
INLINE void tile_body(const struct tile *t, enum tile_kind kind, int rows) {
  vec acc[TILE_ROWS][2];
  UNROLL for (int i = 0; i < rows; i++) acc[i][0] = acc[i][1] = (vec){0};
  const int a_packed = kind == PACKED_STRIDED || kind == PACKED_INDEXED || kind == PACKED_NARROW;
  const int a_indexed = kind == INDEXED_STRIDED || kind == INDEXED_NARROW;
  const int narrow = kind == PACKED_NARROW || kind == INDEXED_NARROW;
  const real *a[TILE_ROWS];
  UNROLL for (int i = 0; i < rows; i++) a[i] = a_packed ? t->a[0] + i : t->a[i];
  const real *b0 = t->b[0], *b1 = t->b[1], *packed = t->a[0];
  const int64_t *a_index = t->a_index, *b_index = t->b_index;
  const int64_t depth = t->depth, a_step = t->a_step, b_step = t->b_step;
  const char *next = (const char *)(t->next ? t->next : t->b[0]);
  int64_t a_at = 0;
  for (int64_t k = 0; k < depth; k++) {
    if (kind != STRIDED_STRIDED) {
      __builtin_prefetch(next, 0, 2);
      next += LINE_BYTES;
    }
    vec left, right;
    if (kind == PACKED_INDEXED) {
      left = load(b0 + b_index[k]);
      right = load(b1 + b_index[k]);
    } else {
      left = load(b0);
      if (!narrow) right = load(b0 + LANES);
      b0 += b_step;
    }
    if (a_indexed) a_at = a_index[k];
    UNROLL for (int i = 0; i < rows; i++) {
      vec x = broadcast(a_packed ? packed[i] : a[i][a_at]);
      acc[i][0] = multiply_add(acc[i][0], x, left);
      if (!narrow) acc[i][1] = multiply_add(acc[i][1], x, right);
    }
    if (a_packed) packed += rows;
    if (kind == STRIDED_STRIDED) a_at += a_step;
  }
  real *c0 = t->c[0], *c1 = t->c[1];
  if (t->accumulate) {
    UNROLL for (int i = 0; i < rows; i++) {
      store(c0 + i * t->c_step, load(c0 + i * t->c_step) + acc[i][0]);
      if (!narrow) store(c1 + i * t->c_step, load(c1 + i * t->c_step) + acc[i][1]);
    }
  } else {
    UNROLL for (int i = 0; i < rows; i++) {
      store(c0 + i * t->c_step, acc[i][0]);
      if (!narrow) store(c1 + i * t->c_step, acc[i][1]);
    }
  }
}

#define DEFINE_KERNELS(rows)                                                                       \
  HOT void tile_packed_strided_##rows(const struct tile *t) { tile_body(t, PACKED_STRIDED, rows); }   \
  HOT void tile_packed_indexed_##rows(const struct tile *t) { tile_body(t, PACKED_INDEXED, rows); }   \
  HOT void tile_strided_strided_##rows(const struct tile *t) { tile_body(t, STRIDED_STRIDED, rows); } \
  HOT void tile_indexed_strided_##rows(const struct tile *t) { tile_body(t, INDEXED_STRIDED, rows); } \
  HOT void tile_packed_narrow_##rows(const struct tile *t) { tile_body(t, PACKED_NARROW, rows); }     \
  HOT void tile_indexed_narrow_##rows(const struct tile *t) { tile_body(t, INDEXED_NARROW, rows); }

#define CASE(rows)                                                \
  case rows:                                                      \
    if (kind == PACKED_STRIDED) tile_packed_strided_##rows(t);       \
    else if (kind == PACKED_INDEXED) tile_packed_indexed_##rows(t);  \
    else if (kind == STRIDED_STRIDED) tile_strided_strided_##rows(t); \
    else if (kind == INDEXED_STRIDED) tile_indexed_strided_##rows(t); \
    else if (kind == PACKED_NARROW) tile_packed_narrow_##rows(t);    \
    else tile_indexed_narrow_##rows(t);                              \
    break;
#endif
ROW_CLASSES(DEFINE_KERNELS)

/* Tiles that fetch a whole panel of B, each as many lines as the panel has steps. */
enum { TILES_PER_PANEL = VECTOR_BYTES > 32 ? 2 : 1 };

/* What the tile with this number fetches of a panel that is wanted next; NULL if others have fetched it all. */
INLINE const real *part_to_fetch(const real *panel, int64_t depth, int64_t number) {
  return number < TILES_PER_PANEL ? panel + number * depth * LINE_BYTES / (int64_t)sizeof(real) : NULL;
}

/* The height of the kernel that serves `rows` rows: also the row pitch of a packed panel of so many rows. */
INLINE int row_class(int rows) {
#define AT_MOST(class) \
  if (rows <= class) best = class;
  int best = TILE_ROWS;
  ROW_CLASSES(AT_MOST)
  return best;
}

/* Runs the kernel for `rows` (a row class). */
INLINE void run_kernel_rows(const struct tile *t, enum tile_kind kind, int rows) {
  switch (rows) { ROW_CLASSES(CASE) }
}

/* Computes the tile into `out`, dense [rows][TILE_COLS]; c of the tile is left to be set anew. */
INLINE void run_tile_aside(struct tile *t, enum tile_kind kind, int rows, real *out) {
  int64_t c_step = t->c_step;
  int accumulate = t->accumulate;
  t->c[0] = out;
  t->c[1] = out + LANES;
  t->c_step = TILE_COLS;
  t->accumulate = 0;
  run_kernel_rows(t, kind, row_class(rows));
  t->c_step = c_step;
  t->accumulate = accumulate;
}

/* Computes `rows` x `cols` of a tile whose C is contiguous; never writes outside of them. */
INLINE void run_tile(struct tile *t, enum tile_kind kind, int rows, int cols) {
  const int narrow = kind == PACKED_NARROW || kind == INDEXED_NARROW;
  if (cols == (narrow ? LANES : TILE_COLS) && rows == row_class(rows)) {
    run_kernel_rows(t, kind, rows);
    return;
  }
  real out[TILE_ROWS * TILE_COLS], *c = t->c[0];
  run_tile_aside(t, kind, rows, out);
  for (int i = 0; i < rows; i++, c += t->c_step) {
    const real *from = out + i * TILE_COLS;
    if (t->accumulate) {
      for (int j = 0; j < cols; j++) c[j] += from[j];
    } else {
      memcpy(c, from, (size_t)cols * sizeof(real));
    }
  }
}

#endif
