/* The tile of microkernel.h on AMX: 2 x 2 registers of sums, two of A and two of B.
 *
 * A step is a pair of bf16. Panels of B are those of the vector kernels: a row holds the pairs of 32 columns, so 16 rows
 * are two registers. Panels of A are [row][step] instead of [step][row]. There are only packed operands; what the vector
 * kernels read in place is packed here, or left to them. */
#ifndef MNB_MICROKERNEL_AMX_H
#define MNB_MICROKERNEL_AMX_H

#include "amx.h"

/* Adds the products of 16 steps; the steps from one row to the next are those in memory. */
INLINE void multiply_steps(const real *a, int64_t a_step, const real *b, int64_t b_step, int rows, int narrow) {
  const int64_t size = sizeof(real);
  amx_load(4, a, a_step * size);
  amx_load(6, b, b_step * size);
  amx_multiply_add(0, 4, 6);
  if (!narrow) {
    amx_load(7, b + LANES, b_step * size);
    amx_multiply_add(1, 4, 7);
  }
  if (rows == AMX_ROWS) return;
  amx_load(5, a + AMX_ROWS * a_step, a_step * size);
  amx_multiply_add(2, 5, 6);
  if (!narrow) amx_multiply_add(3, 5, 7);
}

/* Applies op to each register of sums and its place in a matrix. */
#define EACH_SUM(op, left, right, pitch)                                      \
  op(0, left, (pitch) * size);                                                \
  if (!narrow) op(1, right, (pitch) * size);                                  \
  if (rows > AMX_ROWS) op(2, (left) + AMX_ROWS * (pitch), (pitch) * size);    \
  if (rows > AMX_ROWS && !narrow) op(3, (right) + AMX_ROWS * (pitch), (pitch) * size);
#define CLEAR_SUM(r, at, bytes) amx_zero(r)

INLINE void tile_body(const struct tile *t, enum tile_kind kind, int rows) {
  const int narrow = kind == PACKED_NARROW;
  const int64_t size = sizeof(real), depth = t->depth, whole = depth / AMX_ROWS * AMX_ROWS;
  /* Each term that is added to a large sum is rounded with it, and there are many: a slice has a sum of its own. */
  const int aside = STEPS > 1 && t->accumulate;
  amx_configure(&amx_all_whole); /* by each tile, since other code of the process may have its own */
  if (t->accumulate && !aside) {
    EACH_SUM(amx_load, t->c[0], t->c[1], t->c_step)
  } else {
    EACH_SUM(CLEAR_SUM, t->c[0], t->c[1], t->c_step)
  }
  for (int64_t k = 0; k < whole; k += AMX_ROWS) {
    multiply_steps(t->a[0] + k, depth, t->b[0] + k * t->b_step, t->b_step, rows, narrow);
  }
  if (whole < depth) { /* the last steps, filled up with zeros */
    real a[TILE_ROWS][AMX_ROWS] = {{0}}, b[AMX_ROWS][TILE_COLS] = {{0}};
    for (int i = 0; i < rows; i++) memcpy(a[i], t->a[0] + i * depth + whole, (size_t)(depth - whole) * sizeof(real));
    for (int64_t k = whole; k < depth; k++) {
      memcpy(b[k - whole], t->b[0] + k * t->b_step, (narrow ? LANES : TILE_COLS) * sizeof(real));
    }
    multiply_steps(a[0], AMX_ROWS, b[0], TILE_COLS, rows, narrow);
  }
  if (!aside) {
    EACH_SUM(amx_store, t->c[0], t->c[1], t->c_step)
    return;
  }
  real sums[TILE_ROWS][TILE_COLS];
  EACH_SUM(amx_store, sums[0], sums[0] + LANES, TILE_COLS)
  for (int i = 0; i < rows; i++) {
    for (int v = 0; v < (narrow ? 1 : 2); v++) {
      real *c = t->c[v] + i * t->c_step;
      store(c, load(c) + load(sums[i] + v * LANES));
    }
  }
}

#define DEFINE_KERNELS(rows)                                                                     \
  HOT void tile_packed_strided_##rows(const struct tile *t) { tile_body(t, PACKED_STRIDED, rows); } \
  HOT void tile_packed_narrow_##rows(const struct tile *t) { tile_body(t, PACKED_NARROW, rows); }

#define CASE(rows)                                             \
  case rows:                                                   \
    if (kind == PACKED_NARROW) tile_packed_narrow_##rows(t);   \
    else tile_packed_strided_##rows(t);                        \
    break;

#endif
