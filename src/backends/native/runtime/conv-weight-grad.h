/* Convolution, gradient of the weights: dw[o, (c, tap)] = sum over images and positions of dy[o, p] x[c, p + tap].
 *
 * The GEMM tile computes the transpose, rows = (c, tap), columns = o, depth = positions: A is then one scalar of x per
 * tap, read straight from the padded box through a table of positions (no im2col), and B is dy transposed, packed a
 * panel of output channels at a time. A task owns a run of images, a run of channels and a buffer of its own; the
 * buffers of the runs of images are added in order, so the result does not depend on which thread ran what. */
#ifndef MNB_CONV_WEIGHT_GRAD_H
#define MNB_CONV_WEIGHT_GRAD_H

#include "conv-box.h"
#include "conv-channels.h"
#include "gemm.h"

enum {
  POSITIONS_PER_SPLIT = 2048, /* positions that pay for a buffer of the weights' size */
  MIN_SLICE_ROWS = 48,        /* (channel, tap) rows that pay for transposing dy */
  SMALL_WEIGHTS = 1 << 16,
  THIN_TAPS = 5
};

struct weight_grad {
  const struct conv_plan *plan;
  const real *x, *dy, *dy_end;
  real *out;
  struct conv_box box;
  int64_t bands, band_dim, units;     /* a unit is a band of a run of images; units of one split go in order */
  int64_t images;                     /* images per unit */
  int64_t image_splits, channel_splits;
  int64_t positions;                  /* depth of one product */
  int64_t out_pitch;                  /* output channels of a group, rounded up to whole panels */
  int64_t box_elements;               /* of one image */
  int64_t *offsets;
  real *sums;                         /* [group][image split][panel of output channels][row][TILE_COLS] */
};

/* Up to `count` positions of the unit from position `p` on (counted over its images and its band): where they lie in
 * the box. */
static void list_positions(int64_t *from, const struct weight_grad *g, const int64_t lo[3], const int64_t hi[3],
                           int64_t p, int64_t count) {
  const struct conv_plan *plan = g->plan;
  int64_t size[3], volume = 1;
  for (int d = 0; d < 3; d++) volume *= size[d] = hi[d] - lo[d];
  int64_t image_from = plan->in_place ? conv_image_step(plan) : g->box_elements;
  while (count > 0) {
    int64_t q = p % volume, x = q % size[2], y = q / size[2] % size[1], z = q / (size[1] * size[2]);
    int64_t at = p / volume * image_from + z * g->box.pitch[0] + y * g->box.pitch[1] + x;
    int64_t run = mnb_min(count, size[2] - x);
    for (int64_t i = 0; i < run; i++) *from++ = at + i;
    p += run;
    count -= run;
  }
}

/* As pack_b does for steps of one source: lane l of step k from src[l * lane_step + k] and its partner, if there is one. */
static void pack_positions(real *to, const real *src, int64_t partner, int64_t lane_step, int lanes, int64_t count) {
  if (STEP == 1) {
    pack_b(to, src, lane_step, 1, lanes, count);
    return;
  }
  int64_t k = 0;
  for (; k + LANES < count; k += LANES) {
    for (int group = TILE_COLS - LANES; group >= 0; group -= LANES) {
      vec row[LANES];
      UNROLL for (int l = 0; l < LANES; l++) {
        const real *from = src + (group + l) * lane_step + k;
        row[l] = group + l < lanes ? step_of_rows(from, partner ? from + partner : NULL) : (vec){0};
      }
      transpose_lanes(row);
      UNROLL for (int l = 0; l < LANES; l++) store(to + (k + l) * TILE_COLS + group, row[l]);
    }
  }
  for (; k < count; k++) {
    for (int l = 0; l < lanes; l++) {
      const real *from = src + l * lane_step + k;
      to[k * TILE_COLS + l] = step_of(from, partner ? from + partner : NULL);
    }
    for (int l = lanes; l < TILE_COLS; l++) to[k * TILE_COLS + l] = 0;
  }
}

/* dy of output channels [o, o + lanes) at positions [p, p + count) of the unit, as [position][TILE_COLS]. `first` is
 * the unit's first position in its first image; `pairs` of its images have a partner. */
