/* Convolution forward and input gradient: outputs gather taps from a source image (see conv-plan.h).
 *
 * A matrix product with rows = output channels, depth = (source channel, tap), columns = output positions, on the GEMM
 * tile. Weights are packed once per call. A task takes some images, a band of positions and a range of rows; it copies
 * the source around its band into a zero-padded, unit-stride box, so that a tap is a constant offset. Then either
 *   indexed   columns are vectors of one output row each, and the tile reads B straight from the box through the table
 *             of tap offsets: nothing is packed; lanes beyond the end of a row are wasted
 *   packed    columns are all positions in a row, and panels of B are gathered from the box (im2col) for each slice of
 *             the depth: worth it when many rows share the panel
 * With one row per group (depthwise) eight vectors are kept in registers instead of a tile; small maps of those have a
 * way of their own (conv-channels.h). */
#ifndef MNB_CONV_GATHER_H
#define MNB_CONV_GATHER_H

#include "conv-box.h"
#include "conv-channels.h"
#include "conv-columns.h"
#include "conv-turned.h"
#include "conv-weights.h"

enum {
  CHUNK = CHUNK_TILES * TILE_COLS,
  OVERLAP_DEPTH_BLOCKS = 3,
  GROUPS_PER_LIST = 8,
  THIN_VECTORS = 8
};

/* Narrows the positions [lo, hi) to one of `bands` bands along `dim`; a row is cut between whole tiles of columns. */
static int64_t band_unit(const struct gather *g) {
  return g->band_dim < 2 ? 1 : g->turned ? TILE_ROWS : TILE_COLS;
}

COLD static void cut_band(const struct gather *g, int64_t lo[3], int64_t hi[3], int64_t band) {
  int64_t dim = g->band_dim, bands = g->bands, unit = band_unit(g), units = mnb_ceil_div(hi[dim] - lo[dim], unit), start = lo[dim];
  lo[dim] = start + mnb_split(units, bands, band) * unit;
  hi[dim] = mnb_min(hi[dim], start + mnb_split(units, bands, band + 1) * unit);
}

/* ---- compute ---- */

/* One tile of columns and one of rows, over one slice. */
INLINE void gather_tile(struct tile *t, enum tile_kind kind, real *out, int64_t step, const struct run *run,
                        int64_t runs, int whole, int rows) {
  if (whole && step == 1 && rows == row_class(rows)) {
    t->c[0] = out + run[0].to;
    t->c[1] = kind == PACKED_INDEXED ? out + run[1].to : t->c[0] + LANES;
    run_kernel_rows(t, kind, rows);
  } else {
    real aside[TILE_ROWS * TILE_COLS];
    run_tile_aside(t, kind, rows, aside);
    store_tile(aside, out, t->c_step, step, run, runs, rows, t->accumulate);
  }
}

/* Tiles of columns that take turns with each tile of rows, so that longer stretches of output rows are written at a time:
 * as many as L1 holds, or where L2 keeps up with a tile (depth_block), a quarter of L2. */
static int64_t tiles_in_turn(int64_t depth) {
  return mnb_max(1, (VECTOR_BYTES == 64 ? 8 : 1) * depth_block() / depth);
}

/* Rows [row0, row1) of a chunk over one slice. */
static void gather_slice(struct tile *t, enum tile_kind kind, const struct columns *list, const real *base,
                         const real *panels, const real *weights, real *out, int64_t step, int64_t row0, int64_t row1) {
  int64_t group = tiles_in_turn(t->depth);
  for (int64_t first = 0; first < list->tiles; first += group) {
    int64_t last = mnb_min(list->tiles, first + group);
    for (int64_t row = row0; row < row1; row += TILE_ROWS) {
      t->a[0] = weights + row * t->depth;
      for (int64_t j = first; j < last; j++) {
        t->next = j == first ? t->a[0] + TILE_ROWS * t->depth : t->a[0];
        const struct run *run = list->run + list->first[j];
        int64_t runs = list->first[j + 1] - list->first[j];
        if (kind == PACKED_INDEXED) {
          t->b[0] = base + run[0].from;
          t->b[1] = runs == 2 ? base + run[1].from : t->b[0];
        } else {
          t->b[0] = panels + j * TILE_COLS * t->depth;
        }
        int rows = (int)mnb_min(TILE_ROWS, row1 - row);
        real *to = out + row * t->c_step;
        if (kind == PACKED_STRIDED && run[runs - 1].lane + run[runs - 1].count <= LANES) {
          gather_tile(t, PACKED_NARROW, to, step, run, runs, 0, rows);
        } else {
          gather_tile(t, kind, to, step, run, runs, list->whole[j], rows);
        }
      }
    }
  }
}

