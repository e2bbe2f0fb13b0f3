/* Matrix product C = A B, batched, any strides for A and B, C dense.
 *
 * Three ways, chosen by size:
 *   vector   N == 1 or M == 1 (gemm-small.h): dot products or weighted sums of columns at memory speed
 *   direct   small (gemm-small.h): A is read where it lies; B too if its rows are contiguous, else a panel at a time
 *            is packed into thread scratch; a task is a block of C over all of K
 *   blocked  BLIS: for each slice of K, A and B are packed once into shared panels, then blocks of C are tasks, each
 *            with its rows of A in L2 and the current panel of B in L1
 * K is summed in the same order and the same slices whatever the number of threads. */
#ifndef MNB_GEMM_H
#define MNB_GEMM_H

#include "microkernel.h"
#include "pack.h"

enum {
  MAX_BATCH_RANK = 4,
  TASK_PRODUCTS = 1 << 16, /* work worth a task */
  SHARED_ROWS = 8184,      /* rows of A and columns of B packed at a time */
  SHARED_COLS = 8192,
  PANELS_PER_SWEEP = 4,    /* panels of B packed side by side */
  FINISHED_TOGETHER = 8    /* panels of C that an epilogue takes at a time */
};

struct gemm {
  int64_t m, n, k;
  const real *a, *b;
  int64_t a_row, a_col, b_row, b_col; /* strides in elements */
  real *c;
  int64_t row;                        /* of the whole result: the first row of C */
  const struct mnb_epilogue *epilogue;
};

/* Columns [j, end) of `rows` rows are complete. */
static void finish_block(const struct gemm *g, int64_t i, int64_t rows, int64_t j, int64_t end) {
  mnb_finish(g->epilogue, g->row + i, rows, j, end - j);
}

/* Steps of K per slice: a panel of B takes half of L1. A tile of 16 lanes takes so many multiplications a step that L2
 * keeps up with it, so there a panel may take a share of L2, and longer slices pass over C less often. */
COLD static int64_t depth_block(void) {
  int64_t bytes = mnb_cache_bytes(1) / 2;
  if (VECTOR_BYTES == 64) bytes = mnb_max(bytes, mnb_cache_bytes(2) / 32);
  return mnb_max(64, bytes / (TILE_COLS * (int64_t)sizeof(real)));
}

/* The same for a matrix product, which finds its next panel ready packed. */
COLD static int64_t product_depth_block(void) { return (VECTOR_BYTES == 64 ? 2 : 1) * depth_block(); }

/* Rows of A per block: a slice of them takes half of L2. */
COLD static int64_t row_block(int64_t depth) {
  return mnb_max(1, mnb_cache_bytes(2) / 2 / (depth * TILE_ROWS * (int64_t)sizeof(real))) * TILE_ROWS;
}

/* ---- blocked ---- */

struct blocked {
  const struct gemm *g;
  real *a_panels, *b_panels;
  int64_t i0, rows, j0, cols, k0, sources, depth; /* the part of the product that the panels hold; depth in steps */
  int64_t a_tasks, b_tasks, row_blocks, col_blocks;
};

