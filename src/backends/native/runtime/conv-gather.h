/* Convolution forward and input gradient: outputs gather taps from a source image (see conv-plan.h).
 *
 * A matrix product with rows = output channels, depth = (source channel, tap), columns = output positions, on the GEMM
 * tile. Weights are packed once per call. A task takes some images, a band of positions and a range of rows; it copies
 * the source around its band into a zero-padded, unit-stride box, so that a tap is a constant offset. Then either
 *   indexed   columns are vectors of one output row each, and the tile reads B straight from the box through the table
 *             of tap offsets: nothing is packed; lanes beyond the end of a row are wasted
 *   packed    columns are all positions in a row, and panels of B are gathered from the box (im2col) for each slice of
 *             the depth: worth it when many rows share the panel
 * With one row per group (depthwise) eight vectors are kept in registers instead of a tile. */
#ifndef MNB_CONV_GATHER_H
#define MNB_CONV_GATHER_H

#include "conv-box.h"
#include "gemm.h"

enum {
  CHUNK = 16 * TILE_COLS,      /* columns worked on at a time */
  PACKED_FROM_ROWS = 96,       /* rows that pay for packing panels ... */
  FULL_ENOUGH_PERCENT = 95,    /* ... unless so many lanes of the indexed way are in use */
  THIN_VECTORS = 8
};

struct gather {
  const struct conv_plan *plan;
  const real *source, *weights;
  real *out;
  struct conv_box box; /* of the largest band */
  int indexed;
  int64_t images, bands, row_blocks, group_blocks; /* the task grid: images per task, and counts of the others */
  int64_t image_blocks, band_dim;
  int64_t depth_slice;
  int64_t *offsets, *weight_index; /* of all parts, one after the other */
  real *packed;                    /* [group][part][slice][tile][step][row] */
  int64_t box_elements;            /* of one group and image */
};

/* The columns of a chunk: where each is read (from the box) and written (from the output). */
struct columns {
  int64_t count;
  int64_t from[CHUNK + TILE_COLS], to[CHUNK + TILE_COLS]; /* to is -1 for lanes not in use */
};

/* A place in the positions [lo, hi) of some images. */
struct cursor {
  int64_t image, j[3];
};

static int64_t slices_of(const struct gather *g, int64_t depth) { return mnb_ceil_div(depth, g->depth_slice); }

/* Narrows the positions [lo, hi) to one of `bands` bands along `dim`; a row is cut between whole tiles of columns. */
static void cut_band(int64_t lo[3], int64_t hi[3], int64_t dim, int64_t bands, int64_t band) {
  int64_t unit = dim == 2 ? TILE_COLS : 1, units = mnb_ceil_div(hi[dim] - lo[dim], unit), start = lo[dim];
  lo[dim] = start + mnb_split(units, bands, band) * unit;
  hi[dim] = mnb_min(hi[dim], start + mnb_split(units, bands, band + 1) * unit);
}

/* ---- weights ---- */

static int64_t packed_rows(const struct conv_plan *plan) { return mnb_round_up(plan->rows, TILE_ROWS); }

struct part_place {
  int64_t tables, packed; /* offsets of the part in the tables and in the packed weights of a group */
};

static struct part_place place_of_part(const struct conv_plan *plan, int64_t part) {
  struct part_place place = {0, 0};
  for (int64_t i = 0; i < part; i++) place.tables += plan->part[i].taps * plan->channels;
  place.packed = place.tables * packed_rows(plan);
  return place;
}

/* Task: one tile of rows of one group, all parts and slices. */
static void pack_weights_task(void *ctx, int64_t task, int thread) {
  (void)thread;
  const struct gather *g = ctx;
  const struct conv_plan *plan = g->plan;
  int64_t tiles = mnb_ceil_div(plan->rows, TILE_ROWS), group = task / tiles, row = task % tiles * TILE_ROWS;
  int rows = (int)mnb_min(TILE_ROWS, plan->rows - row), width = row_class(rows);
  int64_t all_depth = plan->volume * plan->channels;
  const real *from = g->weights + group * plan->rows * all_depth + row * plan->row_step;
  real *to = g->packed + group * packed_rows(plan) * all_depth;
  const int64_t *index = g->weight_index;
  for (int64_t p = 0; p < plan->parts; p++) {
    int64_t depth = plan->part[p].taps * plan->channels, slices = slices_of(g, depth);
    for (int64_t slice = 0; slice < slices; slice++) {
      int64_t k0 = mnb_split(depth, slices, slice), k1 = mnb_split(depth, slices, slice + 1);
      real *panel = to + k0 * packed_rows(plan) + row * (k1 - k0);
      for (int64_t k = k0; k < k1; k++, panel += width) {
        for (int r = 0; r < width; r++) panel[r] = r < rows ? from[r * plan->row_step + index[k]] : 0;
      }
    }
    to += depth * packed_rows(plan);
    index += depth;
  }
}

