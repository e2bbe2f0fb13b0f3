/* The program interpreter. A tape is a flat array of int64 words:
 *
 *   1 KERNEL  fn, range, grain, nbuf, (slot, byteOffset) * nbuf, nparam, param * nparam
 *   2 OP      fn, nbuf, (slot, byteOffset) * nbuf, nparam, param * nparam
 *   3 LOOP    count, bodyWords, nAdvance, (slot, strideBytes) * nAdvance, body
 *   4 COPY    toSlot, toOffset, fromSlot, fromOffset, bytes
 *   5 OP_THEN what follows KERNEL, then what follows OP: an op whose result a kernel changes (runtime.h)
 *
 * A buffer is slots[slot] + byteOffset. A KERNEL is a generated function over [0, range); it runs inline if the range
 * is within the grain and is otherwise cut into chunks, a few per thread. A LOOP runs its body `count` times and moves
 * the named slots by their strides after each turn; they are restored when it ends. */
#define _GNU_SOURCE
#include "runtime.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { KERNEL = 1, OP = 2, LOOP = 3, COPY = 4, OP_THEN = 5 };
enum { MAX_BUFFERS = 256, MAX_EPILOGUE_PARAMS = 64, CHUNKS_PER_THREAD = 4 };

struct kernel_call {
  mnb_kernel *fn;
  void *const *buf;
  const int64_t *params;
  int64_t range, chunks;
};

static void kernel_task(void *ctx, int64_t chunk, int thread) {
  (void)thread;
  const struct kernel_call *call = ctx;
  int64_t begin = mnb_split(call->range, call->chunks, chunk);
  call->fn(call->buf, call->params, begin, mnb_split(call->range, call->chunks, chunk + 1));
}

/* Resolves nbuf, buffers, nparam, params at `w` and returns the word after them. */
static const int64_t *read_operands(const int64_t *w, const uint64_t *slots, void **buf, const int64_t **params) {
  int64_t count = *w++;
  if (count > MAX_BUFFERS) {
    mnb_fail("an instruction has %lld buffers, the limit is %d", (long long)count, MAX_BUFFERS);
    count = 0;
  }
  for (int64_t i = 0; i < count; i++, w += 2) buf[i] = (char *)(uintptr_t)slots[w[0]] + w[1];
  int64_t param_count = *w++;
  *params = w;
  return w + param_count;
}

static double *run(const int64_t *tape, int64_t words, uint64_t *slots, double *seconds);

static const int64_t *run_kernel(const int64_t *w, const uint64_t *slots) {
  void *buf[MAX_BUFFERS];
  struct kernel_call call = {.fn = (mnb_kernel *)(uintptr_t)w[0], .buf = buf, .range = w[1]};
  int64_t grain = mnb_max(w[2], 1);
  const int64_t *next = read_operands(w + 3, slots, buf, &call.params);
  if (mnb_failed() || call.range <= 0) return next;
  if (call.range <= grain || mnb_threads() == 1) {
    call.fn(buf, call.params, 0, call.range);
    return next;
  }
  call.chunks = mnb_min(mnb_ceil_div(call.range, grain), (int64_t)mnb_threads() * CHUNKS_PER_THREAD);
  mnb_parallel(call.chunks, kernel_task, &call);
  return next;
}

static const int64_t *run_op(const int64_t *w, const uint64_t *slots) {
  void *buf[MAX_BUFFERS];
  const int64_t *params;
  const int64_t *next = read_operands(w + 1, slots, buf, &params);
  if (!mnb_failed()) ((mnb_op *)(uintptr_t)w[0])(buf, params);
  return next;
}

static const struct mnb_epilogue *epilogue; /* of the op that runs, until it is taken */

const struct mnb_epilogue *mnb_take_epilogue(void) {
  const struct mnb_epilogue *taken = epilogue;
  epilogue = NULL;
  return taken;
}

void mnb_finish(const struct mnb_epilogue *e, int64_t row, int64_t rows, int64_t col, int64_t cols) {
  int64_t params[MAX_EPILOGUE_PARAMS];
  memcpy(params, e->params, (size_t)e->param_count * sizeof *params);
  params[0] = col;
  params[1] = col + cols;
  e->fn(e->buf, params, row, row + rows);
}

