/* Fused attention: softmax(scale q k^T + mask) v without the matrix of weights in memory, and its gradient.
 *
 * Forward (Milakov and Gimelshein 2018; Dao et al. 2022): a task takes a block of queries of one batch element past all
 * keys, with a running maximum and sum per query, and leaves the logarithm of the sum for the gradient. The gradient
 * computes the weights again, block by block; a task takes a range of keys of one batch element past all queries.
 * Blocks are padded with zeros to whole tiles, so that the products have no edges. What a task does, and in which order,
 * does not depend on the number of threads. */
#ifndef MNB_ATTENTION_H
#define MNB_ATTENTION_H

#include "real.h"

#include <math.h>

/* Queries and keys of a block: multiples of the rows and of the columns of a tile, on every machine. */
enum { QUERIES = 48, KEYS = 96, MAX_BATCH_AXES = 8, MAX_WIDTH = 128 };
enum { NO_MASK, BOOL_MASK, REAL_MASK };

#if VECTOR_BYTES == 64
enum { PRODUCT_ROWS = 12 };
#elif defined(__aarch64__)
enum { PRODUCT_ROWS = 8 };
#else
enum { PRODUCT_ROWS = 6 };
#endif
enum { PRODUCT_COLS = 2 * LANES };

/* ---- products of blocks ---- */

/* C [rows, cols] (+)= A [rows, depth] B [depth, cols]; whole tiles. Element (i, k) of A lies at a[i * KEYS + k], or,
 * transposed, at a[i + k * a_step]; row k of B at b + k * b_step, row i of C at c + i * c_step. */
INLINE void block_product(int rows, int cols, int64_t depth, const real *a, int transposed, int64_t a_step,
                          const real *b, int64_t b_step, real *c, int64_t c_step, int accumulate) {
  for (int j = 0; j < cols; j += PRODUCT_COLS) {
    for (int i0 = 0; i0 < rows; i0 += PRODUCT_ROWS) {
      vec acc[PRODUCT_ROWS][2];
      UNROLL for (int i = 0; i < PRODUCT_ROWS; i++) acc[i][0] = acc[i][1] = (vec){0};
      const real *at = transposed ? a + i0 : a + i0 * KEYS, *bt = b + j;
      for (int64_t k = 0; k < depth; k++) {
        vec left = load(bt), right = load(bt + LANES);
        UNROLL for (int i = 0; i < PRODUCT_ROWS; i++) {
          vec x = splat(at[transposed ? i : i * KEYS]);
          acc[i][0] += x * left;
          acc[i][1] += x * right;
        }
        at += transposed ? a_step : 1;
        bt += b_step;
      }
      UNROLL for (int i = 0; i < PRODUCT_ROWS; i++) {
        real *to = c + (i0 + i) * c_step + j;
        store(to, accumulate ? load(to) + acc[i][0] : acc[i][0]);
        store(to + LANES, accumulate ? load(to + LANES) + acc[i][1] : acc[i][1]);
      }
    }
  }
}

HOT void product_rows(int rows, int cols, int64_t depth, const real *a, const real *b, int64_t b_step, real *c,
                      int64_t c_step) {
  block_product(rows, cols, depth, a, 0, 0, b, b_step, c, c_step, 1);
}
HOT void product_columns(int rows, int cols, int64_t depth, const real *a, int64_t a_step, const real *b,
                         int64_t b_step, real *c, int64_t c_step, int accumulate) {
  block_product(rows, cols, depth, a, 1, a_step, b, b_step, c, c_step, accumulate);
}

/* ---- e^x for x <= 0, up to rounding; e^-infinity is 0 and NaN stays. The polynomial is that of kernel.h. ---- */