static void index_weights(const struct gather *g) {
  const struct conv_plan *plan = g->plan;
  int64_t *index = g->weight_index, *offset = g->offsets;
  for (int64_t p = 0; p < plan->parts; p++) {
    const struct conv_part *part = &plan->part[p];
    for (int64_t c = 0; c < plan->channels; c++) {
      for (int64_t t = 0; t < part->taps; t++) *index++ = c * plan->channel_step + part->tap[t];
    }
    conv_tap_offsets(offset, plan, part, &g->box);
    offset += part->taps * plan->channels;
  }
}

/* ---- columns ---- */

/* Lists up to CHUNK columns from the cursor on. Indexed columns start a new vector with each output row. */
static void list_columns(struct columns *list, struct cursor *at, const struct gather *g, const struct conv_part *part,
                         const int64_t lo[3], const int64_t hi[3], const int64_t box_lo[3], int64_t images) {
  const struct conv_plan *plan = g->plan;
  int64_t image_from = plan->in_place ? plan->groups * plan->channels * plan->source_volume : g->box_elements;
  int64_t image_to = plan->groups * plan->rows * plan->out_volume;
  int64_t n = 0;
  while (at->image < images && n < CHUNK) {
    int64_t from = at->image * image_from, to = at->image * image_to, out_at = 0;
    for (int d = 0; d < 3; d++) {
      from += (at->j[d] - box_lo[d]) * g->box.pitch[d];
      out_at = out_at * plan->out_size[d] + part->out_step[d] * at->j[d] + part->out_origin[d];
    }
    to += out_at;
    int64_t count = mnb_min(hi[2] - at->j[2], CHUNK - n);
    for (int64_t i = 0; i < count; i++) {
      list->from[n + i] = from + i;
      list->to[n + i] = to + i * part->out_step[2];
    }
    n += count;
    at->j[2] += count;
    if (at->j[2] < hi[2]) break;
    if (g->indexed) {
      for (; n % LANES != 0; n++) list->to[n] = list->from[n] = -1;
    }
    at->j[2] = lo[2];
    if (++at->j[1] == hi[1]) {
      at->j[1] = lo[1];
      if (++at->j[0] == hi[0]) {
        at->j[0] = lo[0];
        at->image++;
      }
    }
  }
  list->count = n;
  int64_t padded = mnb_round_up(n, TILE_COLS);
  for (; n < padded; n++) list->to[n] = list->from[n] = -1;
}

INLINE int contiguous(const int64_t *to, int n) {
  return to[n - 1] >= 0 && to[n - 1] - to[0] == n - 1 && to[0] >= 0;
}

/* Panel [depth][TILE_COLS] for one tile of columns. A run of neighbours is copied as whole vectors; what it writes too
 * much is overwritten by the next run or the next step, and `limit` tells where reading too much must stop. */
static void pack_columns(real *to, const real *base, const int64_t *from, const int64_t *offset, int64_t depth,
                         const real *limit) {
  int start[TILE_COLS + 1], runs = 0;
  int valid = 0;
  while (valid < TILE_COLS && from[valid] >= 0) valid++;
  for (int l = 0; l < valid; l++) {
    if (l == 0 || from[l] != from[l - 1] + 1) start[runs++] = l;
  }
  start[runs] = valid;
  for (int64_t k = 0; k < depth; k++, to += TILE_COLS) {
    for (int r = 0; r < runs; r++) {
      const real *src = base + from[start[r]] + offset[k];
      if (src + TILE_COLS <= limit) {
        store(to + start[r], load(src));
        store(to + start[r] + LANES, load(src + LANES));
      } else {
        memcpy(to + start[r], src, (size_t)(start[r + 1] - start[r]) * sizeof(real));
      }
    }
    for (int l = valid; l < TILE_COLS; l++) to[l] = 0;
  }
}

/* ---- compute ---- */

static void scatter_tile(const real *tile, real *out, int64_t row_step, const int64_t *to, int rows, int accumulate) {
  for (int i = 0; i < rows; i++, tile += TILE_COLS, out += row_step) {
    for (int l = 0; l < TILE_COLS; l++) {
      if (to[l] < 0) continue;
      out[to[l]] = accumulate ? out[to[l]] + tile[l] : tile[l];
    }
  }
}

