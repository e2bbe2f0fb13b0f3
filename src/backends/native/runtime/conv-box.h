/* Copies the part of a source image that a task needs into a box: padded with zeros, split into unit-stride phases. */
#ifndef MNB_CONV_BOX_H
#define MNB_CONV_BOX_H

#include "conv-plan.h"
#include "real.h"

/* Rows of the source: those of `channels` channels, `channel_step` apart. With pairs (real.h), the first `partners` of
 * them are joined with the rows `partner_step` further on, the others with zeros. */
struct box_source {
  const real *from;
  int64_t channels, channel_step, partners, partner_step;
};

/* One row: to[u] = from[step * u + first] where that lies in [0, size), else 0. */
INLINE void copy_row(real *to, const real *from, const real *partner, int64_t first, int64_t step, int64_t size,
                     int64_t count) {
  int64_t begin = mnb_min(count, first >= 0 ? 0 : mnb_ceil_div(-first, step));
  int64_t end = mnb_max(begin, mnb_min(count, first >= size ? 0 : mnb_ceil_div(size - first, step)));
  for (int64_t u = 0; u < begin; u++) to[u] = 0;
  if (STEP == 2) {
    int64_t u = begin;
    if (step == 1) {
      const real *second = partner ? partner + first : NULL;
      for (; u + LANES <= end; u += LANES) {
        store(to + u, step_of_rows(from + first + u, second ? second + u : NULL));
      }
    }
    for (; u < end; u++) {
      int64_t at = first + step * u;
      to[u] = step_of(from + at, partner ? partner + at : NULL);
    }
  } else if (step == 1) {
    int64_t u = begin;
    for (; u + LANES <= end; u += LANES) store(to + u, load(from + first + u));
    for (; u < end; u++) to[u] = from[first + u];
  } else if (step == 2) {
    for (int64_t u = begin; u < end; u++) to[u] = from[first + 2 * u]; /* a constant step makes vectors */
  } else {
    for (int64_t u = begin; u < end; u++) to[u] = from[first + step * u];
  }
  for (int64_t u = end; u < count; u++) to[u] = 0;
}

HOT void fill_box(real *to, const struct box_source *source, const struct conv_plan *plan,
                  const struct conv_box *box) {
  const int64_t *size = plan->source_size;
  const real *from = source->from;
  for (int64_t c = 0; c < source->channels; c++, from += source->channel_step, to += box->channel) {
    const real *partner = c < source->partners ? from + source->partner_step : NULL;
    real *plane = to;
    for (int64_t pz = 0; pz < plan->residues[0]; pz++) {
      for (int64_t py = 0; py < plan->residues[1]; py++) {
        for (int64_t px = 0; px < plan->residues[2]; px++, plane += box->plane) {
          const int64_t residue[3] = {plan->residue[0][pz], plan->residue[1][py], plan->residue[2][px]};
          int64_t first[3];
          for (int d = 0; d < 3; d++) first[d] = plan->step[d] * box->lo[d] + residue[d] - plan->origin[d];
          for (int64_t z = 0; z < box->extent[0]; z++) {
            int64_t iz = plan->step[0] * z + first[0];
            for (int64_t y = 0; y < box->extent[1]; y++) {
              int64_t iy = plan->step[1] * y + first[1];
              real *row = plane + z * box->pitch[0] + y * box->pitch[1];
              if (iz < 0 || iz >= size[0] || iy < 0 || iy >= size[1]) {
                memset(row, 0, (size_t)box->extent[2] * sizeof(real));
              } else {
                int64_t at = (iz * size[1] + iy) * size[2];
                copy_row(row, from + at, partner ? partner + at : NULL, first[2], plan->step[2], size[2],
                         box->extent[2]);
              }
            }
          }
        }
      }
    }
  }
}

#endif
