/* Memory: aligned blocks, per-thread and shared scratch, and the text of the last failure. */
#define _GNU_SOURCE
#include "runtime.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/sysctl.h>
#endif

enum { MAP_FROM_BYTES = 1 << 20, HUGE_PAGE_BYTES = 1 << 21, HUGE_FROM_BYTES = 1 << 22 };

/* Whole mappings for large blocks: they are zero, go back to the system when freed, and can have huge pages, for
 * which the block is placed on a huge-page boundary inside a slightly larger mapping. */
static void *map_block(int64_t bytes) {
  size_t slack = bytes >= HUGE_FROM_BYTES ? HUGE_PAGE_BYTES : 0;
  size_t size = (size_t)mnb_round_up(bytes, 4096 * 16);
  char *start = mmap(NULL, size + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) return NULL;
  if (slack == 0) return start;
  size_t before = (size_t)(-(uintptr_t)start & (HUGE_PAGE_BYTES - 1));
  if (before > 0) munmap(start, before);
  if (slack > before) munmap(start + before + size, slack - before);
#ifdef MADV_HUGEPAGE
  madvise(start + before, size, MADV_HUGEPAGE);
#endif
  return start + before;
}

void mnb_prefer_huge_pages(void *p, int64_t bytes) {
#ifdef MADV_HUGEPAGE
  uintptr_t mask = ~(uintptr_t)(HUGE_PAGE_BYTES - 1);
  uintptr_t begin = ((uintptr_t)p + HUGE_PAGE_BYTES - 1) & mask, end = ((uintptr_t)p + (uintptr_t)bytes) & mask;
  if (begin < end) madvise((void *)begin, end - begin, MADV_HUGEPAGE);
#else
  (void)p;
  (void)bytes;
#endif
}

void *mnb_alloc(int64_t bytes) {
  if (bytes < 0) return NULL;
  if (bytes >= MAP_FROM_BYTES) return map_block(bytes);
  void *p = NULL;
  return posix_memalign(&p, MNB_ALIGN, (size_t)mnb_max(bytes, MNB_ALIGN)) == 0 ? p : NULL;
}

void mnb_free(void *p, int64_t bytes) {
  if (p == NULL) return;
  if (bytes >= MAP_FROM_BYTES) munmap(p, (size_t)mnb_round_up(bytes, 4096 * 16));
  else free(p);
}

struct block {
  void *p;
  int64_t bytes;
};

static struct block scratch[MNB_MAX_THREADS];
static struct block shared;

static int grow(struct block *block, int64_t bytes) {
  if (block->bytes >= bytes) return 0;
  mnb_free(block->p, block->bytes);
  bytes = mnb_round_up(bytes + bytes / 8, 4096);
  block->p = mnb_alloc(bytes);
  block->bytes = block->p ? bytes : 0;
  if (block->p == NULL) mnb_fail("cannot allocate %lld bytes of scratch memory", (long long)bytes);
  return block->p ? 0 : -1;
}

int mnb_scratch_reserve(int64_t bytes) {
  for (int i = 0; i < mnb_threads(); i++) {
    if (grow(&scratch[i], bytes) != 0) return -1;
  }
  return 0;
}

void *mnb_scratch(int thread) { return scratch[thread].p; }

void *mnb_shared(int64_t bytes) { return grow(&shared, mnb_max(bytes, MNB_ALIGN)) == 0 ? shared.p : NULL; }

static int64_t probe_cache_bytes(int level) {
  int64_t bytes = 0;
#if defined(_SC_LEVEL1_DCACHE_SIZE)
  bytes = sysconf(level == 1 ? _SC_LEVEL1_DCACHE_SIZE : _SC_LEVEL2_CACHE_SIZE);
#elif defined(__APPLE__)
  size_t size = sizeof bytes;
  if (sysctlbyname(level == 1 ? "hw.l1dcachesize" : "hw.l2cachesize", &bytes, &size, NULL, 0) != 0) bytes = 0;
#endif
  /* Unknown or implausible (virtual machines report 0, shared L2 caches their whole size). */
  if (level == 1) return bytes >= 16 << 10 && bytes <= 256 << 10 ? bytes : 32 << 10;
  return bytes >= 256 << 10 ? mnb_min(bytes, 2 << 20) : 512 << 10;
}

int64_t mnb_cache_bytes(int level) {
  static _Atomic int64_t known[2];
  int64_t bytes = atomic_load_explicit(&known[level - 1], memory_order_relaxed);
  if (bytes == 0) {
    bytes = probe_cache_bytes(level);
    atomic_store_explicit(&known[level - 1], bytes, memory_order_relaxed);
  }
  return bytes;
}

static char message[1024] = "no error";
static _Atomic int failed;

void mnb_fail(const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
  atomic_store(&failed, 1);
}

int mnb_failed(void) { return atomic_load_explicit(&failed, memory_order_relaxed); }

void mnb_clear_failure(void) { atomic_store(&failed, 0); }

const char *mnb_error(void) { return message; }

enum { COPY_TASK_BYTES = 1 << 18 };

struct copy {
  char *to;
  const char *from;
  int64_t bytes, tasks;
};

static void copy_task(void *ctx, int64_t task, int thread) {
  (void)thread;
  const struct copy *copy = ctx;
  int64_t begin = mnb_split(copy->bytes, copy->tasks, task), end = mnb_split(copy->bytes, copy->tasks, task + 1);
  memcpy(copy->to + begin, copy->from + begin, (size_t)(end - begin));
}

void mnb_copy(void *to, const void *from, int64_t bytes) {
  struct copy copy = {to, from, bytes, mnb_min(mnb_ceil_div(bytes, COPY_TASK_BYTES), 4 * mnb_threads())};
  mnb_parallel(copy.tasks, copy_task, &copy);
}