/* Rows [row0, row1) x one tile of columns over one slice. */
static void gather_tile(struct tile *t, enum tile_kind kind, const real *panels, real *out, int64_t row_step,
                        const int64_t *to, int64_t row0, int64_t row1) {
  int left = contiguous(to, LANES), right = contiguous(to + LANES, LANES);
  t->c_step = row_step;
  for (int64_t row = row0; row < row1; row += TILE_ROWS) {
    int rows = (int)mnb_min(TILE_ROWS, row1 - row);
    real *c = out + row * row_step;
    t->a[0] = panels + row * t->depth;
    if (left && right && rows == row_class(rows)) {
      t->c[0] = c + to[0];
      t->c[1] = c + to[LANES];
      run_kernel_rows(t, kind, rows);
    } else {
      real aside[TILE_ROWS * TILE_COLS];
      run_tile_aside(t, kind, rows, aside);
      scatter_tile(aside, c, row_step, to, rows, t->accumulate);
    }
  }
}

/* One row (depthwise): several vectors of columns at once. Weights lie `width` apart. */
static void gather_thin(const real *weights, int width, const real *base, const int64_t *offset, int64_t depth,
                        real *out, const struct columns *list) {
  for (int64_t j = 0; j < list->count; j += THIN_VECTORS * LANES) {
    int vectors = (int)mnb_min(THIN_VECTORS, mnb_ceil_div(list->count - j, LANES));
    const real *from[THIN_VECTORS];
    for (int v = 0; v < THIN_VECTORS; v++) from[v] = base + list->from[j + (v < vectors ? v : 0) * LANES];
    vec acc[THIN_VECTORS];
    UNROLL for (int v = 0; v < THIN_VECTORS; v++) acc[v] = (vec){0};
    for (int64_t k = 0; k < depth; k++) {
      vec w = splat(weights[k * width]);
      UNROLL for (int v = 0; v < THIN_VECTORS; v++) acc[v] += w * load(from[v] + offset[k]);
    }
    for (int v = 0; v < vectors; v++) {
      const int64_t *to = list->to + j + v * LANES;
      if (contiguous(to, LANES)) {
        store(out + to[0], acc[v]);
      } else {
        for (int l = 0; l < LANES; l++) {
          if (to[l] >= 0) out[to[l]] = acc[v][l];
        }
      }
    }
  }
}

/* One chunk of columns of one group and part. */
static void gather_chunk(const struct gather *g, const struct columns *list, const real *base, const real *limit,
                         real *out, int64_t group, int64_t part, int64_t row0, int64_t row1, real *panels) {
  const struct conv_plan *plan = g->plan;
  struct part_place place = place_of_part(plan, part);
  int64_t depth = plan->part[part].taps * plan->channels, slices = slices_of(g, depth);
  const int64_t *offset = g->offsets + place.tables;
  const real *weights = g->packed + group * packed_rows(plan) * plan->volume * plan->channels + place.packed;
  if (depth == 0) { /* positions that no tap reaches */
    for (int64_t row = row0; row < row1; row++) {
      for (int64_t l = 0; l < list->count; l++) {
        if (list->to[l] >= 0) out[row * plan->out_volume + list->to[l]] = 0;
      }
    }
    return;
  }
  if (plan->rows == 1 && g->indexed && slices == 1) {
    gather_thin(weights, row_class(1), base, offset, depth, out, list);
    return;
  }
  for (int64_t slice = 0; slice < slices; slice++) {
    int64_t k0 = mnb_split(depth, slices, slice), k1 = mnb_split(depth, slices, slice + 1);
    const real *a = weights + k0 * packed_rows(plan);
    struct tile t = {.depth = k1 - k0, .b_index = offset + k0, .b_step = TILE_COLS, .accumulate = slice > 0};
    if (!g->indexed) {
      for (int64_t j = 0; j < list->count; j += TILE_COLS) {
        pack_columns(panels + j * t.depth, base, list->from + j, t.b_index, t.depth, limit);
      }
    }
    int64_t block = row_block(t.depth);
    for (int64_t row = row0; row < row1; row += block) {
      for (int64_t j = 0; j < list->count; j += TILE_COLS) {
        if (g->indexed) {
          t.b[0] = base + list->from[j];
          t.b[1] = list->from[j + LANES] >= 0 ? base + list->from[j + LANES] : t.b[0];
        } else {
          t.b[0] = panels + j * t.depth;
        }
        gather_tile(&t, g->indexed ? PACKED_INDEXED : PACKED_STRIDED, a, out, plan->out_volume, list->to + j, row,
                    mnb_min(row1, row + block));
      }
    }
  }
}