#if REAL_BITS == 32
INLINE vec exp_lanes(vec x) {
  lane_mask tiny = x < splat(-87.0f);
  vec c = (vec)(((lane_mask)splat(-87.0f) & tiny) | ((lane_mask)x & ~tiny));
  vec n = c * splat(1.44269504f) + splat(12582912.0f);
  n = n - splat(12582912.0f);
  vec r = (c - n * splat(0.693359375f)) + n * splat(2.12194440e-4f);
  vec p = splat(0x1.9dfbbp-13f);
  p = p * r + splat(0x1.6d4cbcp-10f);
  p = p * r + splat(0x1.11130ep-7f);
  p = p * r + splat(0x1.5554e8p-5f);
  p = p * r + splat(0x1.555554p-3f);
  p = p * r + splat(0.5f);
  lane_mask k = __builtin_convertvector(n, lane_mask);
  vec y = (splat(1.0f) + (r + r * r * p)) * (vec)((k + 127) << 23);
  return (vec)((lane_mask)y & ~tiny);
}
#else
INLINE vec exp_lanes(vec x) {
  for (int l = 0; l < LANES; l++) x[l] = exp(x[l]);
  return x;
}
#endif

INLINE vec larger(vec x, vec y) {
  lane_mask first = x > y;
  return (vec)(((lane_mask)x & first) | ((lane_mask)y & ~first));
}

/* ---- what both directions share ---- */

/* One operand [batch.., rows, columns], read through strides. */
struct strided {
  const real *p;
  int64_t batch[MAX_BATCH_AXES], row, column;
};

struct attention {
  int axes;
  int64_t batch[MAX_BATCH_AXES], batches;
  int64_t queries, keys, width, value_width;    /* as they are */
  int64_t query_blocks, key_blocks, wide, value_wide; /* padded */
  int causal, mask_kind;
  real scale;
  struct strided q, k, v, mask, ct;
  const uint8_t *bool_mask;
  const real *out, *lse; /* of the forward direction */
  real *to;
  real *partial; /* sums of dq of key ranges after the first */
  int64_t parts; /* tasks per batch element */
};

/* Element where batch element `n` of an operand begins. */
static int64_t batch_offset(const struct attention *s, const struct strided *x, int64_t n) {
  int64_t at = 0;
  for (int i = s->axes - 1; i >= 0; i--) {
    at += n % s->batch[i] * x->batch[i];
    n /= s->batch[i];
  }
  return at;
}

static const int64_t *read_strides(struct strided *x, const void *p, int axes, const int64_t *w) {
  x->p = p;
  for (int i = 0; i < axes; i++) x->batch[i] = *w++;
  x->row = *w++;
  x->column = *w++;
  return w;
}

/* Rows [first, first + count) as a dense [count, wide], padded with zeros, times `scale`; rows beyond `rows` are zero. */
static void copy_rows(real *to, const struct strided *x, int64_t offset, int64_t first, int64_t count, int64_t rows,
                      int64_t width, int64_t wide, real scale) {
  for (int64_t i = 0; i < count; i++, to += wide) {
    const real *from = x->p + offset + (first + i) * x->row;
    int64_t columns = first + i < rows ? width : 0;
    if (x->column == 1) {
      for (int64_t j = 0; j < columns; j++) to[j] = scale * from[j];
    } else {
      for (int64_t j = 0; j < columns; j++) to[j] = scale * from[j * x->column];
    }
    for (int64_t j = columns; j < wide; j++) to[j] = 0;
  }
}

/* The same block transposed: [width, count]. */
static void copy_columns(real *to, const struct strided *x, int64_t offset, int64_t first, int64_t count, int64_t rows,
                         int64_t width, real scale) {
  for (int64_t i0 = 0; i0 < count; i0 += LANES) {
    const real *from = x->p + offset + (first + i0) * x->row;
    int64_t there = mnb_max(0, mnb_min(LANES, rows - first - i0)), j = 0;
    for (; x->column == 1 && j + LANES <= width; j += LANES) {
      vec row[LANES];
      UNROLL for (int l = 0; l < LANES; l++) row[l] = l < there ? load(from + l * x->row + j) * splat(scale) : (vec){0};
      transpose_lanes(row);
      UNROLL for (int l = 0; l < LANES; l++) store(to + (j + l) * count + i0, row[l]);
    }
    for (; j < width; j++)
      for (int64_t l = 0; l < LANES; l++)
        to[j * count + i0 + l] = l < there ? scale * from[l * x->row + j * x->column] : 0;
  }
}

