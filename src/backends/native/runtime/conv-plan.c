/* Builds the plans described in conv-plan.h. */
#include "conv-plan.h"

#include <stdlib.h>
#include <string.h>

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

void conv_read_shape(struct conv_shape *s, const int64_t *p) {
  memcpy(s, p, sizeof *s);
  /* A 1x1 kernel that touches every element once does not care about rows: one long row has no tails. */
  int pointwise = 1;
  for (int d = 0; d < 3; d++) {
    pointwise &= s->kernel[d] == 1 && s->stride[d] == 1 && s->pad[d] == 0 && s->in[d] == s->out[d];
  }
  if (pointwise) {
    s->in[2] = s->out[2] = conv_volume(s->in);
    s->in[0] = s->in[1] = s->out[0] = s->out[1] = 1;
  }
}

/* One block for every table of the plan: parts, residues per dimension, and three tables over the taps. */
static int allocate(struct conv_plan *plan, const int64_t kernel[3], int64_t parts) {
  plan->volume = conv_volume(kernel);
  plan->parts = parts;
  size_t words = (size_t)(kernel[0] + kernel[1] + kernel[2] + 5 * plan->volume);
  plan->memory = calloc(1, (size_t)parts * sizeof(struct conv_part) + words * sizeof(int64_t));
  if (plan->memory == NULL) {
    mnb_fail("cannot allocate the plan of a convolution");
    return -1;
  }
  plan->part = plan->memory;
  plan->residue[0] = (int64_t *)(plan->part + parts);
  plan->residue[1] = plan->residue[0] + kernel[0];
  plan->residue[2] = plan->residue[1] + kernel[1];
  return 0;
}

static int64_t *tap_tables(const struct conv_plan *plan, const int64_t kernel[3]) {
  return plan->residue[2] + kernel[2];
}

/* Where tap k of dimension d lies: its shift and, for the forward plan, the number of its residue. */
static int64_t find_residue(struct conv_plan *plan, int d, int64_t residue) {
  for (int64_t i = 0; i < plan->residues[d]; i++) {
    if (plan->residue[d][i] == residue) return i;
  }
  plan->residue[d][plan->residues[d]] = residue;
  return plan->residues[d]++;
}

static void finish(struct conv_plan *plan) {
  plan->source_volume = conv_volume(plan->source_size);
  plan->out_volume = conv_volume(plan->out_size);
  plan->steps = plan->channels;
  plan->reachable = conv_phases(plan) == 1;
  for (int d = 0; d < 3; d++) {
    plan->reachable &= plan->lo[d] + plan->min_shift[d] >= 0 &&
                       plan->step[d] * (plan->hi[d] - 1 + plan->max_shift[d]) < plan->source_size[d] &&
                       plan->origin[d] == 0 && plan->residue[d][0] == 0;
  }
  plan->in_place = plan->reachable && conv_volume(plan->step) == 1;
}

int conv_plan_forward(struct conv_plan *plan, const struct conv_shape *s) {
  int64_t c = s->c / s->groups, volume = conv_volume(s->kernel);
  *plan = (struct conv_plan){.n = s->n, .groups = s->groups, .rows = s->o / s->groups, .channels = c,
                             .row_step = c * volume, .channel_step = volume};
  if (allocate(plan, s->kernel, 1) != 0) return -1;
  for (int d = 0; d < 3; d++) {
    plan->source_size[d] = s->in[d];
    plan->out_size[d] = plan->hi[d] = s->out[d];
    plan->step[d] = s->stride[d];
    plan->origin[d] = s->pad[d];
    for (int64_t k = 0; k < s->kernel[d]; k++) find_residue(plan, d, k * s->dilation[d] % s->stride[d]);
    plan->max_shift[d] = (s->kernel[d] - 1) * s->dilation[d] / s->stride[d];
  }
  int64_t *tap = tap_tables(plan, s->kernel), *phase = tap + volume, *shift = phase + volume;
  for (int64_t t = 0; t < volume; t++) {
    int64_t k[3] = {t / (s->kernel[1] * s->kernel[2]), t / s->kernel[2] % s->kernel[1], t % s->kernel[2]};
    tap[t] = t;
    phase[t] = 0;
    for (int d = 0; d < 3; d++) {
      int64_t at = k[d] * s->dilation[d];
      phase[t] = phase[t] * plan->residues[d] + find_residue(plan, d, at % s->stride[d]);
      shift[3 * t + d] = at / s->stride[d];
    }
  }
  struct conv_part *part = plan->part;
  *part = (struct conv_part){.out_step = {1, 1, 1}, .taps = volume, .tap = tap, .shift = shift, .phase = phase};
  memcpy(part->hi, plan->hi, sizeof part->hi);
  finish(plan);
  return 0;
}

