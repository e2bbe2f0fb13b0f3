/* Depthwise convolution of small maps, and its two gradients, with channels in the lanes.
 *
 * Rows of a small map are shorter than a vector, so vectors along a row would be half empty. Here the maps of LANES
 * channels of an image are transposed to [y][x][channel], with zeros around them, so that every position is a full
 * vector and padding, stride and dilation cost nothing:
 *   forward        a few neighbouring outputs at a time gather their taps
 *   input gradient the same with the kernel turned around; with a stride, every output scatters to its taps instead
 *   weight gradient  one sum per tap, over positions and images
 * The padded maps should stay in L2, so large maps take the way of conv-gather.h. */
#ifndef MNB_CONV_CHANNELS_H
#define MNB_CONV_CHANNELS_H

#include "conv-plan.h"
#include "real.h"

enum {
  NEIGHBOURS = 8,   /* outputs computed together */
  TAPS_AT_ONCE = 9, /* sums of the weight gradient held in registers */
  IMAGE_SPLITS = 4  /* parts of the batch with sums of their own: a fixed number, whatever the threads */
};

struct channels {
  int64_t n, c, blocks; /* images, channels, vectors of channels */
  int64_t in[2], kernel[2], out[2], stride[2], dilation[2];
  int64_t pad[2];       /* zeros before the first row and column of the padded map */
  int64_t pitch, rows;  /* columns and rows of the padded map */
  int64_t splits;
  const real *x, *w, *y;
  real *to;
  real *sums; /* [block][split][tap][lane] */
  const struct mnb_epilogue *epilogue;
};

static int64_t padded_bytes(const struct channels *p) { return p->rows * p->pitch * LANES * (int64_t)sizeof(real); }
static int64_t map_elements(const int64_t size[2]) { return size[0] * size[1]; }

/* Whether the shape is one for this file, and what it comes to. */
COLD static int read_channels(struct channels *p, const struct conv_shape *s) {
  if (s->groups != s->c || s->c != s->o || s->c < LANES / 2 || s->in[0] != 1 || s->kernel[0] != 1 || s->out[0] != 1)
    return 0;
  *p = (struct channels){.n = s->n, .c = s->c, .blocks = mnb_ceil_div(s->c, LANES), .splits = mnb_min(s->n, IMAGE_SPLITS)};
  for (int d = 0; d < 2; d++) {
    p->in[d] = s->in[d + 1];
    p->kernel[d] = s->kernel[d + 1];
    p->out[d] = s->out[d + 1];
    p->stride[d] = s->stride[d + 1];
    p->dilation[d] = s->dilation[d + 1];
    p->pad[d] = s->pad[d + 1];
  }
  if (map_elements(p->in) < LANES || map_elements(p->out) < LANES) return 0;
  p->rows = mnb_max(p->in[0] + p->pad[0], (p->out[0] - 1) * p->stride[0] + (p->kernel[0] - 1) * p->dilation[0] + 1);
  p->pitch = mnb_max(p->in[1] + p->pad[1], (p->out[1] - 1) * p->stride[1] + (p->kernel[1] - 1) * p->dilation[1] + 1);
  return padded_bytes(p) + map_elements(p->out) * LANES * (int64_t)sizeof(real) <= mnb_cache_bytes(2) / 2;
}

/* Place in a padded map of each position of an unpadded one; the rest of the map is not touched. */
static void transpose_in(real *to, int64_t pitch, const real *from, const int64_t size[2], int lanes) {
  int64_t elements = map_elements(size);
  for (int64_t at = 0; at < elements; at += LANES) {
    int64_t start = mnb_min(at, elements - LANES); /* the last vectors overlap */
    vec row[LANES];
    UNROLL for (int l = 0; l < LANES; l++) row[l] = l < lanes ? load(from + l * elements + start) : (vec){0};
    transpose_lanes(row);
    int64_t y = start / size[1], x = start % size[1];
    for (int i = 0; i < LANES; i++) {
      store(to + (y * pitch + x) * LANES, row[i]);
      if (++x == size[1]) {
        x = 0;
        y++;
      }
    }
  }
}