/* Extents of a block rounded up to whole tiles. */
INLINE int tile_rows(int64_t rows) { return (int)mnb_round_up(rows, PRODUCT_ROWS); }
INLINE int tile_columns(int64_t columns) { return (int)mnb_round_up(columns, PRODUCT_COLS); }

/* Adds the mask to a block of scores [QUERIES, KEYS] and hides what is masked, causally hidden, or no key. */
static void mask_scores(const struct attention *s, int64_t batch, int64_t query0, int64_t key0, real *scores) {
  int64_t keys = mnb_min(KEYS, s->keys - key0), queries = mnb_min(QUERIES, s->queries - query0);
  int64_t offset = s->mask_kind != NO_MASK ? batch_offset(s, &s->mask, batch) : 0;
  for (int64_t i = 0; i < queries; i++) {
    real *row = scores + i * KEYS;
    int64_t at = offset + (query0 + i) * s->mask.row + key0 * s->mask.column, step = s->mask.column;
    if (s->mask_kind == REAL_MASK) {
      for (int64_t j = 0; j < keys; j++) row[j] += s->mask.p[at + j * step];
    } else if (s->mask_kind == BOOL_MASK) {
      for (int64_t j = 0; j < keys; j++) row[j] = s->bool_mask[at + j * step] ? row[j] : -INFINITY;
    }
    int64_t seen = s->causal ? mnb_max(0, mnb_min(keys, query0 + i + 1 - key0)) : keys;
    for (int64_t j = seen; j < tile_columns(keys); j++) row[j] = -INFINITY;
  }
}

/* Parameters: axes, batch sizes, queries, keys, width, value width, causal, mask kind, the halves of the scale's bits,
 * then the strides of q, k, v and, if there is one, the mask: batch axes, row, column. */
static const int64_t *read_problem(struct attention *s, void *const *buf, const int64_t *w) {
  s->axes = (int)*w++;
  s->batches = 1;
  for (int i = 0; i < s->axes; i++) s->batches *= s->batch[i] = *w++;
  s->queries = *w++;
  s->keys = *w++;
  s->width = *w++;
  s->value_width = *w++;
  s->causal = (int)*w++;
  s->mask_kind = (int)*w++;
  uint64_t bits = (uint64_t)w[0] << 32 | (uint64_t)w[1];
  w += 2;
  double scale;
  memcpy(&scale, &bits, sizeof scale);
  s->scale = (real)scale;
  s->query_blocks = mnb_ceil_div(s->queries, QUERIES);
  s->key_blocks = mnb_ceil_div(s->keys, KEYS);
  s->wide = mnb_round_up(s->width, PRODUCT_COLS);
  s->value_wide = mnb_round_up(s->value_width, PRODUCT_COLS);
  w = read_strides(&s->q, buf[0], s->axes, w);
  w = read_strides(&s->k, buf[1], s->axes, w);
  w = read_strides(&s->v, buf[2], s->axes, w);
  if (s->mask_kind != NO_MASK) {
    s->bool_mask = buf[3];
    w = read_strides(&s->mask, buf[3], s->axes, w);
  }
  return w;
}

/* ---- forward: buf q, k, v, mask if any, out = [batches, queries, value width] then the log of sums [batches, queries] */

struct query_state {
  real highest[QUERIES];
  vec total[QUERIES]; /* lane by lane */
};

/* The largest lane of each of LANES vectors. */
INLINE vec largest_lanes(const vec *x) {
  vec row[LANES];
  UNROLL for (int l = 0; l < LANES; l++) row[l] = x[l];
  transpose_lanes(row);
  UNROLL for (int l = 1; l < LANES; l++) row[0] = larger(row[l], row[0]);
  return row[0];
}

