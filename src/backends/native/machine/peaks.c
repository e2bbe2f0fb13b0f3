/* Peaks of this machine, measured: arithmetic in registers, and bytes per second from caches and memory.
 *
 * mnb_peak_work runs one kind of work on some threads at once, several times, and returns the least seconds from the
 * moment when the first has started until the last one is done; mnb_peak_flops tells what one round of it is worth.
 * Threads are started anew: the pool of the run time need not exist. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

#include "../runtime/amx.h"

#define EXPORT __attribute__((visibility("default")))
#define HOT static __attribute__((noinline))

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
enum { CHAINS = 24 }; /* of 32 registers */
#elif defined(__aarch64__)
#define VECTOR_BYTES 16
enum { CHAINS = 24 };
#elif defined(__AVX2__)
#define VECTOR_BYTES 32
enum { CHAINS = 12 }; /* of 16 registers; a latency of 4 to 5 cycles on 2 units needs 10 */
#else
#define VECTOR_BYTES 16
enum { CHAINS = 12 };
#endif

typedef float vec32 __attribute__((vector_size(VECTOR_BYTES)));
typedef double vec64 __attribute__((vector_size(VECTOR_BYTES)));

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

/* Keeps a value in a register of its own, so that scalars are not joined into vectors. */
#if defined(__AVX512VL__)
#define APART(x) __asm__ volatile("" : "+v"(x)) /* any of 32 registers */
#elif defined(__x86_64__)
#define APART(x) __asm__ volatile("" : "+x"(x))
#elif defined(__aarch64__)
#define APART(x) __asm__ volatile("" : "+w"(x))
#else
#define APART(x) __asm__ volatile("" : "+m"(x))
#endif

static volatile double sink;

/* ---- arithmetic: every loop is x = x * a + b over independent chains ---- */

/* One chain: each multiply-add waits for the one before. */
HOT void scalar_chain(int64_t rounds) {
  float x = 1, a = 0.999f, b = 0.001f;
  for (int64_t i = 0; i < rounds; i++) {
    UNROLL for (int c = 0; c < CHAINS; c++) {
      x = x * a + b;
      APART(x);
    }
  }
  sink = x;
}

#define DEFINE_CHAINS(name, type, real, apart)                  \
  HOT void name(int64_t rounds) {                               \
    type x[CHAINS];                                             \
    real a = (real)0.999, b = (real)0.001;                      \
    UNROLL for (int c = 0; c < CHAINS; c++) x[c] = (type){0} + (real)c; \
    for (int64_t i = 0; i < rounds; i++) {                      \
      UNROLL for (int c = 0; c < CHAINS; c++) {                 \
        x[c] = x[c] * a + b;                                    \
        apart(x[c]);                                            \
      }                                                         \
    }                                                           \
    UNROLL for (int c = 1; c < CHAINS; c++) x[0] += x[c];       \
    type sum = x[0];                                            \
    sink = *(real *)&sum;                                       \
  }
DEFINE_CHAINS(scalar_f32, float, float, APART)
DEFINE_CHAINS(simd_f32, vec32, float, APART)
DEFINE_CHAINS(simd_f64, vec64, double, APART)

#ifdef __AVX512BF16__
HOT void dot_bf16(int64_t rounds) {
  __m512 x[CHAINS];
  __m512bh a = (__m512bh)_mm512_set1_epi16(0x3f80), b = (__m512bh)_mm512_set1_epi16(0x3c00);
  UNROLL for (int c = 0; c < CHAINS; c++) x[c] = _mm512_set1_ps((float)c);
  for (int64_t i = 0; i < rounds; i++) {
    UNROLL for (int c = 0; c < CHAINS; c++) {
      x[c] = _mm512_dpbf16_ps(x[c], a, b);
      APART(x[c]);
    }
  }
  UNROLL for (int c = 1; c < CHAINS; c++) x[0] = _mm512_add_ps(x[0], x[c]);
  sink = _mm512_cvtss_f32(x[0]);
}
#endif

#ifdef MNB_AMX
enum { TILE_PRODUCTS = 4 };