static void gather_task(void *ctx, int64_t task, int thread) {
  const struct gather *g = ctx;
  const struct conv_plan *plan = g->plan;
  int64_t band = task % g->bands, row_block_index = task / g->bands % g->row_blocks;
  int64_t group_block = task / (g->bands * g->row_blocks) % g->group_blocks;
  int64_t first = task / (g->bands * g->row_blocks * g->group_blocks) * g->images;
  int64_t images = mnb_min(g->images, plan->n - first);
  int64_t group0 = mnb_split(plan->groups, g->group_blocks, group_block);
  int64_t group1 = mnb_split(plan->groups, g->group_blocks, group_block + 1);
  int64_t tiles = mnb_ceil_div(plan->rows, TILE_ROWS);
  int64_t row0 = mnb_split(tiles, g->row_blocks, row_block_index) * TILE_ROWS;
  int64_t row1 = mnb_min(plan->rows, mnb_split(tiles, g->row_blocks, row_block_index + 1) * TILE_ROWS);
  int64_t lo[3], hi[3];
  memcpy(lo, plan->lo, sizeof lo);
  memcpy(hi, plan->hi, sizeof hi);
  cut_band(lo, hi, g->band_dim, g->bands, band);

  real *panels = mnb_scratch(thread);
  real *boxes = panels + (g->indexed ? 0 : CHUNK * g->depth_slice + TILE_COLS);
  struct columns *list = (struct columns *)(boxes + (plan->in_place ? 0 : (group1 - group0) * images * g->box_elements));
  list = (struct columns *)(((uintptr_t)list + MNB_ALIGN - 1) / MNB_ALIGN * MNB_ALIGN);
  const real *base = boxes, *limit = (const real *)UINTPTR_MAX;
  int64_t group_from = images * g->box_elements, image_volume = plan->groups * plan->channels * plan->source_volume;
  if (plan->in_place) {
    base = g->source + first * image_volume + group0 * plan->channels * plan->source_volume;
    limit = g->source + plan->n * image_volume;
    group_from = plan->channels * plan->source_volume;
    for (int d = 0; d < 3; d++) base += (lo[d] + plan->min_shift[d]) * g->box.pitch[d];
  } else {
    struct conv_box box = g->box;
    for (int d = 0; d < 3; d++) {
      box.lo[d] = lo[d] + plan->min_shift[d];
      box.extent[d] = hi[d] - lo[d] + plan->max_shift[d] - plan->min_shift[d];
    }
    for (int64_t group = group0; group < group1; group++) {
      for (int64_t i = 0; i < images; i++) {
        fill_box(boxes + ((group - group0) * images + i) * g->box_elements,
                 g->source + (first + i) * image_volume + group * plan->channels * plan->source_volume, plan, &box,
                 plan->channels);
      }
    }
  }
  for (int64_t p = 0; p < plan->parts; p++) {
    const struct conv_part *part = &plan->part[p];
    int64_t from[3], to[3];
    int empty = 0;
    for (int d = 0; d < 3; d++) {
      from[d] = mnb_max(lo[d], part->lo[d]);
      to[d] = mnb_min(hi[d], part->hi[d]);
      empty |= from[d] >= to[d];
    }
    if (empty) continue;
    struct cursor at = {0, {from[0], from[1], from[2]}};
    while (at.image < images) {
      list_columns(list, &at, g, part, from, to, lo, images);
      for (int64_t group = group0; group < group1; group++) {
        gather_chunk(g, list, base + (group - group0) * group_from, limit,
                     g->out + (first * plan->groups + group) * plan->rows * plan->out_volume, group, p, row0, row1,
                     panels);
      }
    }
  }
}

/* ---- set-up ---- */

