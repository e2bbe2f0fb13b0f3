/* Matrix product C = A B, batched, any strides for A and B, C dense.
 *
 * Three ways, chosen by size:
 *   vector   N == 1 or M == 1: dot products or weighted sums of columns at memory speed
 *   direct   small: A is read where it lies; B too if its rows are contiguous, else a panel at a time is packed into
 *            thread scratch; a task is a block of C over all of K
 *   blocked  BLIS: for each slice of K, A and B are packed once into shared panels, then blocks of C are tasks, each
 *            with its rows of A in L2 and the current panel of B in L1
 * K is summed in the same order and the same slices whatever the number of threads. */
#ifndef MNB_GEMM_H
#define MNB_GEMM_H

#include "microkernel.h"
#include "pack.h"

enum { MAX_BATCH_RANK = 4 };
enum {
  DIRECT_PRODUCTS = 1 << 21,       /* M N K up to which packing does not pay */
  DIRECT_BATCH_PRODUCTS = 1 << 23, /* the same for a batch that keeps every thread busy */
  TASK_PRODUCTS = 1 << 16,         /* work worth a task */
  VECTOR_TASK_PRODUCTS = 1 << 15,
  SHARED_ROWS = 8184,              /* rows of A and columns of B packed at a time */
  SHARED_COLS = 8192,
  PANELS_PER_SWEEP = 4             /* panels of B packed side by side */
};

struct gemm {
  int64_t m, n, k;
  const real *a, *b;
  int64_t a_row, a_col, b_row, b_col; /* strides in elements */
  real *c;
};

/* Steps of K per slice: a panel of B takes half of L1. */
COLD static int64_t depth_block(void) {
  return mnb_max(64, mnb_cache_bytes(1) / 2 / (TILE_COLS * (int64_t)sizeof(real)));
}

/* Rows of A per block: a slice of them takes half of L2. */
COLD static int64_t row_block(int64_t depth) {
  return mnb_max(1, mnb_cache_bytes(2) / 2 / (depth * TILE_ROWS * (int64_t)sizeof(real))) * TILE_ROWS;
}

/* ---- vector ---- */

enum { DOT_VECTORS = 4, COLUMN_VECTORS = 8 };

static real dot(const real *x, const real *y, int64_t n) {
  vec acc[DOT_VECTORS] = {{0}};
  int64_t i = 0;
  for (; i + DOT_VECTORS * LANES <= n; i += DOT_VECTORS * LANES) {
    UNROLL for (int v = 0; v < DOT_VECTORS; v++) acc[v] += load(x + i + v * LANES) * load(y + i + v * LANES);
  }
  for (; i + LANES <= n; i += LANES) acc[0] += load(x + i) * load(y + i);
  real tail = 0;
  for (; i < n; i++) tail += x[i] * y[i];
  return sum_lanes((acc[0] + acc[1]) + (acc[2] + acc[3])) + tail;
}

/* y[i] = sum_k matrix[i + k * col] * x[k] for a block of rows, all of whose columns are contiguous. */
static void weighted_columns(const real *matrix, int64_t col, const real *x, real *y, int64_t rows, int64_t depth) {
  int64_t i = 0;
  for (; i + COLUMN_VECTORS * LANES <= rows; i += COLUMN_VECTORS * LANES) {
    vec acc[COLUMN_VECTORS] = {{0}};
    for (int64_t k = 0; k < depth; k++) {
      UNROLL for (int v = 0; v < COLUMN_VECTORS; v++) acc[v] += splat(x[k]) * load(matrix + i + k * col + v * LANES);
    }
    UNROLL for (int v = 0; v < COLUMN_VECTORS; v++) store(y + i + v * LANES, acc[v]);
  }
  for (; i + LANES <= rows; i += LANES) {
    vec acc = {0};
    for (int64_t k = 0; k < depth; k++) acc += splat(x[k]) * load(matrix + i + k * col);
    store(y + i, acc);
  }
  for (; i < rows; i++) {
    real acc = 0;
    for (int64_t k = 0; k < depth; k++) acc += x[k] * matrix[i + k * col];
    y[i] = acc;
  }
}

/* Rows [begin, end) of a product with one column. */
static void product_with_vector(const struct gemm *g, int64_t begin, int64_t end) {
  if (g->a_row == 1 && g->b_row == 1) {
    weighted_columns(g->a + begin, g->a_col, g->b, g->c + begin, end - begin, g->k);
    return;
  }
  for (int64_t i = begin; i < end; i++) {
    const real *row = g->a + i * g->a_row;
    if (g->a_col == 1 && g->b_row == 1) {
      g->c[i] = dot(row, g->b, g->k);
    } else {
      real acc = 0;
      for (int64_t k = 0; k < g->k; k++) acc += row[k * g->a_col] * g->b[k * g->b_row];
      g->c[i] = acc;
    }
  }
}