static void pack_dy(real *panel, const struct weight_grad *g, const real *dy, int64_t pairs, int64_t band_volume,
                    int64_t first, int lanes, int64_t p, int64_t count) {
  const struct conv_plan *plan = g->plan;
  int64_t image_step = plan->groups * plan->rows * plan->out_volume;
  while (count > 0) {
    int64_t image = p / band_volume, q = p % band_volume, run = mnb_min(count, band_volume - q);
    pack_positions(panel, dy + image * STEP * image_step + first + q, image < pairs ? image_step : 0, plan->out_volume,
                   lanes, run);
    panel += run * TILE_COLS;
    p += run;
    count -= run;
  }
}

/* Adds the products of `count` positions to the sums of the rows [0, rows) of one panel of output channels. */
static void add_products(const real *base, const int64_t *offset, const int64_t *from,
                         const real *panel, real *sums, int64_t rows, int lanes, int64_t count, int accumulate) {
  struct tile t = {.depth = count, .a_index = from, .b = {panel, panel + LANES}, .b_step = TILE_COLS,
                   .c_step = TILE_COLS, .accumulate = accumulate};
  for (int64_t row = 0; row < rows; row += TILE_ROWS) {
    int valid = (int)mnb_min(TILE_ROWS, rows - row);
    for (int r = 0; r < TILE_ROWS; r++) t.a[r] = base + offset[row + mnb_min(r, valid - 1)];
    t.c[0] = sums + row * TILE_COLS;
    t.c[1] = t.c[0] + LANES;
    if (lanes > LANES) run_tile(&t, INDEXED_STRIDED, valid, TILE_COLS);
    else run_tile(&t, INDEXED_NARROW, valid, LANES);
  }
}

static int64_t panel_elements(const struct weight_grad *g) {
  return mnb_round_up(g->positions * TILE_COLS + LANES, 16);
}

static void weight_grad_task(void *ctx, int64_t task, int thread) {
  const struct weight_grad *g = ctx;
  const struct conv_plan *plan = g->plan;
  int64_t channel_split = task % g->channel_splits, image_split = task / g->channel_splits % g->image_splits;
  int64_t group = task / (g->channel_splits * g->image_splits);
  int64_t c0 = mnb_split(plan->channels, g->channel_splits, channel_split);
  int64_t channels = mnb_split(plan->channels, g->channel_splits, channel_split + 1) - c0;
  int64_t rows = channels * plan->volume;
  int64_t all_rows = plan->channels * plan->volume;
  real *sums = g->sums + (group * g->image_splits + image_split) * all_rows * g->out_pitch + c0 * plan->volume * TILE_COLS;
  real *panel = mnb_scratch(thread), *box_memory = panel + panel_elements(g);
  int64_t box_elements = plan->in_place ? 0 : mnb_round_up(g->images * g->box_elements, 16);
  int64_t *from = (int64_t *)(box_memory + box_elements);
  int64_t image_volume = conv_image_step(plan), image_steps = steps_of(plan->n);
  int accumulate = 0;
  int64_t last = mnb_split(g->units, g->image_splits, image_split + 1);
  for (int64_t unit = mnb_split(g->units, g->image_splits, image_split); unit < last; unit++) {
    int64_t first = unit / g->bands * g->images, images = mnb_min(g->images, image_steps - first);
    int64_t pairs = mnb_min(images, plan->n / STEP - first); /* the last image may be without a partner */
    int64_t lo[3], hi[3], band = unit % g->bands;
    memcpy(lo, plan->lo, sizeof lo);
    memcpy(hi, plan->hi, sizeof hi);
    hi[g->band_dim] = mnb_split(plan->hi[g->band_dim], g->bands, band + 1);
    lo[g->band_dim] = mnb_split(plan->hi[g->band_dim], g->bands, band);
    int64_t band_volume = (hi[0] - lo[0]) * (hi[1] - lo[1]) * (hi[2] - lo[2]);
    int64_t first_position = (lo[0] * plan->out_size[1] + lo[1]) * plan->out_size[2] + lo[2];
    const real *x = g->x + first * STEP * image_volume + (group * plan->channels + c0) * plan->source_volume, *base = x;
    if (plan->in_place) {
      for (int d = 0; d < 3; d++) base += lo[d] * g->box.pitch[d];
    } else {
      struct conv_box box = g->box;
      for (int d = 0; d < 3; d++) {
        box.lo[d] = lo[d];
        box.extent[d] = hi[d] - lo[d] + plan->max_shift[d];
      }
      base = box_memory;
      for (int64_t i = 0; i < images; i++) {
        struct box_source source = {
            .from = x + i * STEP * image_volume, .channels = channels, .channel_step = plan->source_volume,
            .partners = i < pairs ? channels : 0, .partner_step = image_volume};
        fill_box(box_memory + i * g->box_elements, &source, plan, &box);
      }
    }
    const real *dy = g->dy + (first * STEP * plan->groups + group) * plan->rows * plan->out_volume;
    int64_t total = images * band_volume, blocks = mnb_ceil_div(total, g->positions);
    for (int64_t block = 0; block < blocks; block++, accumulate = 1) {
      int64_t p = mnb_split(total, blocks, block), count = mnb_split(total, blocks, block + 1) - p;
      list_positions(from, g, lo, hi, p, count);
      for (int64_t o = 0; o < plan->rows; o += TILE_COLS) {
        int lanes = (int)mnb_min(TILE_COLS, plan->rows - o);
        pack_dy(panel, g, dy + o * plan->out_volume, pairs, band_volume, first_position, lanes, p, count);
        add_products(base, g->offsets, from, panel, sums + o * all_rows, rows, lanes, count, accumulate);
      }
    }
  }
  for (int64_t o = 0; o < g->out_pitch && !accumulate; o += TILE_COLS) { /* no units */
    memset(sums + o * all_rows, 0, (size_t)(rows * TILE_COLS) * sizeof(real));
  }
}

