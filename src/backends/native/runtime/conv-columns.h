/* The columns of the product in conv-gather.h: output positions, listed as runs, in tiles of TILE_COLS.
 *
 * A run is a stretch of positions along one output row; it lies in one tile. Read indexed, every vector is one run (it
 * may be shorter than a vector); read packed, a tile holds as many runs as its columns cross row ends. */
#ifndef MNB_CONV_COLUMNS_H
#define MNB_CONV_COLUMNS_H

#include "conv-plan.h"
#include "microkernel.h"

enum { CHUNK_TILES = 16 }; /* tiles of columns worked on at a time */

struct run {
  int64_t from, to; /* of its first column: in the box, in the output */
  int lane, count;  /* its place in the tile */
};

struct columns {
  int64_t tiles, runs;
  int64_t first[CHUNK_TILES + 1]; /* first run of each tile */
  int whole[CHUNK_TILES];         /* the tile can be stored as vectors: each, or all if packed, to neighbours */
  struct run run[CHUNK_TILES * TILE_COLS];
};

/* Which positions are listed: those of one part in [lo, hi), over some images. */
struct column_range {
  const struct conv_part *part;
  const int64_t *out_size, *pitch;
  int64_t lo[3], hi[3], images;
  int64_t box_lo[3], image_from, image_to; /* position at the start of the box; steps between images */
  int indexed;
  int overlap; /* the last vector of a row may begin inside the one before it and so be full: both write the same */
};

struct cursor {
  int64_t image, j[3];
};

static void find_whole_tiles(struct columns *list, int indexed) {
  for (int64_t tile = 0; tile < list->tiles; tile++) {
    const struct run *run = list->run + list->first[tile], *end = list->run + list->first[tile + 1];
    int64_t count = run->count;
    int whole = !indexed || run->count == LANES;
    for (const struct run *next = run + 1; next < end; next++) {
      whole &= indexed ? next->count == LANES : next->to == run->to + count;
      count += next->count;
    }
    list->whole[tile] = whole && count == TILE_COLS;
  }
}

/* Lists tiles from the cursor on, until the chunk is full or the range ends (at->image == images). */
static void list_runs(struct columns *list, struct cursor *at, const struct column_range *range) {
  const struct conv_part *part = range->part;
  int64_t begin = range->lo[2], end = range->hi[2];
  int overlap = range->overlap && end - begin >= LANES;
  int lane = TILE_COLS;
  list->tiles = list->runs = 0;
  while (at->image < range->images) {
    const int64_t row[3] = {at->j[0], at->j[1], 0}; /* where x = 0 would be */
    int64_t from = at->image * range->image_from, to = 0;
    for (int d = 0; d < 3; d++) {
      from += (row[d] - range->box_lo[d]) * range->pitch[d];
      to = to * range->out_size[d] + part->out_step[d] * row[d] + part->out_origin[d];
    }
    to += at->image * range->image_to;
    for (int64_t x = at->j[2]; x < end;) {
      if (lane == TILE_COLS) {
        if (list->tiles == CHUNK_TILES) {
          at->j[2] = x;
          list->first[list->tiles] = list->runs;
          return;
        }
        list->first[list->tiles++] = list->runs;
        lane = 0;
      }
      if (overlap) x = mnb_min(x, end - LANES);
      int count = (int)mnb_min(end - x, range->indexed ? LANES : TILE_COLS - lane);
      list->run[list->runs++] = (struct run){from + x, to + x * part->out_step[2], lane, count};
      lane += range->indexed ? LANES : count;
      x += count;
    }
    at->j[2] = begin;
    if (++at->j[1] < range->hi[1]) continue;
    at->j[1] = range->lo[1];
    if (++at->j[0] < range->hi[0]) continue;
    at->j[0] = range->lo[0];
    at->image++;
  }
  list->first[list->tiles] = list->runs;
}

