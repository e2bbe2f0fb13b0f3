/* Copies the part of a source image that a task needs into a box: padded with zeros, split into unit-stride phases. */
#ifndef MNB_CONV_BOX_H
#define MNB_CONV_BOX_H

#include "conv-plan.h"
#include "real.h"

/* One row: to[u] = from[step * u + first] where that lies in [0, size), else 0. */
INLINE void copy_row(real *to, const real *from, int64_t first, int64_t step, int64_t size, int64_t count) {
  int64_t begin = mnb_min(count, first >= 0 ? 0 : mnb_ceil_div(-first, step));
  int64_t end = mnb_max(begin, mnb_min(count, first >= size ? 0 : mnb_ceil_div(size - first, step)));
  for (int64_t u = 0; u < begin; u++) to[u] = 0;
  if (step == 1) {
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

/* `source` is the first channel of one image; channels follow at source_volume. */
HOT void fill_box(real *to, const real *source, const struct conv_plan *plan, const struct conv_box *box,
                  int64_t channels) {
  const int64_t *size = plan->source_size;
  for (int64_t c = 0; c < channels; c++, source += plan->source_volume, to += box->channel) {
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
                copy_row(row, source + (iz * size[1] + iy) * size[2], first[2], plan->step[2], size[2], box->extent[2]);
              }
            }
          }
        }
      }
    }
  }
}

#endif