/* Whether the tile reads the box itself, and how the work is cut into tasks. */
static void choose_gather(struct gather *g) {
  const struct conv_plan *plan = g->plan;
  int64_t size[3], positions = 1, threads = mnb_threads();
  for (int d = 0; d < 3; d++) {
    size[d] = plan->hi[d] - plan->lo[d];
    positions *= size[d];
  }
  g->band_dim = size[0] > 1 ? 0 : size[1] > 1 ? 1 : 2;
  int64_t used = 100 * size[2] / mnb_round_up(size[2], LANES);
  g->indexed = (plan->rows < PACKED_FROM_ROWS || used >= FULL_ENOUGH_PERCENT) &&
               !(plan->in_place && (size[2] % LANES != 0 || plan->parts > 1));
  g->depth_slice = depth_block();

  /* Small images go together until they fill a chunk; many small groups go together likewise. */
  int64_t group_work = positions * plan->rows * plan->volume * plan->channels / plan->parts;
  int64_t per_task = mnb_max(1, mnb_min(plan->groups, TASK_PRODUCTS / mnb_max(1, group_work)));
  g->group_blocks = mnb_ceil_div(plan->groups, per_task);
  g->images = mnb_max(1, mnb_min(CHUNK / positions, plan->n * g->group_blocks / (4 * threads)));
  g->image_blocks = mnb_ceil_div(plan->n, g->images);
  g->bands = 1;
  g->row_blocks = 1;
  int64_t tasks = g->group_blocks * g->image_blocks;
  if (threads > 1 && tasks < 4 * threads) {
    g->bands = mnb_max(1, mnb_min(size[g->band_dim] / 4, mnb_ceil_div(4 * threads, tasks)));
  }
  if (threads > 1 && tasks * g->bands < threads) {
    g->row_blocks = mnb_min(mnb_ceil_div(plan->rows, TILE_ROWS), mnb_ceil_div(2 * threads, tasks * g->bands));
  }
  if (!plan->in_place) { /* a band's box should stay in L2 */
    int64_t row_bytes = plan->channels * conv_phases(plan) * positions / size[g->band_dim] * (int64_t)sizeof(real);
    int64_t fit = mnb_max(4, mnb_cache_bytes(2) * 3 / 4 / row_bytes);
    g->bands = mnb_max(g->bands, mnb_ceil_div(size[g->band_dim], fit));
  }
  int64_t lo[3], hi[3];
  memcpy(lo, plan->lo, sizeof lo);
  memcpy(hi, plan->hi, sizeof hi);
  cut_band(lo, hi, g->band_dim, g->bands, 0);
  conv_box_layout(&g->box, plan, lo, hi);
  g->box_elements = plan->channels * g->box.channel;
}

static void run_gather(const struct conv_plan *plan, const real *source, const real *weights, real *out) {
  struct gather g = {.plan = plan, .source = source, .weights = weights, .out = out};
  if (plan->n * plan->out_volume * plan->groups * plan->rows == 0) return;
  if (plan->channels * plan->volume * plan->source_volume == 0) {
    memset(out, 0, (size_t)(plan->n * plan->out_volume * plan->groups * plan->rows) * sizeof(real));
    return;
  }
  choose_gather(&g);
  int64_t depth = plan->channels * plan->volume;
  int64_t packed = plan->groups * packed_rows(plan) * depth + LANES;
  int64_t *tables = mnb_shared(2 * depth * (int64_t)sizeof(int64_t) + packed * (int64_t)sizeof(real) + MNB_ALIGN);
  int64_t groups = mnb_ceil_div(plan->groups, g.group_blocks);
  int64_t elements = (g.indexed ? 0 : CHUNK * g.depth_slice + TILE_COLS) +
                     (plan->in_place ? 0 : groups * g.images * g.box_elements) + 2 * TILE_COLS;
  if (tables == NULL) return;
  if (mnb_scratch_reserve(elements * (int64_t)sizeof(real) + (int64_t)sizeof(struct columns) + MNB_ALIGN) != 0) return;
  g.offsets = tables;
  g.weight_index = tables + depth;
  g.packed = (real *)(tables + mnb_round_up(2 * depth, MNB_ALIGN / (int64_t)sizeof(int64_t)));
  index_weights(&g);
  mnb_parallel(plan->groups * mnb_ceil_div(plan->rows, TILE_ROWS), pack_weights_task, &g);
  mnb_parallel(g.image_blocks * g.group_blocks * g.row_blocks * g.bands, gather_task, &g);
}

/* buf: x, w, y. Parameters: struct conv_shape. */
void OP_NAME(conv)(void *const *buf, const int64_t *p) {
  struct conv_shape shape;
  struct conv_plan plan;
  conv_read_shape(&shape, p);
  if (conv_plan_forward(&plan, &shape) != 0) return;
  run_gather(&plan, buf[0], buf[1], buf[2]);
  conv_plan_free(&plan);
}

/* buf: y, w, x. */
void OP_NAME(conv_input_grad)(void *const *buf, const int64_t *p) {
  struct conv_shape shape;
  struct conv_plan plan;
  conv_read_shape(&shape, p);
  if (conv_plan_input_grad(&plan, &shape) != 0) return;
  run_gather(&plan, buf[0], buf[1], buf[2]);
  conv_plan_free(&plan);
}

#endif