/* Task: one vector of output channels of one group. Adds the splits and transposes to [o][row]. */
static void collect_task(void *ctx, int64_t task, int thread) {
  (void)thread;
  const struct weight_grad *g = ctx;
  int64_t rows = g->plan->channels * g->plan->volume, split_step = rows * g->out_pitch;
  int64_t blocks = mnb_ceil_div(g->plan->rows, LANES), group = task / blocks, o = task % blocks * LANES;
  const real *sums = g->sums + group * g->image_splits * split_step + o / TILE_COLS * TILE_COLS * rows + o % TILE_COLS;
  int64_t lanes = mnb_min(LANES, g->plan->rows - o);
  real *out = g->out + (group * g->plan->rows + o) * rows;
  for (int64_t row = 0; row < rows; row += LANES) {
    int64_t count = mnb_min(LANES, rows - row);
    vec total[LANES];
    UNROLL for (int r = 0; r < LANES; r++) total[r] = (vec){0};
    for (int64_t split = 0; split < g->image_splits; split++) {
      const real *from = sums + split * split_step + row * TILE_COLS;
      UNROLL for (int r = 0; r < LANES; r++) {
        if (r < count) total[r] += load(from + r * TILE_COLS);
      }
    }
    transpose_lanes(total);
    for (int l = 0; l < lanes; l++) {
      real *to = out + l * rows + row;
      if (count == LANES) store(to, total[l]);
      else memcpy(to, &total[l], (size_t)count * sizeof(real));
    }
  }
}

/* ---- depthwise: one source channel per group ---- */

