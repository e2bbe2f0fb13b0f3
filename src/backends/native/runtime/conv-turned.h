/* The gather of conv-gather.h with the roles turned: output channels are the columns of the tile and positions its
 * rows.
 *
 * A tile reads the source one element at a time, each at the place of its position plus the offset of the tap, so maps
 * of any size fill it well and nothing is packed but the weights, [slice][panel of channels][step][lane]. The result of a
 * panel is kept as [position][channel] until all slices are added, and is transposed as it is stored. */
#ifndef MNB_CONV_TURNED_H
#define MNB_CONV_TURNED_H

#include "conv-columns.h"
#include "conv-weights.h"

enum {
  TURNED_TILES = 32,
  TURNED_POSITIONS = TURNED_TILES * TILE_ROWS,
  TURNED_ELEMENTS = TURNED_POSITIONS * TILE_COLS,
  PACKING_ROWS = 12,  /* rows that could be computed while a panel is packed, */
  TURNING_STEPS = 16, /* steps while a tile is transposed, beyond those of storing it straight, */
  COPYING = 2         /* vectors of products while a position of a channel is copied into a box */
};

/* Where up to TURNED_POSITIONS positions that follow each other lie in the box. */
struct places {
  int64_t count;
  int64_t from[TURNED_POSITIONS + TILE_ROWS];
};

/* Lists positions from the cursor on to the end of an image or of the room, and moves the cursor. */
static void list_places(struct places *list, struct cursor *at, const struct column_range *range) {
  list->count = 0;
  for (;;) {
    int64_t from = at->image * range->image_from;
    for (int d = 0; d < 3; d++) from += ((d < 2 ? at->j[d] : 0) - range->box_lo[d]) * range->pitch[d];
    while (at->j[2] < range->hi[2]) {
      if (list->count == TURNED_POSITIONS) return;
      list->from[list->count++] = from + at->j[2]++ * range->pitch[2];
    }
    at->j[2] = range->lo[2];
    if (++at->j[1] < range->hi[1]) continue;
    at->j[1] = range->lo[1];
    if (++at->j[0] < range->hi[0]) continue;
    at->j[0] = range->lo[0];
    at->image++;
    return;
  }
}

/* out[row][position] = from[position][row] for `rows` <= TILE_COLS. */
HOT void store_turned(const real *from, real *out, int64_t row_step, int64_t positions, int rows) {
  for (int row = 0; row < rows; row += LANES) {
    int lanes = (int)mnb_min(LANES, rows - row);
    for (int64_t at = 0; at < positions; at += LANES) {
      int64_t start = positions < LANES ? 0 : mnb_min(at, positions - LANES); /* the last vectors overlap */
      vec v[LANES];
      UNROLL for (int i = 0; i < LANES; i++) v[i] = load(from + (start + i) * TILE_COLS + row);
      transpose_lanes(v);
      real *to = out + row * row_step + start;
      if (positions < LANES) {
        for (int l = 0; l < lanes; l++) memcpy(to + l * row_step, &v[l], (size_t)positions * sizeof(real));
      } else {
        UNROLL for (int l = 0; l < LANES; l++) {
          if (l < lanes) store(to + l * row_step, v[l]);
        }
      }
    }
  }
}

/* All slices of one panel of weights: sums[position][lane]. The first tiles of a slice fetch the weights of the next. */
static void turned_panel(const struct gather *g, const struct places *list, const real *base, int64_t depth,
                         const real *weights, int64_t row, enum tile_kind kind, real *sums) {
  int64_t slices = slices_of(g, depth);
  for (int64_t slice = 0; slice < slices; slice++) {
    int64_t k0 = mnb_split(depth, slices, slice), k1 = mnb_split(depth, slices, slice + 1);
    int64_t k2 = mnb_split(depth, slices, slice + 2);
    struct tile t = {.depth = k1 - k0, .a_index = g->offsets + k0, .b_step = TILE_COLS, .c_step = TILE_COLS,
                     .accumulate = slice > 0};
    t.b[0] = weights + k0 * packed_rows(g) + row * t.depth;
    const real *next = slice + 1 < slices ? weights + k1 * packed_rows(g) + row * (k2 - k1)
                                          : weights + (row + TILE_COLS) * mnb_split(depth, slices, 1);
    for (int64_t at = 0; at < list->count; at += TILE_ROWS) {
      for (int i = 0; i < TILE_ROWS; i++) t.a[i] = base + list->from[mnb_min(at + i, list->count - 1)];
      t.next = part_to_fetch(next, t.depth, at / TILE_ROWS);
      t.c[0] = sums + at * TILE_COLS;
      t.c[1] = t.c[0] + LANES;
      run_kernel_rows(&t, kind, row_class((int)mnb_min(TILE_ROWS, list->count - at)));
    }
  }
}

