/* Copies the part of a source image that a task needs into a box: padded with zeros, split into unit-stride phases. */
#ifndef MNB_CONV_BOX_H
#define MNB_CONV_BOX_H

#include "conv-plan.h"
#include "real.h"

/* Rows of the source: those of `channels` channels, `channel_step` apart. With pairs (real.h), the first `partners` of
 * them are joined with the rows `partner_step` further on, the others with zeros. Each makes STEPS channels of the box. */
struct box_source {
  const real *from;
  int64_t channels, channel_step, partners, partner_step;
};

/* One row of the box: u in [begin, end) comes from from[step * u + first], the rest is zero. Stores are of whole vectors,
 * so what follows the row may be overwritten: rows are filled front to back. */
struct box_row {
  int64_t first, step, begin, end, count;
};

static struct box_row find_row(int64_t first, int64_t step, int64_t size, int64_t count) {
  int64_t begin = mnb_min(count, first >= 0 ? 0 : mnb_ceil_div(-first, step));
  int64_t end = mnb_max(begin, mnb_min(count, first >= size ? 0 : mnb_ceil_div(size - first, step)));
  return (struct box_row){first, step, begin, end, count};
}

/* LANES elements `step` (1 or 2) apart. */
INLINE vec load_spaced(const real *from, int64_t step) {
  return step == 1 ? load(from) : SHUFFLE(load(from), load(from + LANES), EVERY, 2);
}

/* Writes step `number` of those that the elements of a row make. `room` elements may be read from `from` on. */
INLINE void copy_row(real *to, const real *from, const real *partner, const struct box_row *row, const int64_t step,
                     int64_t room, int number) {
  for (int64_t u = 0; u < row->begin; u += LANES) store(to + u, (vec){0});
  int64_t u = row->begin, at = row->first + step * u;
  if (step <= 2) {
    for (; u < row->end && at + step * LANES <= room; u += LANES, at += step * LANES) {
      vec second = partner ? load_spaced(partner + at, step) : (vec){0};
      store(to + u, b_steps(load_spaced(from + at, step), second, number));
    }
  }
  for (; u < row->end; u++, at += step) {
    if (STEPS > 1) to[u] = b_steps(splat(from[at]), (vec){0}, number)[0];
    else to[u] = step_of(from + at, partner ? partner + at : NULL);
  }
  for (u = row->end; u < row->count; u += LANES) store(to + u, (vec){0});
}

/* One phase of one channel and step; `partner` is NULL or the channel that is joined with it. */
static void fill_plane(real *plane, const real *from, const real *partner, const struct conv_plan *plan,
                       const struct conv_box *box, const int64_t first[3], int number) {
  const int64_t *size = plan->source_size;
  const struct box_row columns = find_row(first[2], plan->step[2], size[2], box->extent[2]);
  for (int64_t z = 0; z < box->extent[0]; z++) {
    int64_t iz = plan->step[0] * z + first[0];
    for (int64_t y = 0; y < box->extent[1]; y++) {
      int64_t iy = plan->step[1] * y + first[1];
      real *row = plane + z * box->pitch[0] + y * box->pitch[1];
      if (iz < 0 || iz >= size[0] || iy < 0 || iy >= size[1]) {
        memset(row, 0, (size_t)box->extent[2] * sizeof(real));
        continue;
      }
      int64_t at = (iz * size[1] + iy) * size[2], room = plan->source_volume - at;
      const real *second = partner ? partner + at : NULL;
      if (columns.step == 1) copy_row(row, from + at, second, &columns, 1, room, number);
      else if (columns.step == 2) copy_row(row, from + at, second, &columns, 2, room, number);
      else copy_row(row, from + at, second, &columns, columns.step, room, number);
    }
  }
}

/* All channels of a source; a vector beyond the end of the box may be overwritten. */
HOT void fill_box(real *to, const struct box_source *source, const struct conv_plan *plan,
                  const struct conv_box *box) {
  for (int64_t step = 0; step < source->channels * STEPS; step++, to += box->channel) {
    int64_t c = step / STEPS;
    const real *from = source->from + c * source->channel_step;
    const real *partner = c < source->partners ? from + source->partner_step : NULL;
    real *plane = to;
    for (int64_t z = 0; z < plan->residues[0]; z++) {
      for (int64_t y = 0; y < plan->residues[1]; y++) {
        for (int64_t x = 0; x < plan->residues[2]; x++, plane += box->plane) {
          const int64_t residue[3] = {plan->residue[0][z], plan->residue[1][y], plan->residue[2][x]};
          int64_t first[3];
          for (int d = 0; d < 3; d++) first[d] = plan->step[d] * box->lo[d] + residue[d] - plan->origin[d];
          fill_plane(plane, from, partner, plan, box, first, (int)(step % STEPS));
        }
      }
    }
  }
}

#endif