int conv_plan_input_grad(struct conv_plan *plan, const struct conv_shape *s) {
  int64_t c = s->c / s->groups, volume = conv_volume(s->kernel);
  *plan = (struct conv_plan){.n = s->n, .groups = s->groups, .rows = c, .channels = s->o / s->groups,
                             .row_step = volume, .channel_step = c * volume,
                             .step = {1, 1, 1}, .residues = {1, 1, 1}};
  if (allocate(plan, s->kernel, conv_volume(s->stride)) != 0) return -1;
  int64_t *tap = tap_tables(plan, s->kernel), *phase = tap + volume, *shift = phase + volume;
  for (int d = 0; d < 3; d++) {
    plan->source_size[d] = s->out[d];
    plan->out_size[d] = s->in[d];
    plan->lo[d] = INT64_MAX;
    plan->hi[d] = INT64_MIN;
  }
  for (int64_t i = 0; i < plan->parts; i++) {
    struct conv_part *part = &plan->part[i];
    int64_t r[3] = {i / (s->stride[1] * s->stride[2]), i / s->stride[2] % s->stride[1], i % s->stride[2]};
    for (int d = 0; d < 3; d++) {
      part->out_step[d] = s->stride[d];
      part->out_origin[d] = r[d] - s->pad[d];
      part->lo[d] = -floor_div(r[d] - s->pad[d], s->stride[d]);
      part->hi[d] = floor_div(s->in[d] - 1 + s->pad[d] - r[d], s->stride[d]) + 1;
      plan->lo[d] = mnb_min(plan->lo[d], part->lo[d]);
      plan->hi[d] = mnb_max(plan->hi[d], part->hi[d]);
    }
    part->tap = tap;
    part->phase = phase;
    part->shift = shift;
    for (int64_t t = 0; t < volume; t++) {
      int64_t k[3] = {t / (s->kernel[1] * s->kernel[2]), t / s->kernel[2] % s->kernel[1], t % s->kernel[2]};
      int hit = 1;
      for (int d = 0; d < 3; d++) hit &= k[d] * s->dilation[d] % s->stride[d] == r[d];
      if (!hit) continue;
      for (int d = 0; d < 3; d++) {
        shift[d] = -(k[d] * s->dilation[d] - r[d]) / s->stride[d];
        plan->min_shift[d] = mnb_min(plan->min_shift[d], shift[d]);
      }
      *tap++ = t;
      phase++;
      shift += 3;
      part->taps++;
    }
  }
  finish(plan);
  return 0;
}

void conv_plan_free(struct conv_plan *plan) { free(plan->memory); }

void conv_box_layout(struct conv_box *box, const struct conv_plan *plan, const int64_t lo[3], const int64_t hi[3]) {
  for (int d = 0; d < 3; d++) {
    box->lo[d] = lo[d] + plan->min_shift[d];
    box->extent[d] = hi[d] - lo[d] + plan->max_shift[d] - plan->min_shift[d];
  }
  const int64_t *size = plan->in_place ? plan->source_size : box->extent, one[3] = {1, 1, 1};
  const int64_t *step = plan->in_place ? plan->step : one;
  box->pitch[2] = step[2];
  box->pitch[1] = step[1] * size[2];
  box->pitch[0] = step[0] * size[1] * size[2];
  box->plane = size[0] * size[1] * size[2];
  if (!plan->in_place) {
    /* An odd number of 64-byte lines, so that the same place of successive channels falls into different cache sets. */
    enum { LINE = 16 };
    box->plane = mnb_round_up(box->plane, LINE);
    if (box->plane / LINE % 2 == 0) box->plane += LINE;
  }
  box->channel = box->plane * conv_phases(plan);
}

void conv_tap_offsets(int64_t *offset, const struct conv_plan *plan, const struct conv_part *part,
                      const struct conv_box *box) {
  for (int64_t c = 0; c < plan->steps; c++) {
    for (int64_t t = 0; t < part->taps; t++) {
      int64_t at = c * box->channel + part->phase[t] * box->plane;
      for (int d = 0; d < 3; d++) at += (part->shift[3 * t + d] - plan->min_shift[d]) * box->pitch[d];
      *offset++ = at;
    }
  }
}