/* Rows [row0, row1) of one group at all positions of the range, whose first image has the number `image`. */
static void turned_rows(const struct gather *g, const struct column_range *range, const real *base, int64_t image,
                        int64_t group, real *out, int64_t row0, int64_t row1, real *sums) {
  const struct conv_plan *plan = g->plan;
  const int64_t *origin = range->part->out_origin;
  int64_t depth = plan->volume * plan->steps;
  const real *weights = g->packed + group * packed_rows(g) * depth;
  struct places list;
  struct cursor at = {0, {range->lo[0], range->lo[1], range->lo[2]}};
  while (at.image < range->images) {
    int64_t in_range = at.image, position = (at.j[0] + origin[0]) * plan->out_size[1] + at.j[1] + origin[1];
    position = position * plan->out_size[2] + at.j[2] + origin[2];
    real *to = out + in_range * range->image_to + position;
    list_places(&list, &at, range);
    for (int64_t row = row0; row < row1; row += TILE_COLS) {
      int rows = (int)mnb_min(TILE_COLS, row1 - row);
      turned_panel(g, &list, base, depth, weights, row, rows > LANES ? INDEXED_STRIDED : INDEXED_NARROW, sums);
      store_turned(sums, to + row * plan->out_volume, plan->out_volume, list.count, rows);
      if (g->epilogue) finish_positions(g, image + in_range, group, row, rows, position, list.count);
    }
  }
}

/* ---- whether it pays ---- */

/* Rows that the kernels compute for so many. */
static int64_t rows_computed(int64_t rows) {
  return rows / TILE_ROWS * TILE_ROWS + (rows % TILE_ROWS ? row_class((int)(rows % TILE_ROWS)) : 0);
}

/* Whether the tile reads rows of the box, rather than panels: the lanes beyond the ends of rows cost less. */
static int reads_rows(const struct conv_plan *plan) {
  if (PACKED_ONLY) return 0;
  int64_t width = plan->hi[2] - plan->lo[2], used = 100 * width / mnb_round_up(width, LANES);
  return plan->rows * (100 - used) < PACKING_ROWS * used &&
         !(plan->in_place && (width % LANES != 0 || plan->parts > 1));
}

/* Vectors of columns that `count` images fill when `together` of them share their tiles. */
static int64_t column_vectors(int64_t count, int64_t together, int64_t positions) {
  return count / together * mnb_ceil_div(together * positions, LANES) +
         mnb_ceil_div(count % together * positions, LANES);
}

/* Compares vectors of products per step of the depth, what is packed, copied and transposed added at its measured cost.
 * The weights may have been packed while there were other threads, so their number does not count. */
COLD static int turning_pays(const struct conv_plan *plan) {
  if (PACKED_ONLY || plan->parts > 1 || plan->rows < LANES) return 0;
  int64_t positions = 1;
  for (int d = 0; d < 3; d++) positions *= plan->hi[d] - plan->lo[d];
  double depth = (double)(plan->volume * plan->steps), straight, turned;
  double copying = COPYING * (double)(plan->n * positions) / (double)plan->volume;
  int64_t width = plan->hi[2] - plan->lo[2], rows = rows_computed(plan->rows);
  if (reads_rows(plan)) {
    straight = (double)(plan->n * (positions / width) * mnb_ceil_div(width, LANES) * rows);
  } else {
    int64_t together = mnb_max(1, mnb_min(plan->n, CHUNK_TILES * TILE_COLS / positions));
    straight = (double)(column_vectors(plan->n, together, positions) * (rows + PACKING_ROWS));
  }
  turned = (double)(mnb_ceil_div(plan->rows, LANES) * plan->n * rows_computed(positions)) * (1 + TURNING_STEPS / depth);
  if (!plan->in_place) straight += copying;
  if (!plan->reachable) turned += copying;
  return turned < straight;
}

/* Cuts `tasks` independent parts of so many positions into `fewest` bands or more, and blocks of rows, so that the thread
 * with the most to do ends soonest. Blocks of rows copy the same part of the source each. */
COLD static void cut_turned(struct gather *g, int64_t tasks, int64_t threads, const int64_t size[3], int64_t fewest) {
  const struct conv_plan *plan = g->plan;
  int64_t dim = g->band_dim, unit = dim == 2 ? TILE_ROWS : 1, units = mnb_ceil_div(size[dim], unit);
  int64_t across = conv_volume(size) / size[dim], halo = plan->max_shift[dim] - plan->min_shift[dim];
  int64_t panels = mnb_ceil_div(plan->rows, TILE_COLS), least = INT64_MAX;
  int64_t most = mnb_max(4 * threads, fewest);
  for (int64_t bands = fewest; bands <= mnb_min(units, most); bands++) {
    int64_t length = mnb_ceil_div(units, bands) * unit;
    int64_t copies = plan->in_place ? 0 : COPYING * plan->steps * conv_phases(plan) * (length + halo) * across;
    int64_t products = rows_computed(length * across) * plan->steps * plan->volume;
    for (int64_t blocks = 1; blocks <= mnb_min(panels, most / bands); blocks++) {
      int64_t turns = mnb_ceil_div(tasks * bands * blocks, threads);
      int64_t time = turns * (products * mnb_ceil_div(panels, blocks) * TILE_COLS / LANES + copies);
      if (time >= least) continue;
      least = time;
      g->bands = bands;
      g->row_blocks = blocks;
    }
  }
}

#endif