/* Adds one image and one output channel to the sums of up to THIN_TAPS taps, vectors over positions of a row. */
INLINE void add_thin(const struct weight_grad *g, const real *box, const real *dy, const int64_t *offset, int taps,
                     real *sums) {
  const struct conv_plan *plan = g->plan;
  const int64_t *size = plan->out_size, whole = size[2] / LANES * LANES;
  const int rest = (int)(size[2] - whole);
  const lane_mask mask = first_lanes(rest);
  const real *from[THIN_TAPS];
  vec acc[THIN_TAPS];
  for (int t = 0; t < THIN_TAPS; t++) from[t] = box + offset[mnb_min(t, taps - 1)];
  UNROLL for (int t = 0; t < THIN_TAPS; t++) acc[t] = (vec){0};
  for (int64_t z = 0; z < size[0]; z++) {
    int64_t at = z * g->box.pitch[0];
    for (int64_t y = 0; y < size[1]; y++, at += g->box.pitch[1], dy += size[2]) {
      for (int64_t x = 0; x < whole; x += LANES) {
        vec d = load(dy + x);
        UNROLL for (int t = 0; t < THIN_TAPS; t++) acc[t] += d * load(from[t] + at + x);
      }
      if (rest == 0) continue;
      /* Both sides are cleared beyond the row, since 0 times whatever lies there may be NaN. */
      vec d = {0};
      if (dy + whole + LANES <= g->dy_end) d = keep_lanes(load(dy + whole), mask);
      else memcpy(&d, dy + whole, (size_t)rest * sizeof(real));
      UNROLL for (int t = 0; t < THIN_TAPS; t++) acc[t] += d * keep_lanes(load(from[t] + at + whole), mask);
    }
  }
  for (int t = 0; t < taps; t++) store(sums + t * LANES, load(sums + t * LANES) + acc[t]);
}

static void weight_grad_thin_task(void *ctx, int64_t group, int thread) {
  const struct weight_grad *g = ctx;
  const struct conv_plan *plan = g->plan;
  real *sums = mnb_scratch(thread), *box = sums + plan->rows * plan->volume * LANES;
  memset(sums, 0, (size_t)(plan->rows * plan->volume * LANES) * sizeof(real));
  for (int64_t n = 0; n < plan->n; n++) {
    struct box_source source = {.from = g->x + (n * plan->groups + group) * plan->source_volume, .channels = 1,
                                .channel_step = plan->source_volume};
    fill_box(box, &source, plan, &g->box);
    for (int64_t o = 0; o < plan->rows; o++) {
      const real *dy = g->dy + ((n * plan->groups + group) * plan->rows + o) * plan->out_volume;
      for (int64_t tap = 0; tap < plan->volume; tap += THIN_TAPS) {
        add_thin(g, box, dy, g->offsets + tap, (int)mnb_min(THIN_TAPS, plan->volume - tap),
                 sums + (o * plan->volume + tap) * LANES);
      }
    }
  }
  real *out = g->out + group * plan->rows * plan->volume;
  for (int64_t i = 0; i < plan->rows * plan->volume; i++) out[i] = sum_lanes(load(sums + i * LANES));
}

/* ---- set-up ---- */

/* How the work is cut. Runs of images need buffers that must be added up; runs of channels transpose dy once each. */
COLD static void choose_weight_grad(struct weight_grad *g) {
  const struct conv_plan *plan = g->plan;
  int64_t threads = mnb_threads(), volume = plan->out_volume;
  const int64_t *size = plan->out_size;
  g->band_dim = size[0] > 1 ? 0 : size[1] > 1 ? 1 : 2;
  g->positions = depth_block();
  int64_t image_steps = steps_of(plan->n);
  g->images = mnb_max(1, mnb_min(image_steps / (2 * threads), g->positions / volume));
  g->bands = 1;
  int64_t weights = plan->rows * plan->channels * plan->volume;
  int64_t wanted = threads == 1 ? 1 : mnb_ceil_div(2 * threads, plan->groups);
  int64_t splits = mnb_max(1, image_steps * volume / POSITIONS_PER_SPLIT);
  g->image_splits = mnb_min(splits, weights <= SMALL_WEIGHTS ? wanted : mnb_ceil_div(wanted, 2));
  int64_t slices = mnb_max(1, plan->channels * plan->volume / MIN_SLICE_ROWS);
  g->channel_splits = mnb_min(mnb_min(plan->channels, slices), mnb_ceil_div(wanted, g->image_splits));
  if (!plan->in_place) { /* a band's box should stay in L2 */
    int64_t channels = mnb_ceil_div(plan->channels, g->channel_splits);
    int64_t row_bytes = channels * conv_phases(plan) * volume / size[g->band_dim] * (int64_t)sizeof(real);
    int64_t fit = mnb_max(4, mnb_cache_bytes(2) / 2 / row_bytes);
    g->bands = mnb_ceil_div(size[g->band_dim], fit);
  }
  if (g->bands > 1) g->images = 1;
  int64_t image_units = mnb_ceil_div(image_steps, g->images);
  if (image_units * g->bands < g->image_splits) {
    g->bands = mnb_min(size[g->band_dim], mnb_ceil_div(g->image_splits, image_units));
  }
  g->units = image_units * g->bands;
  g->image_splits = mnb_min(g->image_splits, g->units);
}

