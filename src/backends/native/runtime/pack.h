/* Packers: they write a panel [depth][width] so that the tile kernel reads it front to back.
 *
 * Lane l of step k comes from src[l * lane_step + k * depth_step]; lanes beyond `lanes` are zero. Contiguous lanes are
 * copied, contiguous steps are transposed in registers, anything else goes one by one. */
#ifndef MNB_PACK_H
#define MNB_PACK_H

#include "real.h"

INLINE void pack_lane_by_lane(real *to, int width, const real *src, int64_t lane_step, int64_t depth_step, int lanes,
                              int64_t begin, int64_t end) {
  for (int64_t k = begin; k < end; k++) {
    for (int l = 0; l < lanes; l++) to[k * width + l] = src[l * lane_step + k * depth_step];
    for (int l = lanes; l < width; l++) to[k * width + l] = 0;
  }
}

/* Whole vectors are stored, so a step may spill into the next one: groups of lanes go right to left, so that within a
 * block a spill is always overwritten later, and the last steps are left to the caller. Returns the steps done. */
INLINE int64_t pack_transposed(real *to, int width, const real *src, int64_t lane_step, int lanes, int64_t depth) {
  int64_t k = 0;
  for (; k + LANES < depth; k += LANES) {
    for (int group = (width - 1) / LANES * LANES; group >= 0; group -= LANES) {
      vec row[LANES];
      UNROLL for (int l = 0; l < LANES; l++) {
        row[l] = group + l < lanes ? load(src + (group + l) * lane_step + k) : (vec){0};
      }
      transpose_lanes(row);
      UNROLL for (int l = 0; l < LANES; l++) store(to + (k + l) * width + group, row[l]);
    }
  }
  return k;
}

INLINE void pack_panel(real *to, int width, const real *src, int64_t lane_step, int64_t depth_step, int lanes,
                       int64_t depth) {
  if (lane_step == 1 && lanes == width) {
    for (int64_t k = 0; k < depth; k++) memcpy(to + k * width, src + k * depth_step, (size_t)width * sizeof(real));
    return;
  }
  int64_t done = depth_step == 1 && lane_step != 1 ? pack_transposed(to, width, src, lane_step, lanes, depth) : 0;
  pack_lane_by_lane(to, width, src, lane_step, depth_step, lanes, done, depth);
}

/* B panels, TILE_COLS wide, and A panels, as wide as the kernel that will read them. */
HOT void pack_b(real *to, const real *src, int64_t lane_step, int64_t depth_step, int lanes, int64_t depth) {
  pack_panel(to, TILE_COLS, src, lane_step, depth_step, lanes, depth);
}

HOT void pack_a(real *to, int width, const real *src, int64_t lane_step, int64_t depth_step, int lanes,
                int64_t depth) {
  if (width == TILE_ROWS) pack_panel(to, TILE_ROWS, src, lane_step, depth_step, lanes, depth);
  else pack_lane_by_lane(to, width, src, lane_step, depth_step, lanes, 0, depth);
}

#endif