static void transpose_out(real *to, const real *from, int64_t pitch, const int64_t size[2], int lanes) {
  int64_t elements = map_elements(size);
  for (int64_t at = 0; at < elements; at += LANES) {
    int64_t start = mnb_min(at, elements - LANES);
    int64_t y = start / size[1], x = start % size[1];
    vec row[LANES];
    for (int i = 0; i < LANES; i++) {
      row[i] = load(from + (y * pitch + x) * LANES);
      if (++x == size[1]) {
        x = 0;
        y++;
      }
    }
    transpose_lanes(row);
    UNROLL for (int l = 0; l < LANES; l++) if (l < lanes) store(to + l * elements + start, row[l]);
  }
}

/* The weights of a block of channels, [tap][lane], turned around if `flip`. */
static void load_taps(real *taps, const struct channels *p, int64_t block, int flip) {
  int64_t count = map_elements(p->kernel), first = block * LANES;
  memset(taps, 0, (size_t)(count * LANES) * sizeof(real));
  for (int64_t l = 0; l < mnb_min(LANES, p->c - first); l++) {
    for (int64_t t = 0; t < count; t++) taps[(flip ? count - 1 - t : t) * LANES + l] = p->w[(first + l) * count + t];
  }
}

INLINE void gather_neighbours(const struct channels *p, real *to, const real *from, const real *taps, const int count) {
  vec sum[NEIGHBOURS];
  UNROLL for (int i = 0; i < count; i++) sum[i] = (vec){0};
  int64_t step = p->stride[1] * LANES;
  for (int64_t ty = 0; ty < p->kernel[0]; ty++) {
    const real *row = from + ty * p->dilation[0] * p->pitch * LANES;
    for (int64_t tx = 0; tx < p->kernel[1]; tx++, taps += LANES, row += p->dilation[1] * LANES) {
      vec w = load(taps);
      UNROLL for (int i = 0; i < count; i++) sum[i] += w * load(row + i * step);
    }
  }
  UNROLL for (int i = 0; i < count; i++) store(to + i * LANES, sum[i]);
}

/* A convolution of padded maps; `to` is [y][x][lane]. */
HOT void gather_map(const struct channels *p, real *to, const real *from, const real *taps) {
  for (int64_t y = 0; y < p->out[0]; y++) {
    const real *row = from + y * p->stride[0] * p->pitch * LANES;
    int64_t x = 0, step = p->stride[1] * LANES;
    for (; x + NEIGHBOURS <= p->out[1]; x += NEIGHBOURS, to += NEIGHBOURS * LANES) {
      gather_neighbours(p, to, row + x * step, taps, NEIGHBOURS);
    }
    for (; x + 4 <= p->out[1]; x += 4, to += 4 * LANES) gather_neighbours(p, to, row + x * step, taps, 4);
    for (; x < p->out[1]; x++, to += LANES) gather_neighbours(p, to, row + x * step, taps, 1);
  }
}

/* Adds every position of `from`, [y][x][lane], to the positions of the padded map that its taps saw. */
HOT void scatter_map(const struct channels *p, real *to, const real *from, const real *taps) {
  for (int64_t y = 0; y < p->out[0]; y++) {
    for (int64_t x = 0; x < p->out[1]; x++, from += LANES) {
      vec value = load(from);
      real *at = to + (y * p->stride[0] * p->pitch + x * p->stride[1]) * LANES;
      const real *tap = taps;
      for (int64_t ty = 0; ty < p->kernel[0]; ty++) {
        real *place = at + ty * p->dilation[0] * p->pitch * LANES;
        for (int64_t tx = 0; tx < p->kernel[1]; tx++, tap += LANES, place += p->dilation[1] * LANES) {
          store(place, load(place) + value * load(tap));
        }
      }
    }
  }
}

/* ---- tasks: a block of channels of one image ---- */