static void pack_a_task(const struct blocked *s, int64_t task) {
  const struct gemm *g = s->g;
  int64_t tiles = mnb_ceil_div(s->rows, TILE_ROWS);
  for (int64_t tile = mnb_split(tiles, s->a_tasks, task); tile < mnb_split(tiles, s->a_tasks, task + 1); tile++) {
    int64_t i = tile * TILE_ROWS;
    int rows = (int)mnb_min(TILE_ROWS, s->rows - i);
    pack_a(s->a_panels + i * s->depth, row_class(rows), g->a + (s->i0 + i) * g->a_row + s->k0 * g->a_col, g->a_row,
           g->a_col, rows, s->sources);
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
      for (int64_t k = 0; k < s->sources; k += STEP) {
        int64_t sources = mnb_min(STEP, s->sources - k);
        for (int p = 0; p < PANELS_PER_SWEEP; p++) {
          real *panel_to = to + (p * s->depth + k / STEP * STEPS) * TILE_COLS;
          pack_rows(panel_to, TILE_COLS, from + k * g->b_row + p * TILE_COLS, g->b_row, TILE_COLS, sources);
        }
      }
      panel += PANELS_PER_SWEEP;
    } else {
      pack_b(to, from, g->b_col, g->b_row, (int)mnb_min(TILE_COLS, s->cols - j), s->sources);
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
  int64_t unfinished = j_begin;
  for (int64_t j = j_begin; j < j_end; j += TILE_COLS) {
    t.b[0] = s->b_panels + j * s->depth;
    for (int64_t i = i_begin; i < i_end; i += TILE_ROWS) {
      t.a[0] = s->a_panels + i * s->depth;
      t.next = part_to_fetch(t.b[0] + TILE_COLS * s->depth, s->depth, (i - i_begin) / TILE_ROWS);
      if (t.next == NULL) t.next = t.a[0] + TILE_ROWS * s->depth;
      t.c[0] = g->c + (s->i0 + i) * g->n + s->j0 + j;
      t.c[1] = t.c[0] + LANES;
      int cols = (int)mnb_min(TILE_COLS, s->cols - j);
      if (cols > LANES) run_tile(&t, PACKED_STRIDED, (int)mnb_min(TILE_ROWS, s->rows - i), cols);
      else run_tile(&t, PACKED_NARROW, (int)mnb_min(TILE_ROWS, s->rows - i), cols);
    }
    int64_t end = mnb_min(j + TILE_COLS, j_end);
    if (!g->epilogue || s->k0 + s->sources < g->k || (end < j_end && end - unfinished < FINISHED_TOGETHER * TILE_COLS))
      continue;
    finish_block(g, s->i0 + i_begin, i_end - i_begin, s->j0 + unfinished, s->j0 + end);
    unfinished = end;
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
  /* The same number of tasks for every thread, if a few more columns of blocks give that. */
  int64_t threads = mnb_threads();
  for (int64_t more = 0; more < threads && s->col_blocks + more <= panels; more++) {
    if (s->row_blocks * (s->col_blocks + more) % threads != 0) continue;
    s->col_blocks += more;
    break;
  }
  mnb_parallel(s->row_blocks * s->col_blocks, blocked_task, s);
}

/* Columns of B in whole panels. */
static int64_t panel_cols(int64_t n) { return mnb_round_up(n, TILE_COLS); }

static int64_t product_slices(const struct gemm *g) { return mnb_ceil_div(steps_of(g->k), product_depth_block()); }

/* The part of the depth that is slice `slice`; returns its first step. */
static int64_t cut_slice(struct blocked *s, int64_t slice) {
  int64_t slices = product_slices(s->g), units = mnb_ceil_div(s->g->k, STEP);
  int64_t first = mnb_split(units, slices, slice), count = mnb_split(units, slices, slice + 1) - first;
  s->depth = count * STEPS;
  s->k0 = first * STEP;
  s->sources = mnb_min(count * STEP, s->g->k - s->k0);
  return first * STEPS;
}

/* With `packed`, all of B was packed earlier (pack_all), and N is at most SHARED_COLS. */
COLD static void blocked_product(const struct gemm *g, real *packed) {
  int64_t slices = product_slices(g), depth = steps_of(mnb_ceil_div(mnb_ceil_div(g->k, STEP), slices) * STEP);
  int64_t a_size = mnb_round_up(mnb_round_up(mnb_min(g->m, SHARED_ROWS), TILE_ROWS) * depth + LANES, MNB_ALIGN);
  int64_t b_size = packed ? 0 : panel_cols(mnb_min(g->n, SHARED_COLS)) * depth;
  real *panels = mnb_shared((a_size + b_size + LANES) * (int64_t)sizeof(real));
  if (panels == NULL) return;
  struct blocked s = {.g = g, .a_panels = panels, .b_panels = panels + a_size};
  for (s.j0 = 0; s.j0 < g->n; s.j0 += SHARED_COLS) {
    s.cols = mnb_min(SHARED_COLS, g->n - s.j0);
    for (int64_t slice = 0; slice < slices; slice++) {
      int64_t first = cut_slice(&s, slice);
      s.b_tasks = packed ? 0 : mnb_min(mnb_ceil_div(s.cols, PANELS_PER_SWEEP * TILE_COLS), 4 * mnb_threads());
      if (packed) s.b_panels = packed + first * panel_cols(g->n);
      for (s.i0 = 0; s.i0 < g->m; s.i0 += SHARED_ROWS) {
        s.rows = mnb_min(SHARED_ROWS, g->m - s.i0);
        s.a_tasks = mnb_min(mnb_ceil_div(s.rows, TILE_ROWS), 4 * mnb_threads());
        int little = s.b_tasks == 0 && s.rows * s.sources < TASK_PRODUCTS;
        (little ? mnb_serial : mnb_parallel)(s.a_tasks + s.b_tasks, pack_task, &s);
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
  int turned; /* the transposed product is computed, which has a single column */
};

static struct gemm batch_member(const struct batch *batch, int64_t index) {
  struct gemm g = batch->first;
  g.c += index * g.m * g.n;
  g.row += index * g.m;
  for (int64_t d = batch->rank - 1; d >= 0; d--) {
    const int64_t *dim = batch->dims + 3 * d;
    g.a += index % dim[0] * dim[1];
    g.b += index % dim[0] * dim[2];
    index /= dim[0];
  }
  return g;
}

#include "gemm-small.h"

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
  if (small_product(&batch, buf, p)) return;
  g->epilogue = mnb_take_epilogue();
  for (int64_t i = 0; i < batch.count; i++) {
    struct gemm member = batch_member(&batch, i);
    blocked_product(&member, NULL);
  }
}

/* All of B in panels, slice after slice: [slice][panel][step][lane]. */
COLD static void pack_all(const struct gemm *g, real *packed) {
  struct blocked s = {.g = g, .cols = g->n};
  s.b_tasks = mnb_min(mnb_ceil_div(g->n, PANELS_PER_SWEEP * TILE_COLS), 4 * mnb_threads());
  for (int64_t slice = 0; slice < product_slices(g); slice++) {
    s.b_panels = packed + cut_slice(&s, slice) * panel_cols(g->n);
    mnb_parallel(s.b_tasks, pack_task, &s);
  }
}

static struct gemm read_gemm(const int64_t *p, const real *a, const real *b, real *c) {
  return (struct gemm){p[0], p[1], p[2], a, b, p[3], p[4], p[5], p[6], c, 0, NULL};
}

/* How many elements B has once it is packed; 0 if products of this shape do not pack it, or not all at once. */
COLD int64_t OP_NAME(gemm_packed_elements)(const int64_t *p) {
  struct batch batch = {.first = read_gemm(p, NULL, NULL, NULL), .count = 1, .rank = p[7]};
  const struct gemm *g = &batch.first;
  if (batch.rank > 0 || g->m * g->n * g->k == 0 || is_small(&batch) || g->n > SHARED_COLS) return 0;
  return steps_of(g->k) * panel_cols(g->n) + LANES;
}

/* buf: B, packed B. Parameters as of gemm. */
COLD void OP_NAME(gemm_pack)(void *const *buf, const int64_t *p) {
  struct gemm g = read_gemm(p, NULL, buf[0], NULL);
  pack_all(&g, buf[1]);
}

/* buf: A, packed B, C. */
COLD void OP_NAME(gemm_packed)(void *const *buf, const int64_t *p) {
  struct gemm g = read_gemm(p, buf[0], NULL, buf[2]);
  g.epilogue = mnb_take_epilogue();
  blocked_product(&g, buf[1]);
}

#endif