HOT void tile_bf16(int64_t rounds) {
  _Alignas(64) static const uint8_t zero[16 * 64];
  amx_configure(&amx_all_whole);
  amx_zero(0);
  amx_zero(1);
  amx_zero(2);
  amx_zero(3);
  amx_load(4, zero, 64);
  amx_load(5, zero, 64);
  amx_load(6, zero, 64);
  amx_load(7, zero, 64);
  for (int64_t i = 0; i < rounds; i++) {
    amx_multiply_add(0, 4, 6);
    amx_multiply_add(1, 4, 7);
    amx_multiply_add(2, 5, 6);
    amx_multiply_add(3, 5, 7);
  }
  amx_release();
}
#endif

/* ---- memory: vectors of 64 bytes, so that every machine moves whole cache lines ---- */

typedef float line __attribute__((vector_size(64)));
enum { BLOCK = 8 /* lines per turn */, HUGE_PAGE_BYTES = 1 << 21 };

/* Keeps the compiler from taking a loop for memset or memcpy, which stores past the caches. */
#define BARRIER __asm__ volatile("" ::: "memory")

HOT void read_lines(const line *a, int64_t lines) {
  line x[BLOCK] = {0};
  for (int64_t i = 0; i < lines; i += BLOCK) {
    UNROLL for (int b = 0; b < BLOCK; b++) x[b] += a[i + b];
  }
  UNROLL for (int b = 1; b < BLOCK; b++) x[0] += x[b];
  sink = x[0][0];
}

HOT void write_lines(line *a, int64_t lines) {
  line x = (line){0} + 1.5f;
  for (int64_t i = 0; i < lines; i += BLOCK) {
    UNROLL for (int b = 0; b < BLOCK; b++) a[i + b] = x;
    BARRIER;
  }
}

HOT void copy_lines(line *a, const line *b, int64_t lines) {
  for (int64_t i = 0; i < lines; i += BLOCK) {
    UNROLL for (int k = 0; k < BLOCK; k++) a[i + k] = b[i + k];
    BARRIER;
  }
}

HOT void triad_lines(line *a, const line *b, const line *c, int64_t lines) {
  for (int64_t i = 0; i < lines; i += BLOCK) {
    UNROLL for (int k = 0; k < BLOCK; k++) a[i + k] = b[i + k] + c[i + k] * 3.0f;
    BARRIER;
  }
}

/* ---- running ---- */

/* The order of `kinds` in machine.ts. */
enum kind { SCALAR_CHAIN, SCALAR_F32, SIMD_F32, SIMD_F64, DOT_BF16, TILE_BF16, READ, WRITE, COPY, TRIAD };

/* Floating-point operations of one round on one thread; 0 where this machine lacks the instructions. */
EXPORT double mnb_peak_flops(int kind) {
  switch (kind) {
    case SCALAR_CHAIN:
    case SCALAR_F32: return 2.0 * CHAINS;
    case SIMD_F32: return 2.0 * CHAINS * (VECTOR_BYTES / 4);
    case SIMD_F64: return 2.0 * CHAINS * (VECTOR_BYTES / 8);
#ifdef __AVX512BF16__
    case DOT_BF16: return 2.0 * CHAINS * 32;
#endif
#ifdef MNB_AMX
    case TILE_BF16: return amx_allowed() ? 2.0 * TILE_PRODUCTS * 16 * 16 * 32 : 0;
#endif
    default: return 0;
  }
}

enum { MOST_THREADS = 256, MOST_RUNS = 64 };

/* Where the threads of one measurement meet before each run. */
struct meeting {
  int threads;
  _Atomic int arrivals, called_off;
};

/* Waits until all threads are there for the run; 0 if it was called off. */
static int meet(struct meeting *meeting, int run) {
  atomic_fetch_add(&meeting->arrivals, 1);
  while (atomic_load(&meeting->arrivals) < meeting->threads * (run + 1)) {
    if (atomic_load(&meeting->called_off)) return 0;
    sched_yield();
  }
  return 1;
}

struct job {
  int kind;
  int64_t rounds, lines;
  int runs;
  struct meeting *start;
  double began[MOST_RUNS], ended[MOST_RUNS];
  int failed;
};