/* ---- direct ---- */

COLD static int64_t direct_scratch_bytes(void) {
  return (depth_block() * TILE_COLS + LANES) * (int64_t)sizeof(real);
}

/* C over rows [i0, i1) and columns [j0, j1); j0 is a multiple of TILE_COLS. */
static void direct_block(const struct gemm *g, int64_t i0, int64_t i1, int64_t j0, int64_t j1, real *panel) {
  int64_t slices = mnb_ceil_div(g->k, depth_block());
  for (int64_t slice = 0; slice < slices; slice++) {
    int64_t k0 = mnb_split(g->k, slices, slice), depth = mnb_split(g->k, slices, slice + 1) - k0;
    for (int64_t j = j0; j < j1; j += TILE_COLS) {
      int cols = (int)mnb_min(TILE_COLS, j1 - j);
      const real *b = g->b + k0 * g->b_row + j * g->b_col;
      struct tile t = {.depth = depth, .a_step = g->a_col, .b_step = g->b_row, .c_step = g->n, .accumulate = slice > 0};
      if (g->b_col != 1 || cols < TILE_COLS) {
        pack_b(panel, b, g->b_col, g->b_row, cols, depth);
        b = panel;
        t.b_step = TILE_COLS;
      }
      t.b[0] = b;
      for (int64_t i = i0; i < i1; i += TILE_ROWS) {
        int rows = (int)mnb_min(TILE_ROWS, i1 - i);
        const real *a = g->a + i * g->a_row + k0 * g->a_col;
        for (int r = 0; r < TILE_ROWS; r++) t.a[r] = a + mnb_min(r, rows - 1) * g->a_row;
        t.c[0] = g->c + i * g->n + j;
        t.c[1] = t.c[0] + LANES;
        run_tile(&t, STRIDED_STRIDED, rows, cols);
      }
    }
  }
}

/* ---- blocked ---- */

struct blocked {
  const struct gemm *g;
  real *a_panels, *b_panels;
  int64_t i0, rows, j0, cols, k0, depth; /* the part of the product that the panels hold */
  int64_t a_tasks, b_tasks, row_blocks, col_blocks;
};

static void pack_a_task(const struct blocked *s, int64_t task) {
  const struct gemm *g = s->g;
  int64_t tiles = mnb_ceil_div(s->rows, TILE_ROWS);
  for (int64_t tile = mnb_split(tiles, s->a_tasks, task); tile < mnb_split(tiles, s->a_tasks, task + 1); tile++) {
    int64_t i = tile * TILE_ROWS;
    int rows = (int)mnb_min(TILE_ROWS, s->rows - i);
    pack_a(s->a_panels + i * s->depth, row_class(rows), g->a + (s->i0 + i) * g->a_row + s->k0 * g->a_col, g->a_row,
           g->a_col, rows, s->depth);
  }
}

/* Panels of row-contiguous B are written a few at a time, so that its rows are read in longer runs. */
static void pack_b_task(const struct blocked *s, int64_t task) {
  const struct gemm *g = s->g;
  int64_t panels = mnb_ceil_div(s->cols, TILE_COLS), end = mnb_split(panels, s->b_tasks, task + 1);
  for (int64_t panel = mnb_split(panels, s->b_tasks, task); panel < end;) {
    int64_t j = panel * TILE_COLS;
    real *to = s->b_panels + j * s->depth;
    const real *from = g->b + s->k0 * g->b_row + (s->j0 + j) * g->b_col;
    if (g->b_col == 1 && panel + PANELS_PER_SWEEP <= end && j + PANELS_PER_SWEEP * TILE_COLS <= s->cols) {
      for (int64_t k = 0; k < s->depth; k++) {
        for (int p = 0; p < PANELS_PER_SWEEP; p++) {
          memcpy(to + (p * s->depth + k) * TILE_COLS, from + k * g->b_row + p * TILE_COLS, TILE_COLS * sizeof(real));
        }
      }
      panel += PANELS_PER_SWEEP;
    } else {
      pack_b(to, from, g->b_col, g->b_row, (int)mnb_min(TILE_COLS, s->cols - j), s->depth);
      panel++;
    }
  }
}

static void pack_task(void *ctx, int64_t task, int thread) {
  (void)thread;
  const struct blocked *s = ctx;
  if (task < s->b_tasks) pack_b_task(s, task);
  else pack_a_task(s, task - s->b_tasks);
}

