/* What the tasks of a gather share (conv-gather.h), and the packing of its weights. */
#ifndef MNB_CONV_WEIGHTS_H
#define MNB_CONV_WEIGHTS_H

#include "conv-plan.h"
#include "gemm.h"

struct gather {
  const struct conv_plan *plan;
  const real *source, *source_end, *weights;
  real *out;
  struct conv_box box; /* of the largest band */
  int indexed, overlap, turned;
  int64_t images, bands, row_blocks, group_blocks; /* the task grid: images per task, and counts of the others */
  int64_t image_blocks, band_dim;
  int64_t depth_slice;
  int64_t *offsets, *weight_index; /* of all parts, one after the other */
  real *packed;                    /* [group][part][slice][tile][step][row] */
  int64_t box_elements;            /* of one group and image */
  int64_t reach;                   /* the largest offset */
  const struct mnb_epilogue *epilogue;
};

/* `count` positions from `position` on of `rows` rows of one group and image are complete. */
static void finish_positions(const struct gather *g, int64_t image, int64_t group, int64_t row, int64_t rows,
                             int64_t position, int64_t count) {
  mnb_finish(g->epilogue, (image * g->plan->groups + group) * g->plan->rows + row, rows, position, count);
}

static int64_t slices_of(const struct gather *g, int64_t depth) { return mnb_ceil_div(depth, g->depth_slice); }

/* Rows that a panel of weights holds, and so what the rows of a task are a multiple of. */
static int64_t panel_rows(const struct gather *g) { return g->turned ? TILE_COLS : TILE_ROWS; }

static int64_t packed_rows(const struct gather *g) { return mnb_round_up(g->plan->rows, panel_rows(g)); }

struct part_place {
  int64_t tables, packed; /* offsets of the part in the tables and in the packed weights of a group */
};

COLD static struct part_place place_of_part(const struct gather *g, int64_t part) {
  struct part_place place = {0, 0};
  for (int64_t i = 0; i < part; i++) place.tables += g->plan->part[i].taps * g->plan->steps;
  place.packed = place.tables * packed_rows(g);
  return place;
}

/* One step of a panel of weights, rows `pitch` apart; its partner lies `partner` further on, if that is not 0. It is step
 * `number` of those that its sources make. */
INLINE void pack_step(real *to, int64_t pitch, int width, const real *from, int64_t partner, int64_t row_step, int rows,
                      int number) {
  if (!PAIRED) {
    for (int r = 0; r < width; r++) to[r * pitch] = r < rows ? from[r * row_step] : 0;
    return;
  }
  real first[TILE_COLS] = {0}, second[TILE_COLS] = {0}, steps[TILE_COLS];
  for (int r = 0; r < rows; r++) first[r] = from[r * row_step];
  if (partner) for (int r = 0; r < rows; r++) second[r] = from[r * row_step + partner];
  for (int l = 0; l < width; l += LANES) store(steps + l, a_steps(load(first + l), load(second + l), number));
  for (int r = 0; r < width; r++) to[r * pitch] = steps[r];
}

/* Task: one tile of rows of one group, all parts and slices. */
static void pack_weights_task(void *ctx, int64_t task, int thread) {
  (void)thread;
  const struct gather *g = ctx;
  const struct conv_plan *plan = g->plan;
  int64_t tiles = mnb_ceil_div(plan->rows, panel_rows(g)), group = task / tiles, row = task % tiles * panel_rows(g);
  int rows = (int)mnb_min(panel_rows(g), plan->rows - row), width = g->turned ? TILE_COLS : row_class(rows);
  int64_t all_depth = plan->volume * plan->steps;
  const real *from = g->weights + group * plan->rows * plan->volume * plan->channels + row * plan->row_step;
  real *to = g->packed + group * packed_rows(g) * all_depth;
  const int64_t *index = g->weight_index;
  for (int64_t p = 0; p < plan->parts; p++) {
    int64_t depth = plan->part[p].taps * plan->steps, slices = slices_of(g, depth);
    for (int64_t slice = 0; slice < slices; slice++) {
      int64_t k0 = mnb_split(depth, slices, slice), k1 = mnb_split(depth, slices, slice + 1);
      real *panel = to + k0 * packed_rows(g) + row * (k1 - k0);
      int neighbours = !PAIRED || (plan->volume == 1 && k0 % STEPS == 0 && k1 % STEPS == 0);
      if (depth == all_depth && plan->channel_step == plan->volume && neighbours) {
        int64_t source = k0 / STEPS * STEP; /* forward: the weights as they lie */
        int64_t sources = mnb_min((k1 - k0) / STEPS * STEP, plan->channels * plan->volume - source);
        if (g->turned) pack_b(panel, from + source, plan->row_step, 1, rows, sources);
        else pack_a(panel, width, from + source, plan->row_step, 1, rows, sources);
        continue;
      }
      for (int64_t k = k0; k < k1; k++, panel += step_pitch(width)) {
        int64_t step = k / plan->part[p].taps;
        int alone = STEP == 1 || step * STEP + 1 == plan->channels;
        pack_step(panel, row_pitch(k1 - k0), width, from + index[k], alone ? 0 : plan->channel_step, plan->row_step, rows,
                  (int)(step % STEPS));
      }
    }
    to += depth * packed_rows(g);
    index += depth;
  }
}

COLD static void index_weights(struct gather *g) {
  const struct conv_plan *plan = g->plan;
  int64_t *index = g->weight_index, *offset = g->offsets;
  for (int64_t p = 0; p < plan->parts; p++) {
    const struct conv_part *part = &plan->part[p];
    for (int64_t c = 0; c < plan->steps; c++) {
      for (int64_t t = 0; t < part->taps; t++) *index++ = c / STEPS * STEP * plan->channel_step + part->tap[t];
    }
    conv_tap_offsets(offset, plan, part, &g->box);
    for (int64_t k = 0; k < part->taps * plan->steps; k++) g->reach = mnb_max(g->reach, *offset++);
  }
}

#endif