/* Turns scores into weights relative to the running maximum and scales what has been summed up so far to it. */
static void soften(real *scores, struct query_state *state, int64_t queries, int columns, real *sums, int64_t wide) {
  vec top[QUERIES];
  real tops[QUERIES];
  for (int64_t i = 0; i < queries; i++) {
    top[i] = load(scores + i * KEYS);
    for (int j = LANES; j < columns; j += LANES) top[i] = larger(load(scores + i * KEYS + j), top[i]);
  }
  for (int64_t i = queries; i < QUERIES; i++) top[i] = (vec){0};
  for (int i = 0; i < QUERIES; i += LANES) store(tops + i, largest_lanes(top + i));
  for (int64_t i = 0; i < queries; i++) {
    real *row = scores + i * KEYS, before = state->highest[i], highest = tops[i] > before ? tops[i] : before;
    vec shift = splat(highest == -INFINITY ? 0 : highest), total = {0};
    for (int j = 0; j < columns; j += LANES) {
      vec e = exp_lanes(load(row + j) - shift);
      store(row + j, e);
      total += e;
    }
    state->highest[i] = highest;
    if (highest != before) {
      vec keep = before == -INFINITY ? (vec){0} : exp_lanes(splat(before) - shift);
      state->total[i] *= keep;
      for (int64_t j = 0; j < wide; j += LANES) store(sums + i * wide + j, load(sums + i * wide + j) * keep);
    }
    state->total[i] += total;
  }
}

static int64_t forward_scratch(const struct attention *s) {
  int64_t keys = s->key_blocks * KEYS;
  return keys * (s->width + s->value_wide) + QUERIES * (s->width + KEYS + s->value_wide);
}

static void forward_task(void *ctx, int64_t task, int thread) {
  const struct attention *s = ctx;
  int64_t batch = task / s->parts, part = task % s->parts;
  int64_t begin = mnb_split(s->query_blocks, s->parts, part) * QUERIES;
  int64_t end = mnb_min(s->queries, mnb_split(s->query_blocks, s->parts, part + 1) * QUERIES);
  int64_t blocks = s->causal ? mnb_min(s->key_blocks, mnb_ceil_div(end, KEYS)) : s->key_blocks;
  real *k = mnb_scratch(thread), *v = k + s->key_blocks * KEYS * s->width;
  real *q = v + s->key_blocks * KEYS * s->value_wide, *scores = q + QUERIES * s->width, *sums = scores + QUERIES * KEYS;
  int64_t k_at = batch_offset(s, &s->k, batch), v_at = batch_offset(s, &s->v, batch);
  for (int64_t b = 0; b < blocks; b++) {
    copy_columns(k + b * KEYS * s->width, &s->k, k_at, b * KEYS, KEYS, s->keys, s->width, 1);
    copy_rows(v + b * KEYS * s->value_wide, &s->v, v_at, b * KEYS, KEYS, s->keys, s->value_width, s->value_wide, 1);
  }
  int64_t q_at = batch_offset(s, &s->q, batch);
  for (int64_t query0 = begin; query0 < end; query0 += QUERIES) {
    struct query_state state;
    int64_t queries = mnb_min(QUERIES, end - query0);
    for (int i = 0; i < QUERIES; i++) state.highest[i] = -INFINITY, state.total[i] = (vec){0};
    copy_columns(q, &s->q, q_at, query0, QUERIES, s->queries, s->width, s->scale);
    memset(sums, 0, (size_t)(QUERIES * s->value_wide) * sizeof(real));
    for (int64_t b = 0; b < blocks && (!s->causal || b * KEYS < query0 + queries); b++) {
      int64_t keys = mnb_min(KEYS, s->keys - b * KEYS);
      product_columns(tile_rows(queries), tile_columns(keys), s->width, q, QUERIES, k + b * KEYS * s->width, KEYS,
                      scores, KEYS, 0);
      mask_scores(s, batch, query0, b * KEYS, scores);
      soften(scores, &state, queries, tile_columns(keys), sums, s->value_wide);
      product_rows(tile_rows(queries), (int)s->value_wide, keys, scores, v + b * KEYS * s->value_wide, s->value_wide,
                   sums, s->value_wide);
    }
    real *out = s->to + (batch * s->queries + query0) * s->value_width;
    real *lse = s->to + s->batches * s->queries * s->value_width + batch * s->queries + query0;
    for (int64_t i = 0; i < queries; i++) {
      real total = sum_lanes(state.total[i]), inverse = total == 0 ? 0 : 1 / total;
      for (int64_t j = 0; j < s->value_width; j++) out[i * s->value_width + j] = sums[i * s->value_wide + j] * inverse;
      lse[i] = total == 0 ? 0 : state.highest[i] + (real)log((double)total);
    }
  }
}