static void list_columns(struct columns *list, struct cursor *at, const struct column_range *range) {
  list_runs(list, at, range);
  find_whole_tiles(list, range->indexed);
}

/* At most a vector of neighbouring columns. */
struct piece {
  const real *from;
  int lane, count;
};

/* pack_columns for a constant number of pieces, so that they stay in registers. */
INLINE void pack_pieces(real *to, const struct piece *piece, const int pieces, const int64_t *offset, int64_t depth) {
  const real *from[TILE_COLS];
  real *at[TILE_COLS];
  UNROLL for (int p = 0; p < pieces; p++) {
    from[p] = piece[p].from;
    at[p] = to + piece[p].lane;
  }
  for (int64_t k = 0; k < depth; k++) {
    UNROLL for (int p = 0; p < pieces; p++) store(at[p] + k * TILE_COLS, load(from[p] + offset[k]));
  }
}

/* Panel [depth][TILE_COLS] of one tile. Pieces are copied as whole vectors; what that writes too much is overwritten by
 * the next piece or the next step. With `exact`, nothing is read beyond a piece. */
static void pack_columns(real *to, const real *base, const struct run *run, int64_t runs, const int64_t *offset,
                         int64_t depth, int exact) {
  struct piece piece[TILE_COLS];
  int pieces = 0, used = 0;
  for (int64_t r = 0; r < runs; r++) {
    for (int i = 0; i < run[r].count; i += LANES) {
      piece[pieces++] = (struct piece){base + run[r].from + i, used + i, (int)mnb_min(LANES, run[r].count - i)};
    }
    used += run[r].count;
  }
  if (used == TILE_COLS && !exact) {
    if (pieces == 2) return pack_pieces(to, piece, 2, offset, depth);
    if (pieces == 3) return pack_pieces(to, piece, 3, offset, depth);
    if (pieces == 4) return pack_pieces(to, piece, 4, offset, depth);
  }
  for (int64_t k = 0; k < depth; k++, to += TILE_COLS) {
    for (int p = 0; p < pieces; p++) {
      const real *from = piece[p].from + offset[k];
      if (!exact) store(to + piece[p].lane, load(from));
      else for (int l = 0; l < piece[p].count; l++) to[piece[p].lane + l] = from[l];
    }
    for (int l = used; l < TILE_COLS; l++) to[l] = 0;
  }
}

/* to[i] (+)= from[i] for count <= TILE_COLS: vectors that overlap rather than a loop over the rest. */
INLINE void store_run(real *to, const real *from, int count, int accumulate) {
  if (count >= LANES) {
    real *last_to = to + count - LANES;
    vec first = load(from), last = load(from + count - LANES);
    if (accumulate) {
      first += load(to);
      last += load(last_to);
    }
    store(to, first);
    store(last_to, last);
  } else if (accumulate) {
    for (int i = 0; i < count; i++) to[i] += from[i];
  } else if (count >= LANES / 2) {
    memcpy(to, from, LANES / 2 * sizeof(real));
    memcpy(to + count - LANES / 2, from + count - LANES / 2, LANES / 2 * sizeof(real));
  } else {
    for (int i = 0; i < count; i++) to[i] = from[i];
  }
}

/* Writes a tile that was computed aside to where its runs belong; neighbours are `step` apart there. */
HOT void store_tile(const real *tile, real *out, int64_t row_step, int64_t step, const struct run *run, int64_t runs,
                    int rows, int accumulate) {
  for (int64_t r = 0; r < runs; r++) {
    real *to = out + run[r].to;
    const real *from = tile + run[r].lane;
    int count = run[r].count;
    for (int i = 0; i < rows; i++, to += row_step, from += TILE_COLS) {
      if (step == 1) store_run(to, from, count, accumulate);
      else if (accumulate) for (int l = 0; l < count; l++) to[l * step] += from[l];
      else for (int l = 0; l < count; l++) to[l * step] = from[l];
    }
  }
}

#endif