#ifdef PAIRS
mnb_op mnb_conv_weight_grad_f32;
#endif

/* buf: x, y, w. Parameters: struct conv_shape. */
COLD void OP_NAME(conv_weight_grad)(void *const *buf, const int64_t *p) {
  struct conv_shape shape;
  struct conv_plan plan;
  conv_read_shape(&shape, p);
#ifdef PAIRS
  if (shape.n == 1 || shape.groups == shape.c) { /* no pair of images, or depthwise */
    mnb_conv_weight_grad_f32(buf, p);
    return;
  }
#endif
  int64_t total = shape.o * (shape.groups ? shape.c / shape.groups : 0) * conv_volume(shape.kernel);
  if (total == 0) return;
  if (shape.n * conv_volume(shape.out) * conv_volume(shape.in) == 0) {
    memset(buf[2], 0, (size_t)total * sizeof(real));
    return;
  }
  if (STEP == 1 && channels_weight_grad(&shape, buf[0], buf[1], buf[2])) return;
  if (conv_plan_forward(&plan, &shape) != 0) return;
  struct weight_grad g = {.plan = &plan, .x = buf[0], .dy = buf[1], .out = buf[2]};
  int64_t rows = plan.channels * plan.volume, table_bytes = mnb_round_up(rows * (int64_t)sizeof(int64_t), MNB_ALIGN);
  int thin = plan.channels == 1 && plan.groups > 1;
  if (thin) {
    plan.in_place = 0;
    conv_box_layout(&g.box, &plan, plan.lo, plan.hi);
    g.offsets = mnb_shared(table_bytes);
    g.dy_end = g.dy + plan.n * shape.o * plan.out_volume;
    int64_t elements = plan.rows * plan.volume * LANES + g.box.channel + TILE_COLS;
    if (g.offsets && mnb_scratch_reserve(elements * (int64_t)sizeof(real)) == 0) {
      conv_tap_offsets(g.offsets, &plan, plan.part, &g.box);
      mnb_parallel(plan.groups, weight_grad_thin_task, &g);
    }
    conv_plan_free(&plan);
    return;
  }
  if (STEP > 1) plan.in_place = 0;
  choose_weight_grad(&g);
  int64_t hi[3];
  memcpy(hi, plan.hi, sizeof hi);
  hi[g.band_dim] = mnb_ceil_div(hi[g.band_dim], g.bands);
  conv_box_layout(&g.box, &plan, plan.lo, hi);
  int64_t channels = mnb_ceil_div(plan.channels, g.channel_splits);
  g.box_elements = channels * g.box.channel;
  g.out_pitch = mnb_round_up(plan.rows, TILE_COLS);
  int64_t sums = plan.groups * g.image_splits * rows * g.out_pitch;
  char *shared = mnb_shared(table_bytes + sums * (int64_t)sizeof(real));
  int64_t scratch = panel_elements(&g) + (plan.in_place ? 0 : mnb_round_up(g.images * g.box_elements, 16)) + TILE_COLS;
  if (shared && mnb_scratch_reserve(scratch * (int64_t)sizeof(real) + g.positions * (int64_t)sizeof(int64_t)) == 0) {
    g.offsets = (int64_t *)shared;
    g.sums = (real *)(shared + table_bytes);
    conv_tap_offsets(g.offsets, &plan, plan.part, &g.box);
    mnb_parallel(plan.groups * g.image_splits * g.channel_splits, weight_grad_task, &g);
    mnb_parallel(plan.groups * mnb_ceil_div(plan.rows, LANES), collect_task, &g);
  }
  conv_plan_free(&plan);
}

#endif