COLD void OP_NAME(attention)(void *const *buf, const int64_t *p) {
  struct attention s = {0};
  read_problem(&s, buf, p);
  s.to = buf[s.mask_kind == NO_MASK ? 3 : 4];
  if (s.batches * s.queries == 0) return;
  if (mnb_scratch_reserve(forward_scratch(&s) * (int64_t)sizeof(real)) != 0) return;
  /* A block of queries has the same result in whichever task it is. */
  int64_t threads = mnb_threads(), wanted = threads > 1 ? mnb_ceil_div(4 * threads, s.batches) : 1;
  s.parts = mnb_min(s.query_blocks, wanted);
  mnb_parallel(s.batches * s.parts, forward_task, &s);
}

/* ---- gradient: buf q, k, v, mask if any, forward result, cotangent of out, then dq, dk, dv one after the other ---- */

/* With so few batch elements a task takes a part of the keys of one, with sums of dq of its own. */
enum { FEW_BATCHES = 8, KEY_PARTS = 4 };

static int64_t backward_scratch(const struct attention *s) {
  int64_t queries = s->query_blocks * QUERIES;
  return 2 * queries * (s->wide + s->value_wide) + queries + KEYS * (3 * s->wide + 2 * s->value_wide) +
         2 * QUERIES * KEYS + queries * s->wide;
}

/* Weights and their slopes of one block, from scores and from ct v^T. */
static void slopes(real *weights, real *slope, const real *lse, const real *dots, int64_t queries, int columns) {
  for (int64_t i = 0; i < queries; i++) {
    real *w = weights + i * KEYS, *d = slope + i * KEYS;
    vec shift = splat(lse[i]), dot = splat(dots[i]);
    for (int j = 0; j < columns; j += LANES) {
      vec e = exp_lanes(load(w + j) - shift);
      store(w + j, e);
      store(d + j, e * (load(d + j) - dot));
    }
  }
}

static void store_rows(real *to, const real *from, int64_t rows, int64_t width, int64_t wide, real scale) {
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < width; j++) to[i * width + j] = scale * from[i * wide + j];
}

