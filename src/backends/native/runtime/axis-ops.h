/* Cumulative sum and scatter-add of one dtype: ELEMENT its C type, TERM the
 * unsigned or float type it is added in, SUM the type of a running total, SUFFIX its name. */

#define NAMED(name) CONCAT(name, SUFFIX)

/* ---- cumsum: buf x, out [outer, n, inner]; parameters outer, n, inner, reverse, exclusive ---- */

struct NAMED(cumsum_) {
  const ELEMENT *x;
  ELEMENT *out;
  int64_t outer, n, inner, reverse, exclusive, blocks;
};

/* One outer index and one block of the inner axis. */
static void NAMED(cumsum_task_)(void *ctx, int64_t task, int thread) {
  (void)thread;
  const struct NAMED(cumsum_) *s = ctx;
  int64_t begin = task % s->blocks * INNER_BLOCK, width = mnb_min(INNER_BLOCK, s->inner - begin);
  int64_t base = task / s->blocks * s->n * s->inner + begin;
  SUM total[INNER_BLOCK] = {0};
  for (int64_t step = 0; step < s->n; step++) {
    int64_t at = base + (s->reverse ? s->n - 1 - step : step) * s->inner;
    for (int64_t j = 0; j < width; j++) {
      SUM next = total[j] + (SUM)s->x[at + j];
      s->out[at + j] = (ELEMENT)(s->exclusive ? total[j] : next);
      total[j] = next;
    }
  }
}

void NAMED(mnb_cumsum_)(void *const *buf, const int64_t *p) {
  struct NAMED(cumsum_) s = {buf[0], buf[1], p[0], p[1], p[2], p[3], p[4], mnb_ceil_div(p[2], INNER_BLOCK)};
  if (s.n == 0) return;
  int small = s.outer * s.n * s.inner <= SERIAL_ELEMENTS;
  (small ? mnb_serial : mnb_parallel)(s.outer * s.blocks, NAMED(cumsum_task_), &s);
}

/* ---- scatter_add: buf index i32, update [outer, n, inner], out [outer, m, inner]; parameters outer, n, m, inner,
 * strides of index (outer, n, inner). Negative indices count from the end, others out of range are skipped. ---- */

struct NAMED(scatter_) {
  const int32_t *index;
  const ELEMENT *update;
  ELEMENT *out;
  int64_t outer, n, m, inner, index_outer, index_axis, index_inner;
  int64_t row_parts, inner_parts;
};

/* One outer index, a range of output rows and a range of the inner axis: it zeroes them, then adds in order of i. */
static void NAMED(scatter_task_)(void *ctx, int64_t task, int thread) {
  (void)thread;
  const struct NAMED(scatter_) *s = ctx;
  int64_t part = task % s->row_parts, block = task / s->row_parts % s->inner_parts;
  int64_t outer = task / (s->row_parts * s->inner_parts);
  int64_t row0 = mnb_split(s->m, s->row_parts, part), row1 = mnb_split(s->m, s->row_parts, part + 1);
  int64_t j0 = mnb_split(s->inner, s->inner_parts, block), j1 = mnb_split(s->inner, s->inner_parts, block + 1);
  ELEMENT *out = s->out + outer * s->m * s->inner;
  if (j1 - j0 == s->inner) memset(out + row0 * s->inner, 0, (size_t)((row1 - row0) * s->inner) * sizeof(ELEMENT));
  else
    for (int64_t row = row0; row < row1; row++)
      memset(out + row * s->inner + j0, 0, (size_t)(j1 - j0) * sizeof(ELEMENT));
  const ELEMENT *update = s->update + outer * s->n * s->inner;
  const int32_t *index = s->index + outer * s->index_outer;
  int64_t columns = s->index_inner == 0 ? 1 : j1 - j0, run = s->index_inner == 0 ? j1 - j0 : 1;
  for (int64_t i = 0; i < s->n; i++) {
    for (int64_t column = 0; column < columns; column++) {
      int64_t j = j0 + column, row = index[i * s->index_axis + j * s->index_inner];
      if (row < 0) row += s->m;
      if (row < row0 || row >= row1) continue;
      ELEMENT *to = out + row * s->inner + j;
      const ELEMENT *from = update + i * s->inner + j;
      for (int64_t l = 0; l < run; l++) to[l] = (ELEMENT)((TERM)to[l] + (TERM)from[l]);
    }
  }
}

void NAMED(mnb_scatter_add_)(void *const *buf, const int64_t *p) {
  struct NAMED(scatter_) s = {buf[0], buf[1], buf[2], p[0], p[1], p[2], p[3], p[4], p[5], p[6], 1, 1};
  if (s.outer * s.m * s.inner == 0) return;
  int64_t threads = mnb_threads();
  if (threads > 1 && s.outer * (s.n + s.m) * s.inner > SERIAL_ELEMENTS && s.outer < 2 * threads) {
    int64_t wanted = mnb_ceil_div(2 * threads, s.outer);
    s.inner_parts = mnb_max(1, mnb_min(wanted, s.inner / INNER_BLOCK));
    s.row_parts = mnb_max(1, mnb_min(mnb_ceil_div(wanted, s.inner_parts), s.m));
  }
  mnb_parallel(s.outer * s.inner_parts * s.row_parts, NAMED(scatter_task_), &s);
}

#undef NAMED
#undef ELEMENT
#undef SUM
#undef TERM
#undef SUFFIX