static int64_t map_scratch_bytes(const struct channels *p) {
  int64_t elements = p->rows * p->pitch + mnb_max(map_elements(p->out), map_elements(p->in)) + map_elements(p->kernel);
  return (elements * LANES + LANES) * (int64_t)sizeof(real);
}

struct map {
  real *padded, *dense, *taps;
  int lanes;
  int64_t from, to; /* the block's first map in x (or dy) and in the result, counted in maps */
};

static struct map map_of(const struct channels *p, int64_t task, int thread, int flip) {
  int64_t block = task % p->blocks, image = task / p->blocks;
  struct map m = {.padded = mnb_scratch(thread), .lanes = (int)mnb_min(LANES, p->c - block * LANES)};
  m.dense = m.padded + p->rows * p->pitch * LANES;
  m.taps = m.dense + mnb_max(map_elements(p->out), map_elements(p->in)) * LANES;
  m.from = m.to = image * p->c + block * LANES;
  memset(m.padded, 0, (size_t)padded_bytes(p));
  load_taps(m.taps, p, block, flip);
  return m;
}

/* Returns the maps it has written. */
static struct map channels_gather_task(const struct channels *p, int64_t task, int thread, int flip) {
  struct map m = map_of(p, task, thread, flip);
  transpose_in(m.padded + (p->pad[0] * p->pitch + p->pad[1]) * LANES, p->pitch, p->x + m.from * map_elements(p->in),
               p->in, m.lanes);
  gather_map(p, m.dense, m.padded, m.taps);
  transpose_out(p->to + m.to * map_elements(p->out), m.dense, p->out[1], p->out, m.lanes);
  return m;
}

static void channels_forward_task(void *ctx, int64_t task, int thread) {
  const struct channels *p = ctx;
  struct map m = channels_gather_task(p, task, thread, 0);
  if (p->epilogue) mnb_finish(p->epilogue, m.to, m.lanes, 0, map_elements(p->out));
}
static void channels_turned_task(void *ctx, int64_t task, int thread) { channels_gather_task(ctx, task, thread, 1); }

static void channels_scatter_task(void *ctx, int64_t task, int thread) {
  const struct channels *p = ctx;
  struct map m = map_of(p, task, thread, 0);
  transpose_in(m.dense, p->out[1], p->y + m.from * map_elements(p->out), p->out, m.lanes);
  scatter_map(p, m.padded, m.dense, m.taps);
  transpose_out(p->to + m.to * map_elements(p->in), m.padded + (p->pad[0] * p->pitch + p->pad[1]) * LANES, p->pitch,
                p->in, m.lanes);
}

/* Adds one image to the sums of `count` taps from `first` on. */
INLINE void add_taps(const struct channels *p, const real *x, const real *dy, real *sums, int64_t first, const int count) {
  vec sum[TAPS_AT_ONCE];
  const real *from[TAPS_AT_ONCE];
  UNROLL for (int t = 0; t < count; t++) {
    int64_t ty = (first + t) / p->kernel[1], tx = (first + t) % p->kernel[1];
    from[t] = x + (ty * p->dilation[0] * p->pitch + tx * p->dilation[1]) * LANES;
    sum[t] = load(sums + t * LANES);
  }
  for (int64_t y = 0; y < p->out[0]; y++) {
    int64_t at = y * p->stride[0] * p->pitch * LANES;
    for (int64_t i = 0; i < p->out[1]; i++, at += p->stride[1] * LANES, dy += LANES) {
      vec d = load(dy);
      UNROLL for (int t = 0; t < count; t++) sum[t] += d * load(from[t] + at);
    }
  }
  UNROLL for (int t = 0; t < count; t++) store(sums + t * LANES, sum[t]);
}

