/* The geometry of a convolution, reduced to unit stride; no arithmetic here.
 *
 * Forward and input gradient are both "outputs gather taps from a source image". A position j of the output grid and
 * a tap with `shift` s meet the source at u = j + s, per dimension:
 *   forward          source x, stride S:  x index = S u + residue - pad, where tap k has s = k D / S (rounded down) and
 *                    residue = k D mod S. The source is seen as one image ("phase") per residue that occurs.
 *   input gradient   source dy: index = u. Outputs q = S j + r - pad of residue r see the taps with k D mod S = r, at
 *                    s = -(k D - r) / S. Each residue class is a `part` with taps of its own, so that no product with
 *                    a structural zero is computed.
 * The weight gradient uses the forward plan: its rows are the taps, its depth runs over positions. */
#ifndef MNB_CONV_PLAN_H
#define MNB_CONV_PLAN_H

#include "runtime.h"

struct conv_shape {
  int64_t n, c, o, groups;
  int64_t in[3], kernel[3], out[3], stride[3], pad[3], dilation[3];
};

/* Outputs of one residue class. */
struct conv_part {
  int64_t lo[3], hi[3];               /* its positions */
  int64_t out_step[3], out_origin[3]; /* output index = out_step * j + out_origin */
  int64_t taps;
  const int64_t *tap;   /* [taps] place in the kernel */
  const int64_t *shift; /* [taps][3] */
  const int64_t *phase; /* [taps] source phase */
};

struct conv_plan {
  int64_t n, groups;
  int64_t rows, channels;       /* per group: output channels of the gather, source channels */
  int64_t steps;                /* of the tile per tap: channels, or pairs of them */
  int64_t row_step, channel_step; /* of the weights, in elements */
  int64_t source_size[3], source_volume, out_size[3], out_volume;
  int64_t step[3], origin[3];   /* source index = step * u + residue - origin */
  int64_t residues[3];          /* how many phases per dimension */
  int64_t *residue[3];
  int64_t lo[3], hi[3];         /* positions of all parts */
  int64_t min_shift[3], max_shift[3];
  int64_t parts;
  struct conv_part *part;
  int64_t volume;               /* taps of the kernel */
  int reachable;                /* every tap lies inside the source, in one phase without residue */
  int in_place;                 /* the source is read where it lies: reachable, and its columns neighbours or turned */
  void *memory;
};

/* A copy of the source around the positions [lo, hi): [channel][phase][z][y][x], zero where the source ends. */
struct conv_box {
  int64_t lo[3], extent[3]; /* in u */
  int64_t pitch[3];         /* of z, y, x */
  int64_t plane, channel;   /* elements per phase, per channel */
};

void conv_read_shape(struct conv_shape *shape, const int64_t *p);
/* Return 0, or -1 after mnb_fail. The plan must be freed. */
int conv_plan_forward(struct conv_plan *plan, const struct conv_shape *shape);
int conv_plan_input_grad(struct conv_plan *plan, const struct conv_shape *shape);
void conv_plan_free(struct conv_plan *plan);

/* Layout of the box for positions [lo, hi); with plan->in_place, that of the source itself. */
void conv_box_layout(struct conv_box *box, const struct conv_plan *plan, const int64_t lo[3], const int64_t hi[3]);
/* offset[channel * taps + tap], for plan->steps channels of the box: from the box address of position j to what the tap
 * reads there. */
void conv_tap_offsets(int64_t *offset, const struct conv_plan *plan, const struct conv_part *part,
                      const struct conv_box *box);
/* Elements from one image of the source to the next. */
static inline int64_t conv_image_step(const struct conv_plan *plan) {
  return plan->groups * plan->channels * plan->source_volume;
}
static inline int64_t conv_phases(const struct conv_plan *plan) {
  return plan->residues[0] * plan->residues[1] * plan->residues[2];
}
static inline int64_t conv_volume(const int64_t size[3]) { return size[0] * size[1] * size[2]; }

#endif