static void blocked_task(void *ctx, int64_t task, int thread) {
  (void)thread;
  const struct blocked *s = ctx;
  const struct gemm *g = s->g;
  int64_t tiles = mnb_ceil_div(s->rows, TILE_ROWS), panels = mnb_ceil_div(s->cols, TILE_COLS);
  int64_t row = task % s->row_blocks, col = task / s->row_blocks;
  int64_t i_begin = mnb_split(tiles, s->row_blocks, row) * TILE_ROWS;
  int64_t i_end = mnb_min(s->rows, mnb_split(tiles, s->row_blocks, row + 1) * TILE_ROWS);
  int64_t j_begin = mnb_split(panels, s->col_blocks, col) * TILE_COLS;
  int64_t j_end = mnb_min(s->cols, mnb_split(panels, s->col_blocks, col + 1) * TILE_COLS);
  struct tile t = {.depth = s->depth, .b_step = TILE_COLS, .c_step = g->n, .accumulate = s->k0 > 0};
  for (int64_t j = j_begin; j < j_end; j += TILE_COLS) {
    t.b[0] = s->b_panels + j * s->depth;
    for (int64_t i = i_begin; i < i_end; i += TILE_ROWS) {
      t.a[0] = s->a_panels + i * s->depth;
      t.c[0] = g->c + (s->i0 + i) * g->n + s->j0 + j;
      t.c[1] = t.c[0] + LANES;
      run_tile(&t, PACKED_STRIDED, (int)mnb_min(TILE_ROWS, s->rows - i), (int)mnb_min(TILE_COLS, s->cols - j));
    }
  }
}

/* Cuts the C block into tasks: rows so that a block of A stays in L2, columns so that every thread has a few. */
COLD static void run_blocks(struct blocked *s) {
  int64_t tiles = mnb_ceil_div(s->rows, TILE_ROWS), panels = mnb_ceil_div(s->cols, TILE_COLS);
  s->row_blocks = mnb_ceil_div(s->rows, row_block(s->depth));
  s->col_blocks = mnb_min(panels, mnb_max(mnb_ceil_div(panels, 32), mnb_ceil_div(4 * mnb_threads(), s->row_blocks)));
  if (s->row_blocks * s->col_blocks < 2 * mnb_threads()) {
    s->row_blocks = mnb_min(tiles, mnb_ceil_div(2 * mnb_threads(), s->col_blocks));
  }
  mnb_parallel(s->row_blocks * s->col_blocks, blocked_task, s);
}

COLD static void blocked_product(const struct gemm *g) {
  int64_t slices = mnb_ceil_div(g->k, depth_block()), depth = mnb_ceil_div(g->k, slices);
  int64_t a_size = mnb_round_up(mnb_round_up(mnb_min(g->m, SHARED_ROWS), TILE_ROWS) * depth + LANES, MNB_ALIGN);
  int64_t b_size = mnb_round_up(mnb_min(g->n, SHARED_COLS), TILE_COLS) * depth;
  real *panels = mnb_shared((a_size + b_size + LANES) * (int64_t)sizeof(real));
  if (panels == NULL) return;
  struct blocked s = {.g = g, .a_panels = panels, .b_panels = panels + a_size};
  for (s.j0 = 0; s.j0 < g->n; s.j0 += SHARED_COLS) {
    s.cols = mnb_min(SHARED_COLS, g->n - s.j0);
    for (int64_t slice = 0; slice < slices; slice++) {
      s.k0 = mnb_split(g->k, slices, slice);
      s.depth = mnb_split(g->k, slices, slice + 1) - s.k0;
      s.b_tasks = mnb_min(mnb_ceil_div(s.cols, PANELS_PER_SWEEP * TILE_COLS), 4 * mnb_threads());
      for (s.i0 = 0; s.i0 < g->m; s.i0 += SHARED_ROWS) {
        s.rows = mnb_min(SHARED_ROWS, g->m - s.i0);
        s.a_tasks = mnb_min(mnb_ceil_div(s.rows, TILE_ROWS), 4 * mnb_threads());
        mnb_parallel(s.a_tasks + s.b_tasks, pack_task, &s);
        s.b_tasks = 0; /* the columns stay packed for the next rows */
        run_blocks(&s);
      }
    }
  }
}

/* ---- batch ---- */

struct batch {
  struct gemm first;
  int64_t count, rank;
  const int64_t *dims; /* (size, stride of A, stride of B) * rank */
  int64_t row_blocks, col_blocks;
};

static struct gemm batch_member(const struct batch *batch, int64_t index) {
  struct gemm g = batch->first;
  g.c += index * g.m * g.n;
  for (int64_t d = batch->rank - 1; d >= 0; d--) {
    const int64_t *dim = batch->dims + 3 * d;
    g.a += index % dim[0] * dim[1];
    g.b += index % dim[0] * dim[2];
    index /= dim[0];
  }
  return g;
}