/* Task: a block of channels of one part of the batch. */
static void channels_weight_task(void *ctx, int64_t task, int thread) {
  const struct channels *p = ctx;
  int64_t block = task / p->splits, split = task % p->splits, taps = map_elements(p->kernel);
  real *sums = p->sums + task * taps * LANES;
  memset(sums, 0, (size_t)(taps * LANES) * sizeof(real));
  real *padded = mnb_scratch(thread), *dense = padded + p->rows * p->pitch * LANES;
  memset(padded, 0, (size_t)padded_bytes(p));
  int lanes = (int)mnb_min(LANES, p->c - block * LANES);
  for (int64_t n = mnb_split(p->n, p->splits, split); n < mnb_split(p->n, p->splits, split + 1); n++) {
    int64_t map = n * p->c + block * LANES;
    transpose_in(padded + (p->pad[0] * p->pitch + p->pad[1]) * LANES, p->pitch, p->x + map * map_elements(p->in), p->in, lanes);
    transpose_in(dense, p->out[1], p->y + map * map_elements(p->out), p->out, lanes);
    int64_t t = 0;
    for (; t + TAPS_AT_ONCE <= taps; t += TAPS_AT_ONCE) add_taps(p, padded, dense, sums + t * LANES, t, TAPS_AT_ONCE);
    for (; t + 4 <= taps; t += 4) add_taps(p, padded, dense, sums + t * LANES, t, 4);
    for (; t < taps; t++) add_taps(p, padded, dense, sums + t * LANES, t, 1);
  }
}

/* ---- the three operations; each returns whether the shape was one for it ---- */

COLD static int channels_forward(const struct conv_shape *shape, const real *x, const real *w, real *y) {
  struct channels p;
  if (!read_channels(&p, shape)) return 0;
  p.x = x;
  p.w = w;
  p.to = y;
  p.epilogue = mnb_take_epilogue();
  if (mnb_scratch_reserve(map_scratch_bytes(&p)) == 0) mnb_parallel(p.n * p.blocks, channels_forward_task, &p);
  return 1;
}

COLD static int channels_input_grad(const struct conv_shape *shape, const real *y, const real *w, real *x) {
  struct channels p;
  if (!read_channels(&p, shape)) return 0;
  p.w = w;
  p.to = x;
  int turned = 1;
  for (int d = 0; d < 2; d++) turned &= p.stride[d] == 1 && (p.kernel[d] - 1) * p.dilation[d] >= p.pad[d];
  if (turned) { /* a convolution of y with the kernel turned around */
    struct channels q = p;
    for (int d = 0; d < 2; d++) {
      q.in[d] = p.out[d];
      q.out[d] = p.in[d];
      q.pad[d] = (p.kernel[d] - 1) * p.dilation[d] - p.pad[d];
    }
    q.rows = mnb_max(q.in[0] + q.pad[0], q.out[0] + (q.kernel[0] - 1) * q.dilation[0]);
    q.pitch = mnb_max(q.in[1] + q.pad[1], q.out[1] + (q.kernel[1] - 1) * q.dilation[1]);
    q.x = y;
    if (mnb_scratch_reserve(map_scratch_bytes(&q)) == 0) mnb_parallel(q.n * q.blocks, channels_turned_task, &q);
    return 1;
  }
  p.y = y;
  if (mnb_scratch_reserve(map_scratch_bytes(&p)) == 0) mnb_parallel(p.n * p.blocks, channels_scatter_task, &p);
  return 1;
}

COLD static int channels_weight_grad(const struct conv_shape *shape, const real *x, const real *y, real *w) {
  struct channels p;
  if (!read_channels(&p, shape)) return 0;
  int64_t taps = map_elements(p.kernel);
  p.x = x;
  p.y = y;
  p.sums = mnb_shared(p.blocks * p.splits * taps * LANES * (int64_t)sizeof(real));
  if (p.sums == NULL || mnb_scratch_reserve(map_scratch_bytes(&p)) != 0) return 1;
  mnb_parallel(p.blocks * p.splits, channels_weight_task, &p);
  for (int64_t c = 0; c < p.c; c++) {
    const real *sums = p.sums + c / LANES * p.splits * taps * LANES + c % LANES;
    for (int64_t t = 0; t < taps; t++) {
      real total = 0;
      for (int64_t split = 0; split < p.splits; split++) total += sums[(split * taps + t) * LANES];
      w[c * taps + t] = total;
    }
  }
  return 1;
}

#endif
