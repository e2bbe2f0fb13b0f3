/* Packers: they write a panel [steps][width] so that the tile kernel reads it front to back.
 *
 * Lane l of source k comes from src[l * lane_step + k * depth_step], and STEP sources make a step (real.h); lanes beyond
 * `lanes` are zero. Contiguous lanes are copied, contiguous sources are transposed in registers, anything else goes one
 * by one. */
#ifndef MNB_PACK_H
#define MNB_PACK_H

#include "real.h"

/* Steps that so many sources make. */
INLINE int64_t steps_of(int64_t sources) { return (sources + STEP - 1) / STEP * STEPS; }

/* Rows of whole vectors of lanes. */
INLINE void pack_rows(real *to, int64_t to_step, const real *src, int64_t depth_step, int width, int64_t sources) {
  for (int64_t k = 0; k * STEP < sources; k++) {
    const real *first = src + k * STEP * depth_step, *second = STEP > 1 && k * STEP + 1 < sources ? first + depth_step : NULL;
    for (int l = 0; l < width; l += LANES) {
      vec x = load(first + l), partner = second ? load(second + l) : (vec){0};
      UNROLL for (int t = 0; t < STEPS; t++) store(to + (k * STEPS + t) * to_step + l, b_steps(x, partner, t));
    }
  }
}

#ifndef TERMS
INLINE void pack_lane_by_lane(real *to, int width, const real *src, int64_t lane_step, int64_t depth_step, int lanes,
                              int64_t begin, int64_t sources) {
  for (int64_t k = begin; k < steps_of(sources); k++) {
    const real *first = src + k * STEP * depth_step;
    int64_t partner = STEP > 1 && k * STEP + 1 < sources ? depth_step : 0;
    for (int l = 0; l < lanes; l++, first += lane_step) to[k * width + l] = step_of(first, partner ? first + partner : NULL);
    for (int l = lanes; l < width; l++) to[k * width + l] = 0;
  }
}

/* Whole vectors are stored, so a step may spill into the next one: groups of lanes go right to left, so that within a
 * block a spill is always overwritten later, and the last steps are left to the caller. Returns the steps done. */
INLINE int64_t pack_transposed(real *to, int width, const real *src, int64_t lane_step, int lanes, int64_t sources) {
  int64_t k = 0;
  for (; (k + LANES) * STEP < sources; k += LANES) {
    for (int group = (width - 1) / LANES * LANES; group >= 0; group -= LANES) {
      vec row[LANES];
      UNROLL for (int l = 0; l < LANES; l++) {
        row[l] = group + l < lanes ? steps_in_row(src + (group + l) * lane_step + k * STEP) : (vec){0};
      }
      transpose_lanes(row);
      UNROLL for (int l = 0; l < LANES; l++) store(to + (k + l) * width + group, row[l]);
    }
  }
  return k;
}

INLINE void pack_panel(real *to, int width, const real *src, int64_t lane_step, int64_t depth_step, int lanes,
                       int64_t sources) {
  if (lane_step == 1 && lanes == width && width % LANES == 0) {
    pack_rows(to, width, src, depth_step, width, sources);
    return;
  }
  if (STEP == 1 && lane_step == 1 && lanes == width) {
    for (int64_t k = 0; k < sources; k++) memcpy(to + k * width, src + k * depth_step, (size_t)width * sizeof(real));
    return;
  }
  int64_t done = depth_step == 1 && lane_step != 1 ? pack_transposed(to, width, src, lane_step, lanes, sources) : 0;
  pack_lane_by_lane(to, width, src, lane_step, depth_step, lanes, done, sources);
}

/* B panels, TILE_COLS wide, and A panels, as wide as the kernel that will read them. */
HOT void pack_b(real *to, const real *src, int64_t lane_step, int64_t depth_step, int lanes, int64_t sources) {
  pack_panel(to, TILE_COLS, src, lane_step, depth_step, lanes, sources);
}
#else
/* LANES elements `step` apart of which `count` exist; the others are zero. */
INLINE vec load_some(const real *src, int64_t step, int64_t count) {
  if (step == 1 && count >= LANES) return load(src);
  vec v = {0};
  for (int i = 0; i < LANES; i++) v[i] = i < count ? src[i * step] : 0;
  return v;
}