static void vector_task(void *ctx, int64_t task, int thread) {
  (void)thread;
  const struct batch *batch = ctx;
  struct gemm g = batch_member(batch, task / batch->row_blocks);
  int64_t block = task % batch->row_blocks, groups = mnb_ceil_div(g.m, COLUMN_VECTORS * LANES);
  int64_t begin = mnb_split(groups, batch->row_blocks, block) * COLUMN_VECTORS * LANES;
  int64_t end = mnb_min(g.m, mnb_split(groups, batch->row_blocks, block + 1) * COLUMN_VECTORS * LANES);
  product_with_vector(&g, begin, end);
}

static void direct_task(void *ctx, int64_t task, int thread) {
  const struct batch *batch = ctx;
  int64_t blocks = batch->row_blocks * batch->col_blocks;
  struct gemm g = batch_member(batch, task / blocks);
  int64_t row = task % blocks % batch->row_blocks, col = task % blocks / batch->row_blocks;
  int64_t tiles = mnb_ceil_div(g.m, TILE_ROWS), panels = mnb_ceil_div(g.n, TILE_COLS);
  direct_block(&g, mnb_split(tiles, batch->row_blocks, row) * TILE_ROWS,
               mnb_min(g.m, mnb_split(tiles, batch->row_blocks, row + 1) * TILE_ROWS),
               mnb_split(panels, batch->col_blocks, col) * TILE_COLS,
               mnb_min(g.n, mnb_split(panels, batch->col_blocks, col + 1) * TILE_COLS), mnb_scratch(thread));
}

COLD static void direct_products(struct batch *batch) {
  const struct gemm *g = &batch->first;
  if (mnb_scratch_reserve(direct_scratch_bytes()) != 0) return;
  int64_t tiles = mnb_ceil_div(g->m, TILE_ROWS), panels = mnb_ceil_div(g->n, TILE_COLS);
  int64_t products = batch->count * g->m * g->n * g->k;
  int64_t wanted = mnb_threads() == 1 ? 1 : mnb_min(2 * mnb_threads(), products / TASK_PRODUCTS);
  wanted = mnb_max(1, mnb_ceil_div(wanted, batch->count));
  if (g->b_col == 1) { /* B needs no packing: cut the rows first */
    batch->row_blocks = mnb_min(tiles, wanted);
    batch->col_blocks = mnb_min(panels, mnb_ceil_div(wanted, batch->row_blocks));
  } else {
    batch->col_blocks = mnb_min(panels, wanted);
    batch->row_blocks = mnb_min(tiles, mnb_ceil_div(wanted, batch->col_blocks));
  }
  int64_t tasks = batch->count * batch->row_blocks * batch->col_blocks;
  int small = wanted == 1 && products <= TASK_PRODUCTS;
  (small ? mnb_serial : mnb_parallel)(tasks, direct_task, batch);
}

/* buf: A, B, C. Parameters: M, N, K, row and column stride of A, of B, batch rank, then per batch dimension its size
 * and the strides of A and B. */
COLD void OP_NAME(gemm)(void *const *buf, const int64_t *p) {
  struct batch batch = {.first = {p[0], p[1], p[2], buf[0], buf[1], p[3], p[4], p[5], p[6], buf[2]},
                        .count = 1, .rank = p[7], .dims = p + 8};
  struct gemm *g = &batch.first;
  for (int64_t d = 0; d < batch.rank; d++) batch.count *= batch.dims[3 * d];
  if (g->m * g->n * batch.count == 0) return;
  if (g->k == 0) {
    memset(g->c, 0, (size_t)(g->m * g->n * batch.count) * sizeof(real));
    return;
  }
  if (g->m == 1 || g->n == 1) {
    int64_t transposed_dims[3 * MAX_BATCH_RANK];
    if (g->n != 1) { /* C^T = B^T A^T has one column */
      *g = (struct gemm){g->n, 1, g->k, g->b, g->a, g->b_col, g->b_row, g->a_col, g->a_row, g->c};
      for (int64_t d = 0; d < 3 * batch.rank; d++) {
        transposed_dims[d] = batch.dims[d % 3 == 0 ? d : d % 3 == 1 ? d + 1 : d - 1];
      }
      batch.dims = transposed_dims;
    }
    int64_t groups = mnb_ceil_div(g->m, COLUMN_VECTORS * LANES);
    int64_t per_task = mnb_max(1, VECTOR_TASK_PRODUCTS / (g->k * COLUMN_VECTORS * LANES));
    batch.row_blocks = mnb_ceil_div(groups, per_task);
    mnb_parallel(batch.count * batch.row_blocks, vector_task, &batch);
    return;
  }
  int64_t products = g->m * g->n * g->k;
  int wide = batch.count >= 2 * mnb_threads();
  if (products <= (wide ? DIRECT_BATCH_PRODUCTS : DIRECT_PRODUCTS)) {
    direct_products(&batch);
    return;
  }
  for (int64_t i = 0; i < batch.count; i++) {
    struct gemm member = batch_member(&batch, i);
    blocked_product(&member);
  }
}

#endif