static double now_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void work(const struct job *job, line *a, line *b, line *c, int64_t rounds) {
  switch (job->kind) {
    case SCALAR_CHAIN: scalar_chain(rounds); return;
    case SCALAR_F32: scalar_f32(rounds); return;
    case SIMD_F32: simd_f32(rounds); return;
    case SIMD_F64: simd_f64(rounds); return;
#ifdef __AVX512BF16__
    case DOT_BF16: dot_bf16(rounds); return;
#endif
#ifdef MNB_AMX
    case TILE_BF16: tile_bf16(rounds); return;
#endif
    default: break;
  }
  for (int64_t i = 0; i < rounds; i++) {
    if (job->kind == READ) read_lines(a, job->lines);
    else if (job->kind == WRITE) write_lines(a, job->lines);
    else if (job->kind == COPY) copy_lines(a, b, job->lines);
    else triad_lines(a, b, c, job->lines);
    BARRIER;
  }
}

static void *run_job(void *arg) {
  struct job *job = arg;
  line *array[3] = {NULL, NULL, NULL};
  int arrays = job->kind < READ ? 0 : job->kind == COPY ? 2 : job->kind == TRIAD ? 3 : 1;
  size_t bytes = (size_t)job->lines * sizeof(line);
  for (int i = 0; i < arrays; i++) {
    void *p = NULL;
    if (posix_memalign(&p, HUGE_PAGE_BYTES, bytes) != 0) {
      job->failed = 1;
      break;
    }
#ifdef MADV_HUGEPAGE
    madvise(p, bytes, MADV_HUGEPAGE); /* as the run time has its large blocks */
#endif
    memset(p, 0, bytes); /* by the thread that will use it */
    array[i] = p;
  }
  if (!job->failed) work(job, array[0], array[1], array[2], 1);
  if (job->failed) atomic_store(&job->start->called_off, 1);
  for (int run = 0; run < job->runs; run++) {
    if (!meet(job->start, run)) {
      job->failed = 1;
      break;
    }
    job->began[run] = now_seconds();
    work(job, array[0], array[1], array[2], job->rounds);
    job->ended[run] = now_seconds();
  }
  for (int i = 0; i < arrays; i++) free(array[i]);
  return NULL;
}

/* Does `rounds` rounds on `threads` threads at once, `runs` times; for memory, a round passes once over arrays of
 * `lines` lines of 64 bytes (a multiple of 8) that belong to the thread. Returns the seconds of the fastest run, or -1
 * if there is not enough memory or a thread cannot be started. */
EXPORT double mnb_peak_work(int kind, int threads, int runs, int64_t rounds, int64_t lines) {
  if (threads < 1 || threads > MOST_THREADS || runs < 1 || runs > MOST_RUNS || lines % BLOCK != 0) return -1;
  pthread_t handles[MOST_THREADS];
  struct job *jobs = calloc((size_t)threads, sizeof *jobs);
  if (jobs == NULL) return -1;
  struct meeting start = {.threads = threads};
  for (int i = 0; i < threads; i++)
    jobs[i] = (struct job){.kind = kind, .rounds = rounds, .lines = lines, .runs = runs, .start = &start};
  int started = 1;
  while (started < threads && pthread_create(&handles[started], NULL, run_job, &jobs[started]) == 0) started++;
  if (started < threads) atomic_store(&start.called_off, 1);
  run_job(&jobs[0]);
  for (int i = 1; i < started; i++) pthread_join(handles[i], NULL);
  double best = -1;
  int failed = started < threads;
  for (int i = 0; i < threads; i++) failed |= jobs[i].failed;
  for (int run = 0; run < runs && !failed; run++) {
    double began = jobs[0].began[run], ended = jobs[0].ended[run];
    for (int i = 1; i < threads; i++) {
      if (jobs[i].began[run] < began) began = jobs[i].began[run];
      if (jobs[i].ended[run] > ended) ended = jobs[i].ended[run];
    }
    if (best < 0 || ended - began < best) best = ended - began;
  }
  free(jobs);
  return best;
}
