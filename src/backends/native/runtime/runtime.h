/* The native runtime: what the TypeScript side calls, and what the parts of the runtime share.
 *
 * pool.c      worker threads                    memory.c   allocations, scratch, error text
 * library.c   generated kernels, built-in ops   tape.c     the program interpreter
 * real.h      vector types of one float width   microkernel.h, pack.h   the GEMM tile and its packers
 * amx.h       AMX, or its emulation              microkernel-amx.h      the same tile on it
 * gemm.h      matrix product                    conv-*.h   convolution and its two gradients
 * attention.h   fused attention and its gradient
 * sort32.c sort64.c axis-ops.c                     the ops along one axis
 *
 * real-f32.c and real-f64.c compile the templates (the .h files that speak of `real`) once per width, real-bf16.c,
 * real-amx.c and real-amx-high.c once for each way to multiply bf16. */
#ifndef MNB_RUNTIME_H
#define MNB_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#define MNB_EXPORT __attribute__((visibility("default")))

/* ---- exported ---- */

/* Sets the number of threads, the caller included; 0 takes every CPU the process may use. Returns the number. */
MNB_EXPORT int mnb_init(int threads);
MNB_EXPORT int mnb_threads(void);

/* 64-byte aligned memory; large blocks come zeroed from the kernel, with huge pages where offered. NULL on failure. */
MNB_EXPORT void *mnb_alloc(int64_t bytes);
MNB_EXPORT void mnb_free(void *p, int64_t bytes);
/* Asks for huge pages where memory that was allocated elsewhere and not yet used has room for them. */
MNB_EXPORT void mnb_prefer_huge_pages(void *p, int64_t bytes);

/* Loads a generated library and writes the addresses of k0 .. k{count-1}. Returns 0, or -1 with mnb_error(). */
MNB_EXPORT int mnb_load(const char *path, int64_t count, uint64_t *out);
/* Address of a built-in op such as "gemm_f32"; 0 if there is none. */
MNB_EXPORT uint64_t mnb_symbol(const char *name);
/* Elements of the second operand of an op once it is packed, with the op's parameters; 0 if the op packs none. */
MNB_EXPORT int64_t mnb_packed_elements(const char *name, const int64_t *p);
/* Text of the last failure. */
MNB_EXPORT const char *mnb_error(void);

/* Runs a tape (see tape.c). Returns 0, or -1 with mnb_error(). `slots` is not written. */
MNB_EXPORT int mnb_run(const int64_t *tape, int64_t words, const uint64_t *slots);
/* The same, and adds the seconds of each instruction to `seconds`, each loop before the instructions of its body. */
MNB_EXPORT int mnb_run_timed(const int64_t *tape, int64_t words, const uint64_t *slots, double *seconds);

/* ---- internal ---- */

typedef void mnb_task(void *ctx, int64_t task, int thread);
typedef void mnb_kernel(void *const *buf, const int64_t *p, int64_t begin, int64_t end);
typedef void mnb_op(void *const *buf, const int64_t *p);

/* The pool and the scratch blocks serve one program at a time, whichever thread of the process runs it. */
void mnb_enter(void);
void mnb_leave(void);

/* A kernel over the result of an op, seen as a matrix: its range are the rows, its first two parameters the columns to
 * run over. */
struct mnb_epilogue {
  mnb_kernel *fn;
  void *const *buf;
  const int64_t *params;
  int64_t param_count;
};
/* That of the op that runs, or NULL. Who takes it runs it over parts of the result as they become complete, each element
 * once; if nobody does, it runs after the op. */
const struct mnb_epilogue *mnb_take_epilogue(void);
void mnb_finish(const struct mnb_epilogue *e, int64_t row, int64_t rows, int64_t col, int64_t cols);

/* Calls fn(ctx, task, thread) once for every task in [0, tasks); returns when all are done. Which thread takes a
 * task varies from run to run, so a task's result must not depend on it. */
void mnb_parallel(int64_t tasks, mnb_task *fn, void *ctx);
/* The same on the calling thread: for work too small to share. */
void mnb_serial(int64_t tasks, mnb_task *fn, void *ctx);

/* Grows the scratch block of every thread to at least `bytes`; call before mnb_parallel. Returns 0 or -1. */
int mnb_scratch_reserve(int64_t bytes);
void *mnb_scratch(int thread);
/* One grow-only block for data that all threads of an op share; its former content is lost. NULL on failure. */
void *mnb_shared(int64_t bytes);

/* Bytes of the data cache of one core, level 1 or 2. */
int64_t mnb_cache_bytes(int level);

/* Notes a failure; the running tape stops after the instruction and returns -1. */
void mnb_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int mnb_failed(void);
void mnb_clear_failure(void);

/* Keeps this library loaded until the process ends. */
void mnb_pin_library(void);

/* Parallel memcpy. */
void mnb_copy(void *to, const void *from, int64_t bytes);

#define MNB_MAX_THREADS 256
#define MNB_ALIGN 64

static inline int64_t mnb_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t mnb_max(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t mnb_ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static inline int64_t mnb_round_up(int64_t a, int64_t b) { return mnb_ceil_div(a, b) * b; }
/* First item of part i when n items are split into `parts` nearly equal runs. */
static inline int64_t mnb_split(int64_t n, int64_t parts, int64_t i) {
  return n / parts * i + mnb_min(i, n % parts);
}

#endif