/* One row (depthwise): several vectors of columns at once. Weights lie `width` apart. */
static void gather_thin(const struct columns *list, const real *base, const int64_t *offset, const real *weights,
                        int width, int64_t depth, real *out, int64_t step) {
  for (int64_t j = 0; j < list->runs; j += THIN_VECTORS) {
    const struct run *run = list->run + j;
    int vectors = (int)mnb_min(THIN_VECTORS, list->runs - j);
    const real *from[THIN_VECTORS];
    for (int v = 0; v < THIN_VECTORS; v++) from[v] = base + run[v < vectors ? v : 0].from;
    vec acc[THIN_VECTORS];
    UNROLL for (int v = 0; v < THIN_VECTORS; v++) acc[v] = (vec){0};
    for (int64_t k = 0; k < depth; k++) {
      vec w = splat(weights[k * width]);
      UNROLL for (int v = 0; v < THIN_VECTORS; v++) acc[v] += w * load(from[v] + offset[k]);
    }
    real aside[THIN_VECTORS * LANES];
    UNROLL for (int v = 0; v < THIN_VECTORS; v++) {
      if (v >= vectors) continue;
      real *to = out + run[v].to;
      if (step == 1 && run[v].count == LANES) store(to, acc[v]);
      else store(aside + v * LANES, acc[v]);
    }
    for (int v = 0; v < vectors; v++) {
      real *to = out + run[v].to;
      if (step != 1) for (int l = 0; l < run[v].count; l++) to[l * step] = aside[v * LANES + l];
      else if (run[v].count < LANES) store_run(to, aside + v * LANES, run[v].count, 0);
    }
  }
}

/* Rows [row0, row1) of one chunk of columns of one group and part. */
static void gather_chunk(const struct gather *g, const struct columns *list, const real *base, real *out,
                         int64_t group, int64_t part, int64_t row0, int64_t row1, real *panels) {
  const struct conv_plan *plan = g->plan;
  struct part_place place = place_of_part(g, part);
  int64_t depth = plan->part[part].taps * plan->steps, slices = slices_of(g, depth);
  int64_t step = plan->part[part].out_step[2];
  const int64_t *offset = g->offsets + place.tables;
  const real *weights = g->packed + group * packed_rows(g) * plan->volume * plan->steps + place.packed;
  if (!PAIRED && plan->rows == 1 && g->indexed && slices == 1) {
    gather_thin(list, base, offset, weights, row_class(1), depth, out, step);
    return;
  }
  int64_t tiles = mnb_ceil_div(row1 - row0, TILE_ROWS);
  for (int64_t slice = 0; slice < slices; slice++) {
    int64_t k0 = mnb_split(depth, slices, slice), k1 = mnb_split(depth, slices, slice + 1);
    struct tile t = {.depth = k1 - k0, .b_index = offset + k0, .b_step = TILE_COLS, .c_step = plan->out_volume,
                     .accumulate = slice > 0};
    if (!g->indexed) {
      for (int64_t j = 0; j < list->tiles; j++) {
        const struct run *run = list->run + list->first[j];
        int64_t runs = list->first[j + 1] - list->first[j];
        int exact = plan->in_place && base + run[runs - 1].from + g->reach + TILE_COLS > g->source_end;
        pack_columns(panels + j * TILE_COLS * t.depth, base, run, runs, t.b_index, t.depth, exact);
      }
    }
    int64_t blocks = mnb_ceil_div(row1 - row0, row_block(t.depth));
    for (int64_t block = 0; block < blocks; block++) {
      int64_t from = row0 + mnb_split(tiles, blocks, block) * TILE_ROWS;
      int64_t to = mnb_min(row1, row0 + mnb_split(tiles, blocks, block + 1) * TILE_ROWS);
      const real *a = weights + k0 * packed_rows(g);
      if (g->indexed) gather_slice(&t, PACKED_INDEXED, list, base, NULL, a, out, step, from, to);
      else gather_slice(&t, PACKED_STRIDED, list, NULL, panels, a, out, step, from, to);
    }
  }
}

/* The epilogue over what a task has computed. Sooner, after each chunk, it would wait for stores that are still on their
 * way, which the products of the next chunk otherwise hide. Only the first dimension of several positions is cut into
 * bands, so those of a band follow each other. */
