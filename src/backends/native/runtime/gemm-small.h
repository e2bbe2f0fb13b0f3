/* Matrix products that are too small or too thin for packed panels; see gemm.h. */
#ifndef MNB_GEMM_SMALL_H
#define MNB_GEMM_SMALL_H

enum {
  DIRECT_PRODUCTS = 1 << 21,       /* M N K up to which packing does not pay */
  DIRECT_BATCH_PRODUCTS = 1 << 23, /* the same for a batch that keeps every thread busy */
  NARROW_COLS = 2 * TILE_COLS,
  VECTOR_TASK_PRODUCTS = 1 << 15
};

static int is_small(const struct batch *batch) {
  const struct gemm *g = &batch->first;
  int wide = !PAIRED && batch->count >= 2 * mnb_threads(); /* the result may not depend on the threads */
  if (wide && g->n <= NARROW_COLS) return 1; /* packed rows would meet too few columns */
  return g->m == 1 || g->n == 1 || g->m * g->n * g->k <= (wide ? DIRECT_BATCH_PRODUCTS : DIRECT_PRODUCTS);
}

#ifdef PAIRS
mnb_op mnb_gemm_f32;

/* Too small to pay for rounding: f32 throughout. */
static int small_product(struct batch *batch, void *const *buf, const int64_t *p) {
  if (!is_small(batch)) return 0;
  mnb_gemm_f32(buf, p);
  return 1;
}
#else
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
  return (product_depth_block() * TILE_COLS + LANES) * (int64_t)sizeof(real);
}

/* C over rows [i0, i1) and columns [j0, j1); j0 is a multiple of TILE_COLS. */
static void direct_block(const struct gemm *g, int64_t i0, int64_t i1, int64_t j0, int64_t j1, real *panel) {
  int64_t slices = mnb_ceil_div(g->k, product_depth_block());
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
  if (g->epilogue) finish_block(g, i0, i1 - i0, j0, j1);
}

static void vector_task(void *ctx, int64_t task, int thread) {
  (void)thread;
  const struct batch *batch = ctx;
  struct gemm g = batch_member(batch, task / batch->row_blocks);
  int64_t block = task % batch->row_blocks, groups = mnb_ceil_div(g.m, COLUMN_VECTORS * LANES);
  int64_t begin = mnb_split(groups, batch->row_blocks, block) * COLUMN_VECTORS * LANES;
  int64_t end = mnb_min(g.m, mnb_split(groups, batch->row_blocks, block + 1) * COLUMN_VECTORS * LANES);
  product_with_vector(&g, begin, end);
  if (!g.epilogue) return;
  if (batch->turned) mnb_finish(g.epilogue, task / batch->row_blocks, 1, begin, end - begin);
  else finish_block(&g, begin, end - begin, 0, 1);
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

/* One row or one column. */
COLD static void vector_products(struct batch *batch) {
  struct gemm *g = &batch->first;
  int64_t transposed_dims[3 * MAX_BATCH_RANK];
  if (g->n != 1) { /* C^T = B^T A^T has one column */
    *g = (struct gemm){g->n, 1, g->k, g->b, g->a, g->b_col, g->b_row, g->a_col, g->a_row, g->c, 0, g->epilogue};
    batch->turned = 1;
    for (int64_t d = 0; d < 3 * batch->rank; d++) {
      transposed_dims[d] = batch->dims[d % 3 == 0 ? d : d % 3 == 1 ? d + 1 : d - 1];
    }
    batch->dims = transposed_dims;
  }
  int64_t groups = mnb_ceil_div(g->m, COLUMN_VECTORS * LANES);
  int64_t per_task = mnb_max(1, VECTOR_TASK_PRODUCTS / (g->k * COLUMN_VECTORS * LANES));
  batch->row_blocks = mnb_ceil_div(groups, per_task);
  mnb_parallel(batch->count * batch->row_blocks, vector_task, batch);
}

/* Computes the products if they are small; returns whether. */
static int small_product(struct batch *batch, void *const *buf, const int64_t *p) {
  (void)buf;
  (void)p;
  if (!is_small(batch)) return 0;
  batch->first.epilogue = mnb_take_epilogue();
  if (batch->first.m == 1 || batch->first.n == 1) vector_products(batch);
  else direct_products(batch);
  return 1;
}
#endif

#endif