static const int64_t *run_op_then(const int64_t *kernel, const uint64_t *slots) {
  void *buf[MAX_BUFFERS];
  struct mnb_epilogue then = {.fn = (mnb_kernel *)(uintptr_t)kernel[0], .buf = buf};
  const int64_t *op = read_operands(kernel + 3, slots, buf, &then.params);
  then.param_count = op - then.params;
  int offered = then.param_count <= MAX_EPILOGUE_PARAMS;
  epilogue = offered ? &then : NULL;
  const int64_t *next = run_op(op, slots);
  if (!offered || epilogue) run_kernel(kernel, slots);
  epilogue = NULL;
  return next;
}

/* Adds the times of the body to `*seconds` on, unless that is NULL, and moves `*seconds` behind them. */
static const int64_t *run_loop(const int64_t *w, uint64_t *slots, double **seconds) {
  double *times = *seconds;
  int64_t count = w[0], body_words = w[1], advances = w[2];
  const int64_t *advance = w + 3, *body = advance + 2 * advances;
  for (int64_t turn = 0; turn < count && !mnb_failed(); turn++) {
    *seconds = run(body, body_words, slots, times);
    for (int64_t i = 0; i < advances; i++) slots[advance[2 * i]] += (uint64_t)advance[2 * i + 1];
  }
  for (int64_t i = 0; i < advances; i++) slots[advance[2 * i]] -= (uint64_t)(count * advance[2 * i + 1]);
  return body + body_words;
}

static double now_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Returns where the times of what follows belong; NULL if no times are kept. */
static double *run(const int64_t *tape, int64_t words, uint64_t *slots, double *seconds) {
  const int64_t *w = tape;
  while (w < tape + words && !mnb_failed()) {
    double *own = seconds, start = own ? now_seconds() : 0;
    if (own) seconds++;
    switch (*w++) {
      case KERNEL: w = run_kernel(w, slots); break;
      case OP: w = run_op(w, slots); break;
      case OP_THEN: w = run_op_then(w, slots); break;
      case LOOP: w = run_loop(w, slots, &seconds); break;
      case COPY:
        mnb_copy((char *)(uintptr_t)slots[w[0]] + w[1], (char *)(uintptr_t)slots[w[2]] + w[3], w[4]);
        w += 5;
        break;
      default:
        mnb_fail("word %lld of the tape is %lld, which is no instruction", (long long)(w - 1 - tape), (long long)w[-1]);
    }
    if (own) *own += now_seconds() - start;
  }
  return seconds;
}

/* Skips nbuf, buffers, nparam, params. */
static const int64_t *highest_operand(const int64_t *w, int64_t *highest) {
  int64_t count = *w++;
  for (int64_t i = 0; i < count; i++, w += 2) *highest = mnb_max(*highest, *w);
  return w + 1 + *w;
}

/* How many slots the tape uses: only LOOP writes them, so only then is a private copy needed. */
static int64_t highest_slot(const int64_t *tape, int64_t words, int64_t highest, int *loops) {
  const int64_t *w = tape;
  while (w < tape + words) {
    int64_t kind = *w++;
    if (kind == KERNEL || kind == OP) {
      w = highest_operand(w + (kind == KERNEL ? 3 : 1), &highest);
    } else if (kind == OP_THEN) {
      w = highest_operand(highest_operand(w + 3, &highest) + 1, &highest);
    } else if (kind == LOOP) {
      *loops = 1;
      int64_t body_words = w[1], advances = w[2];
      w += 3;
      for (int64_t i = 0; i < advances; i++, w += 2) highest = mnb_max(highest, *w);
      highest = highest_slot(w, body_words, highest, loops);
      w += body_words;
    } else if (kind == COPY) {
      highest = mnb_max(highest, mnb_max(w[0], w[2]));
      w += 5;
    } else {
      return highest; /* run() reports it */
    }
  }
  return highest;
}

int mnb_run_timed(const int64_t *tape, int64_t words, const uint64_t *slots, double *seconds) {
  int loops = 0;
  int64_t slot_count = highest_slot(tape, words, -1, &loops) + 1;
  mnb_enter();
  mnb_clear_failure();
  uint64_t *own = (uint64_t *)(uintptr_t)slots;
  if (loops) {
    own = malloc((size_t)slot_count * sizeof *own);
    if (own) memcpy(own, slots, (size_t)slot_count * sizeof *own);
    else mnb_fail("cannot allocate a table of %lld slots", (long long)slot_count);
  }
  if (!mnb_failed()) run(tape, words, own, seconds);
  if (loops) free(own);
  int status = mnb_failed() ? -1 : 0;
  mnb_leave();
  return status;
}

int mnb_run(const int64_t *tape, int64_t words, const uint64_t *slots) {
  return mnb_run_timed(tape, words, slots, NULL);
}
