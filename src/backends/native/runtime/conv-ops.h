/* The operations that gather (conv-gather.h): convolution, with weights as they are or packed earlier, and its input
 * gradient. */
#ifndef MNB_CONV_OPS_H
#define MNB_CONV_OPS_H

#include "conv-gather.h"

/* Elements of the packed weights: [group][part][slice][tile][step][row], and a vector beyond that may be read. */
static int64_t packed_elements(const struct gather *g) {
  return g->plan->groups * packed_rows(g) * g->plan->steps * g->plan->volume + LANES;
}

/* Settles which way is taken. Pairs have to be made in a box (real.h). */
COLD static void choose_roles(struct gather *g, struct conv_plan *plan) {
  plan->steps = steps_of(plan->channels);
  if (PAIRED) plan->reachable = plan->in_place = 0;
  g->plan = plan;
  g->turned = turning_pays(plan);
  if (g->turned) plan->in_place = plan->reachable;
}

/* With `packed`, weights that were packed earlier are read from there, or if there is no `out`, packed to there. */
COLD static void run_gather(struct conv_plan *plan, const real *source, const real *weights, real *packed, real *out) {
  struct gather g = {.source = source, .weights = weights, .out = out, .packed = packed};
  if (plan->n * plan->out_volume * plan->groups * plan->rows == 0) return;
  if (plan->channels * plan->volume * plan->source_volume == 0) {
    if (out) memset(out, 0, (size_t)(plan->n * plan->out_volume * plan->groups * plan->rows) * sizeof(real));
    return;
  }
  choose_roles(&g, plan);
  choose_gather(&g);
  int64_t depth = plan->steps * plan->volume, own = packed ? 0 : packed_elements(&g);
  int64_t table_bytes = mnb_round_up(2 * depth * (int64_t)sizeof(int64_t), MNB_ALIGN);
  int64_t *tables = mnb_shared(table_bytes + own * (int64_t)sizeof(real));
  int64_t groups = mnb_ceil_div(plan->groups, g.group_blocks);
  int64_t elements = work_elements(&g) +
                     (plan->in_place ? 0 : groups * g.images * g.box_elements) + 2 * TILE_COLS;
  if (tables == NULL) return;
  if (mnb_scratch_reserve(elements * (int64_t)sizeof(real) + (int64_t)sizeof(struct columns) + MNB_ALIGN) != 0) return;
  g.offsets = tables;
  g.weight_index = tables + depth;
  if (!packed) g.packed = (real *)((char *)tables + table_bytes);
  index_weights(&g);
  if (weights) mnb_parallel(plan->groups * mnb_ceil_div(plan->rows, panel_rows(&g)), pack_weights_task, &g);
  if (!out) return;
  g.source_end = source + plan->n * conv_image_step(plan);
  for (int64_t p = 0; p < plan->parts; p++) {
    if (plan->part[p].taps > 0) continue;
    clear(out, plan->n * plan->out_volume * plan->groups * plan->rows);
    break;
  }
  g.epilogue = mnb_take_epilogue();
  mnb_parallel(g.image_blocks * g.group_blocks * g.row_blocks * g.bands, gather_task, &g);
}

/* Few rows, or few channels: rounding would cost more than it saves. */
enum { THIN_ROWS = 8 };
static int too_thin_for_pairs(int64_t rows, int64_t channels, int64_t groups) {
  return PAIRED && (rows < THIN_ROWS * groups || channels < 2 * groups);
}
#ifdef PAIRS
mnb_op mnb_conv_f32, mnb_conv_input_grad_f32;
#define PLAIN(op) mnb_##op##_f32
#else
#define PLAIN(op) OP_NAME(op)
#endif

/* buf: x, w, y. Parameters: struct conv_shape. */
COLD void OP_NAME(conv)(void *const *buf, const int64_t *p) {
  struct conv_shape shape;
  struct conv_plan plan;
  conv_read_shape(&shape, p);
  if (too_thin_for_pairs(shape.o, shape.c, shape.groups)) {
    PLAIN(conv)(buf, p);
    return;
  }
  if (!PAIRED && channels_forward(&shape, buf[0], buf[1], buf[2])) return;
  if (conv_plan_forward(&plan, &shape) != 0) return;
  run_gather(&plan, buf[0], buf[1], NULL, buf[2]);
  conv_plan_free(&plan);
}

/* How many elements the packed weights of a convolution have; 0 if it packs none. */
COLD int64_t OP_NAME(conv_packed_elements)(const int64_t *p) {
  struct conv_shape shape;
  struct conv_plan plan;
  struct channels channels;
  conv_read_shape(&shape, p);
  if (too_thin_for_pairs(shape.o, shape.c, shape.groups) || (!PAIRED && read_channels(&channels, &shape))) return 0;
  if (shape.o == shape.groups || conv_plan_forward(&plan, &shape) != 0) return 0;
  struct gather g = {0};
  choose_roles(&g, &plan);
  int64_t elements = packed_elements(&g);
  conv_plan_free(&plan);
  return elements;
}

/* buf: w, packed weights. */
COLD void OP_NAME(conv_pack)(void *const *buf, const int64_t *p) {
  struct conv_shape shape;
  struct conv_plan plan;
  conv_read_shape(&shape, p);
  if (conv_plan_forward(&plan, &shape) != 0) return;
  run_gather(&plan, NULL, buf[0], buf[1], NULL);
  conv_plan_free(&plan);
}

/* buf: x, packed weights, y. */
COLD void OP_NAME(conv_packed)(void *const *buf, const int64_t *p) {
  struct conv_shape shape;
  struct conv_plan plan;
  conv_read_shape(&shape, p);
  if (conv_plan_forward(&plan, &shape) != 0) return;
  run_gather(&plan, buf[0], NULL, buf[1], buf[2]);
  conv_plan_free(&plan);
}

/* buf: y, w, x. */
COLD void OP_NAME(conv_input_grad)(void *const *buf, const int64_t *p) {
  struct conv_shape shape;
  struct conv_plan plan;
  conv_read_shape(&shape, p);
  if (too_thin_for_pairs(shape.c, shape.o, shape.groups)) {
    PLAIN(conv_input_grad)(buf, p);
    return;
  }
  if (!PAIRED && channels_input_grad(&shape, buf[0], buf[1], buf[2])) return;
  if (conv_plan_input_grad(&plan, &shape) != 0) return;
  run_gather(&plan, buf[0], buf[1], NULL, buf[2]);
  conv_plan_free(&plan);
}

#endif