static void backward_task(void *ctx, int64_t task, int thread) {
  const struct attention *s = ctx;
  int64_t batch = task / s->parts, part = task % s->parts, queries = s->query_blocks * QUERIES;
  /* Of queries and cotangents: rows, and blocks of columns. Of the keys and values of one block: the same. */
  real *q = mnb_scratch(thread), *qt = q + queries * s->wide, *ct = qt + queries * s->wide;
  real *ctt = ct + queries * s->value_wide, *dots = ctt + queries * s->value_wide, *dq = dots + queries;
  real *k = dq + queries * s->wide, *kt = k + KEYS * s->wide, *vt = kt + KEYS * s->wide, *dv = vt + KEYS * s->value_wide;
  real *weights = dv + KEYS * s->value_wide, *slope = weights + QUERIES * KEYS, *dk = slope + QUERIES * KEYS;
  int64_t q_at = batch_offset(s, &s->q, batch), ct_at = batch_offset(s, &s->ct, batch);
  int64_t k_at = batch_offset(s, &s->k, batch), v_at = batch_offset(s, &s->v, batch);
  const real *out = s->out + batch * s->queries * s->value_width, *lse = s->lse + batch * s->queries;
  copy_rows(q, &s->q, q_at, 0, queries, s->queries, s->width, s->wide, s->scale);
  copy_rows(ct, &s->ct, ct_at, 0, queries, s->queries, s->value_width, s->value_wide, 1);
  for (int64_t b = 0; b < s->query_blocks; b++) {
    copy_columns(qt + b * QUERIES * s->wide, &s->q, q_at, b * QUERIES, QUERIES, s->queries, s->width, s->scale);
    copy_columns(ctt + b * QUERIES * s->value_wide, &s->ct, ct_at, b * QUERIES, QUERIES, s->queries, s->value_width, 1);
  }
  for (int64_t i = 0; i < queries; i++) {
    vec total = {0};
    real rest = 0;
    const real *x = ct + i * s->value_wide, *y = out + i * s->value_width;
    int64_t j = 0;
    if (i < s->queries) {
      for (; j + LANES <= s->value_width; j += LANES) total += load(x + j) * load(y + j);
      for (; j < s->value_width; j++) rest += x[j] * y[j];
    }
    dots[i] = sum_lanes(total) + rest;
  }
  memset(dq, 0, (size_t)(queries * s->wide) * sizeof(real));
  int64_t total_q = s->batches * s->queries * s->width, total_k = s->batches * s->keys * s->width;
  int64_t last = mnb_split(s->key_blocks, s->parts, part + 1);
  for (int64_t b = mnb_split(s->key_blocks, s->parts, part); b < last; b++) {
    int64_t key0 = b * KEYS, keys = mnb_min(KEYS, s->keys - key0);
    int columns = tile_columns(keys);
    copy_rows(k, &s->k, k_at, key0, KEYS, s->keys, s->width, s->wide, 1);
    copy_columns(kt, &s->k, k_at, key0, KEYS, s->keys, s->width, 1);
    copy_columns(vt, &s->v, v_at, key0, KEYS, s->keys, s->value_width, 1);
    memset(dv, 0, (size_t)(KEYS * s->value_wide) * sizeof(real));
    memset(dk, 0, (size_t)(KEYS * s->wide) * sizeof(real));
    for (int64_t c = s->causal ? key0 / QUERIES : 0; c < s->query_blocks; c++) {
      int64_t query0 = c * QUERIES, rows = mnb_min(QUERIES, s->queries - query0);
      product_columns(tile_rows(rows), columns, s->width, qt + query0 * s->wide, QUERIES, kt, KEYS, weights, KEYS, 0);
      product_columns(tile_rows(rows), columns, s->value_width, ctt + query0 * s->value_wide, QUERIES, vt, KEYS, slope,
                      KEYS, 0);
      mask_scores(s, batch, query0, key0, weights);
      slopes(weights, slope, lse + query0, dots + query0, rows, columns);
      product_columns(tile_rows(keys), (int)s->value_wide, rows, weights, KEYS, ct + query0 * s->value_wide,
                      s->value_wide, dv, s->value_wide, 1);
      product_columns(tile_rows(keys), (int)s->wide, rows, slope, KEYS, q + query0 * s->wide, s->wide, dk, s->wide, 1);
      product_rows(tile_rows(rows), (int)s->wide, keys, slope, k, s->wide, dq + query0 * s->wide, s->wide);
    }
    real *to = s->to + total_q + (batch * s->keys + key0) * s->width;
    store_rows(to, dk, keys, s->width, s->wide, 1);
    to = s->to + total_q + total_k + (batch * s->keys + key0) * s->value_width;
    store_rows(to, dv, keys, s->value_width, s->value_wide, 1);
  }
  real *to = part == 0 ? s->to : s->partial + (part - 1) * total_q;
  store_rows(to + batch * s->queries * s->width, dq, s->queries, s->width, s->wide, s->scale);
}

COLD void OP_NAME(attention_grad)(void *const *buf, const int64_t *p) {
  struct attention s = {0};
  const int64_t *w = read_problem(&s, buf, p);
  void *const *rest = buf + (s.mask_kind == NO_MASK ? 3 : 4);
  s.out = rest[0];
  s.lse = s.out + s.batches * s.queries * s.value_width;
  read_strides(&s.ct, rest[1], s.axes, w);
  s.to = rest[2];
  int64_t total_q = s.batches * s.queries * s.width;
  s.parts = s.batches < FEW_BATCHES ? mnb_max(1, mnb_min(KEY_PARTS, s.key_blocks)) : 1;
  if (s.batches == 0) return;
  if (mnb_scratch_reserve(backward_scratch(&s) * (int64_t)sizeof(real)) != 0) return;
  if (s.parts > 1 && !(s.partial = mnb_shared((s.parts - 1) * total_q * (int64_t)sizeof(real)))) return;
  mnb_parallel(s.batches * s.parts, backward_task, &s);
  for (int64_t part = 1; part < s.parts; part++) {
    const real *from = s.partial + (part - 1) * total_q;
    for (int64_t i = 0; i < total_q; i++) s.to[i] += from[i];
  }
}

#endif
