/* argsort of one dtype: ELEMENT its C type, SUFFIX its name, ELEMENT_KEY(x) an unsigned key in the same order.
 *
 * buf: x [outer, n, inner], out i32 [outer, limit, inner]. Parameters: outer, n, inner, limit, descending.
 * Stable; NaN is the largest value. A task sorts some of the outer * inner rows. */

enum { CONCAT(argsort_task_entries_, SUFFIX) = 1 << 12 };

struct CONCAT(argsort_, SUFFIX) {
  const ELEMENT *x;
  int32_t *out;
  int64_t outer, n, inner, limit, descending, tasks;
};

static void CONCAT(argsort_task_, SUFFIX)(void *ctx, int64_t task, int thread) {
  const struct CONCAT(argsort_, SUFFIX) *s = ctx;
  struct entry *entries = mnb_scratch(thread), *other = entries + s->n;
  int64_t rows = s->outer * s->inner, end = mnb_split(rows, s->tasks, task + 1);
  sort_key flip = s->descending ? ~(sort_key)0 : 0;
  for (int64_t row = mnb_split(rows, s->tasks, task); row < end; row++) {
    const ELEMENT *x = s->x + row / s->inner * s->n * s->inner + row % s->inner;
    int32_t *out = s->out + row / s->inner * s->limit * s->inner + row % s->inner;
    for (int64_t i = 0; i < s->n; i++) {
      entries[i] = (struct entry){ELEMENT_KEY(x[i * s->inner]) ^ flip, (uint32_t)i};
    }
    const struct entry *sorted = sort_entries(entries, other, s->n, s->limit);
    for (int64_t i = 0; i < s->limit; i++) out[i * s->inner] = (int32_t)sorted[i].index;
  }
}

void CONCAT(mnb_argsort_, SUFFIX)(void *const *buf, const int64_t *p) {
  struct CONCAT(argsort_, SUFFIX) s = {buf[0], buf[1], p[0], p[1], p[2], mnb_min(p[3], p[1]), p[4], 0};
  int64_t rows = s.outer * s.inner;
  if (rows * s.n * s.limit == 0) return;
  if (s.n > INT32_MAX) {
    mnb_fail("argsort: an axis of %lld elements does not fit into 32-bit indices", (long long)s.n);
    return;
  }
  if (mnb_scratch_reserve(2 * s.n * (int64_t)sizeof(struct entry)) != 0) return;
  int64_t per_task = mnb_max(1, CONCAT(argsort_task_entries_, SUFFIX) / s.n);
  s.tasks = mnb_min(mnb_ceil_div(rows, per_task), 8 * mnb_threads());
  mnb_parallel(s.tasks, CONCAT(argsort_task_, SUFFIX), &s);
}

#undef ELEMENT
#undef SUFFIX
#undef ELEMENT_KEY