static void finish_band(const struct gather *g, int64_t image, int64_t group, int64_t row0, int64_t row1,
                        const int64_t lo[3], const int64_t hi[3]) {
  const int64_t *size = g->plan->out_size;
  int64_t begin = (lo[0] * size[1] + lo[1]) * size[2] + lo[2];
  int64_t end = ((hi[0] - 1) * size[1] + hi[1] - 1) * size[2] + hi[2];
  finish_positions(g, image, group, row0, row1 - row0, begin, end - begin);
}

/* Scratch of a task before its boxes. */
static int64_t work_elements(const struct gather *g) {
  if (g->turned) return TURNED_ELEMENTS;
  return g->indexed ? 0 : CHUNK * g->depth_slice + TILE_COLS;
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
  int64_t tiles = mnb_ceil_div(plan->rows, panel_rows(g));
  int64_t row0 = mnb_split(tiles, g->row_blocks, row_block_index) * panel_rows(g);
  int64_t row1 = mnb_min(plan->rows, mnb_split(tiles, g->row_blocks, row_block_index + 1) * panel_rows(g));
  int64_t lo[3], hi[3];
  memcpy(lo, plan->lo, sizeof lo);
  memcpy(hi, plan->hi, sizeof hi);
  cut_band(g, lo, hi, band);

  real *panels = mnb_scratch(thread);
  real *boxes = panels + work_elements(g);
  int64_t box_elements = plan->in_place ? 0 : (group1 - group0) * images * g->box_elements;
  struct columns *list = (struct columns *)(boxes + box_elements);
  list = (struct columns *)(((uintptr_t)list + MNB_ALIGN - 1) / MNB_ALIGN * MNB_ALIGN);
  const real *base = boxes;
  int64_t group_from = images * g->box_elements, image_volume = conv_image_step(plan);
  if (plan->in_place) {
    base = g->source + first * image_volume + group0 * plan->channels * plan->source_volume;
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
        struct box_source source = {
            .from = g->source + (first + i) * image_volume + group * plan->channels * plan->source_volume,
            .channels = plan->steps / STEPS, .channel_step = STEP * plan->source_volume,
            .partners = plan->channels / STEP, .partner_step = plan->source_volume};
        fill_box(boxes + ((group - group0) * images + i) * g->box_elements, &source, plan, &box);
      }
    }
  }
  struct column_range range = {
      .out_size = plan->out_size, .pitch = g->box.pitch, .images = images, .box_lo = {lo[0], lo[1], lo[2]},
      .image_from = plan->in_place ? image_volume : g->box_elements,
      .image_to = plan->groups * plan->rows * plan->out_volume, .indexed = g->indexed, .overlap = g->overlap};
  for (int64_t p = 0; p < plan->parts; p++) {
    const struct conv_part *part = range.part = &plan->part[p];
    int empty = part->taps == 0; /* the output was cleared beforehand */
    for (int d = 0; d < 3; d++) {
      range.lo[d] = mnb_max(lo[d], part->lo[d]);
      range.hi[d] = mnb_min(hi[d], part->hi[d]);
      empty |= range.lo[d] >= range.hi[d];
    }
    if (empty) continue;
    if (g->turned) {
      for (int64_t group = group0; group < group1; group++) {
        turned_rows(g, &range, base + (group - group0) * group_from, first, group,
                    g->out + (first * plan->groups + group) * plan->rows * plan->out_volume, row0, row1, panels);
      }
      continue;
    }
    struct cursor at = {0, {range.lo[0], range.lo[1], range.lo[2]}};
    while (at.image < images) {
      list_columns(list, &at, &range);
      for (int64_t group = group0; group < group1; group++) {
        gather_chunk(g, list, base + (group - group0) * group_from,
                     g->out + (first * plan->groups + group) * plan->rows * plan->out_volume, group, p, row0, row1,
                     panels);
      }
    }
  }
  if (!g->epilogue || g->turned) return;
  for (int64_t image = first; image < first + images; image++) {
    for (int64_t group = group0; group < group1; group++) finish_band(g, image, group, row0, row1, lo, hi);
  }
}

/* ---- set-up ---- */

/* Images per task when panels are packed: full tiles against panels that several blocks of rows pack anew. */
COLD static int64_t images_together(const struct gather *g, int64_t threads) {
  const struct conv_plan *plan = g->plan;
  int64_t positions = 1;
  for (int64_t p = 0; p < plan->parts; p++) {
    const struct conv_part *part = &plan->part[p];
    int64_t volume = 1;
    for (int d = 0; d < 3; d++) volume *= mnb_max(0, part->hi[d] - part->lo[d]);
    positions = mnb_max(positions, volume);
  }
  int64_t best = 1, least = INT64_MAX, most = mnb_max(1, mnb_min(plan->n, CHUNK / positions));
  for (int64_t images = 1; images <= most; images++) {
    int64_t tasks = mnb_ceil_div(plan->n, images) * g->group_blocks;
    int64_t row_blocks = threads == 1 ? 1 : mnb_ceil_div(2 * threads, tasks);
    int64_t cost = column_vectors(plan->n, images, positions) * (plan->rows + row_blocks * PACKING_ROWS);
    if (cost < least) {
      least = cost;
      best = images;
    }
  }
  return best;
}