INLINE void store_b_steps(real *to, vec lanes) {
  UNROLL for (int t = 0; t < STEPS; t++) store(to + t * TILE_COLS, b_steps(lanes, lanes, t));
}

HOT void pack_b(real *to, const real *src, int64_t lane_step, int64_t depth_step, int lanes, int64_t sources) {
  if (lane_step == 1 && lanes == TILE_COLS) {
    pack_rows(to, TILE_COLS, src, depth_step, TILE_COLS, sources);
    return;
  }
  for (int group = 0; group < TILE_COLS; group += LANES, src += LANES * lane_step, lanes -= LANES) {
    real *at = to + group;
    int64_t k = 0;
    for (; lane_step != 1 && depth_step == 1 && k + LANES <= sources; k += LANES) {
      vec row[LANES];
      UNROLL for (int l = 0; l < LANES; l++) row[l] = l < lanes ? load(src + l * lane_step + k) : (vec){0};
      transpose_lanes(row);
      for (int i = 0; i < LANES; i++, at += STEPS * TILE_COLS) store_b_steps(at, row[i]);
    }
    for (; k < sources; k++, at += STEPS * TILE_COLS) {
      store_b_steps(at, load_some(src + k * depth_step, lane_step, lanes));
    }
  }
}
#endif

#ifdef AMX
/* From one row to the next, and from one step to the next, in a panel of A. */
INLINE int64_t row_pitch(int64_t steps) { return steps; }
INLINE int64_t step_pitch(int width) {
  (void)width;
  return 1;
}

#ifdef TERMS
HOT void pack_a(real *to, int width, const real *src, int64_t lane_step, int64_t depth_step, int lanes,
                int64_t sources) {
  int64_t steps = steps_of(sources);
  for (int l = 0; l < lanes; l++, src += lane_step, to += steps) {
    for (int64_t k = 0; k < sources; k += LANES) {
      vec x = load_some(src + k * depth_step, depth_step, sources - k);
      int64_t count = mnb_min(LANES, sources - k);
      UNROLL for (int t = 0; t < STEPS; t++) {
        vec v = a_steps(x, x, t);
        for (int i = 0; i < count; i++) to[(k + i) * STEPS + t] = v[i];
      }
    }
  }
  memset(to, 0, (size_t)((width - lanes) * steps) * sizeof(real));
}
#else
HOT void pack_a(real *to, int width, const real *src, int64_t lane_step, int64_t depth_step, int lanes,
                int64_t sources) {
  int64_t steps = steps_of(sources), whole = sources / STEP;
  for (int l = 0; l < lanes; l++, src += lane_step, to += steps) {
    int64_t k = 0;
    for (; depth_step == 1 && k + LANES <= whole; k += LANES) store(to + k, steps_in_row(src + k * STEP));
    for (; k < steps; k++) {
      const real *first = src + k * STEP * depth_step;
      to[k] = step_of(first, k < whole ? first + depth_step : NULL);
    }
  }
  memset(to, 0, (size_t)((width - lanes) * steps) * sizeof(real));
}
#endif
#else
INLINE int64_t row_pitch(int64_t steps) {
  (void)steps;
  return 1;
}
INLINE int64_t step_pitch(int width) { return width; }

HOT void pack_a(real *to, int width, const real *src, int64_t lane_step, int64_t depth_step, int lanes,
                int64_t sources) {
  if (width == TILE_ROWS) pack_panel(to, TILE_ROWS, src, lane_step, depth_step, lanes, sources);
  else pack_lane_by_lane(to, width, src, lane_step, depth_step, lanes, 0, sources);
}
#endif

#endif