/* Whether the tile reads the box itself, and how the work is cut into tasks. */
COLD static void choose_gather(struct gather *g) {
  const struct conv_plan *plan = g->plan;
  int64_t size[3], positions = 1, threads = mnb_threads();
  for (int d = 0; d < 3; d++) {
    size[d] = plan->hi[d] - plan->lo[d];
    positions *= size[d];
  }
  g->band_dim = size[0] > 1 ? 0 : size[1] > 1 ? 1 : 2;
  g->indexed = !g->turned && reads_rows(plan);
  int64_t depth = plan->volume * plan->steps;
  /* Vectors can overlap at the end of a row if nothing is accumulated, that is, in a single slice. */
  g->overlap = g->indexed && size[2] % LANES != 0 && depth <= OVERLAP_DEPTH_BLOCKS * depth_block();
  g->depth_slice = g->overlap ? depth : (g->turned ? 2 : 1) * product_depth_block();

  /* Small images go together until they fill a chunk; groups go together if they are small, and a few in any case,
   * because they share the list of columns. */
  int64_t group_work = mnb_max(1, positions * plan->rows * depth);
  int64_t group_bytes = plan->steps * conv_phases(plan) * positions * (int64_t)sizeof(real);
  int64_t share = mnb_min(GROUPS_PER_LIST, plan->groups * plan->n / (4 * threads));
  int64_t per_task = mnb_max(TASK_PRODUCTS / group_work, mnb_min(share, mnb_cache_bytes(2) / 2 / group_bytes));
  g->group_blocks = mnb_ceil_div(plan->groups, mnb_max(1, per_task));
  g->images = g->turned    ? 1
              : g->indexed ? mnb_max(1, mnb_min(CHUNK / positions, plan->n * g->group_blocks / (4 * threads)))
                           : images_together(g, threads);
  g->image_blocks = mnb_ceil_div(plan->n, g->images);
  g->bands = 1;
  g->row_blocks = 1;
  int64_t tasks = g->group_blocks * g->image_blocks;
  int64_t most_bands = mnb_ceil_div(size[g->band_dim], band_unit(g)), fewest = 1;
  if (!plan->in_place) { /* a band's box should stay in L2 */
    int64_t row_bytes = plan->steps * conv_phases(plan) * positions / size[g->band_dim] * (int64_t)sizeof(real);
    int64_t fit = mnb_max(4, mnb_cache_bytes(2) * 3 / 4 / row_bytes);
    fewest = mnb_min(most_bands, mnb_ceil_div(size[g->band_dim], fit));
  }
  if (g->turned) {
    cut_turned(g, tasks, threads, size, fewest);
  } else if (threads > 1 && tasks < 4 * threads && g->images == 1) {
    g->bands = mnb_max(1, mnb_min(size[g->band_dim] / 4, mnb_ceil_div(4 * threads, tasks)));
  }
  if (!g->turned && threads > 1 && tasks * g->bands < 2 * threads) {
    g->row_blocks = mnb_min(mnb_ceil_div(plan->rows, panel_rows(g)), mnb_ceil_div(2 * threads, tasks * g->bands));
  }
  g->bands = mnb_min(most_bands, mnb_max(g->bands, fewest));
  int64_t lo[3], hi[3];
  memcpy(lo, plan->lo, sizeof lo);
  memcpy(hi, plan->hi, sizeof hi);
  cut_band(g, lo, hi, 0);
  conv_box_layout(&g->box, plan, lo, hi);
  g->box_elements = plan->steps * g->box.channel;
}

struct clearing {
  real *out;
  int64_t count, tasks;
};

static void clear_task(void *ctx, int64_t task, int thread) {
  (void)thread;
  const struct clearing *c = ctx;
  int64_t begin = mnb_split(c->count, c->tasks, task), end = mnb_split(c->count, c->tasks, task + 1);
  memset(c->out + begin, 0, (size_t)(end - begin) * sizeof(real));
}

COLD static void clear(real *out, int64_t count) {
  struct clearing c = {out, count, mnb_min(mnb_ceil_div(count, TASK_PRODUCTS), 4 * mnb_threads())};
  mnb_parallel(c.tasks, clear_task, &c);
}

#endif
