/* Worker threads.
 *
 * One job is open at a time. Its tasks are cut into one span per participant; a thread takes tasks from its own span
 * first (so that a thread tends to see the same part of the data in each op) and then helps with the others.
 * Workers spin for a short while after a job, because the next op usually follows within microseconds, and then sleep.
 * The caller never waits for a worker that has not begun: it closes the job and waits only for those inside it. A
 * worker announces itself in `inside` before it looks at `open`, the caller clears `open` before it looks at
 * `inside`; with sequentially consistent order one of the two always sees the other. */
#define _GNU_SOURCE
#include "runtime.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

enum { SPIN_NANOSECONDS = 60000, SPINS_PER_CLOCK_READ = 32, SPINS_BEFORE_YIELD = 4000 };

struct span {
  _Atomic int64_t next;
  int64_t end;
  char pad[MNB_ALIGN - 2 * sizeof(int64_t)];
};

static struct {
  pthread_t handles[MNB_MAX_THREADS];
  int threads; /* workers + the caller; 0 before mnb_init */
  int spins;   /* whether idle workers spin: not when there are more threads than CPUs */
  mnb_task *fn;
  void *ctx;
  int participants;
  _Alignas(MNB_ALIGN) struct span spans[MNB_MAX_THREADS];
  _Alignas(MNB_ALIGN) _Atomic uint32_t epoch; /* counts jobs; idle workers watch it */
  _Atomic int stop;
  _Alignas(MNB_ALIGN) _Atomic int open;
  _Alignas(MNB_ALIGN) _Atomic int inside;
  _Alignas(MNB_ALIGN) _Atomic int sleepers;
#ifndef __linux__
  pthread_mutex_t lock;
  pthread_cond_t woken;
#endif
} pool = {
#ifndef __linux__
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .woken = PTHREAD_COND_INITIALIZER,
#else
    .threads = 0,
#endif
};

/* Set while a thread works on a task: a parallel call from there runs inline. */
static _Thread_local int busy_as = -1;

static inline void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static int64_t now_nanoseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Sleeps until the epoch is no longer `seen`; may return early. */
static void sleep_on_epoch(uint32_t seen) {
  atomic_fetch_add(&pool.sleepers, 1);
#ifdef __linux__
  syscall(SYS_futex, &pool.epoch, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
#else
  pthread_mutex_lock(&pool.lock);
  while (atomic_load(&pool.epoch) == seen) pthread_cond_wait(&pool.woken, &pool.lock);
  pthread_mutex_unlock(&pool.lock);
#endif
  atomic_fetch_sub(&pool.sleepers, 1);
}

static void advance_epoch(int64_t wanted) {
  atomic_fetch_add(&pool.epoch, 1);
  if (atomic_load(&pool.sleepers) == 0) return;
#ifdef __linux__
  syscall(SYS_futex, &pool.epoch, FUTEX_WAKE_PRIVATE, (int)mnb_min(wanted, INT_MAX), NULL, NULL, 0);
#else
  (void)wanted;
  pthread_mutex_lock(&pool.lock);
  pthread_cond_broadcast(&pool.woken);
  pthread_mutex_unlock(&pool.lock);
#endif
}

static uint32_t await_epoch(uint32_t seen) {
  int64_t deadline = 0;
  for (int spin = 1;; spin++) {
    uint32_t epoch = atomic_load_explicit(&pool.epoch, memory_order_acquire);
    if (epoch != seen) return epoch;
    relax();
    if (pool.spins && spin % SPINS_PER_CLOCK_READ != 0) continue;
    int64_t now = now_nanoseconds();
    if (deadline == 0) deadline = now + (pool.spins ? SPIN_NANOSECONDS : 0);
    if (now >= deadline) {
      sleep_on_epoch(seen);
      deadline = 0;
    }
  }
}

static void take_tasks(int thread) {
  int participants = pool.participants;
  busy_as = thread;
  for (int i = 0; i < participants; i++) {
    struct span *span = &pool.spans[(thread + i) % participants];
    while (atomic_load_explicit(&span->next, memory_order_relaxed) < span->end) {
      int64_t task = atomic_fetch_add_explicit(&span->next, 1, memory_order_relaxed);
      if (task < span->end) pool.fn(pool.ctx, task, thread);
    }
  }
  busy_as = -1;
}

static void *worker(void *arg) {
  int thread = (int)(intptr_t)arg;
  uint32_t seen = 0;
  for (;;) {
    seen = await_epoch(seen);
    if (atomic_load(&pool.stop)) return NULL;
    atomic_fetch_add(&pool.inside, 1);
    if (atomic_load(&pool.open)) take_tasks(thread);
    atomic_fetch_sub(&pool.inside, 1);
  }
}

void mnb_serial(int64_t tasks, mnb_task *fn, void *ctx) {
  int thread = busy_as < 0 ? 0 : busy_as;
  for (int64_t task = 0; task < tasks; task++) fn(ctx, task, thread);
}

void mnb_parallel(int64_t tasks, mnb_task *fn, void *ctx) {
  if (tasks <= 1 || pool.threads <= 1 || busy_as >= 0) {
    mnb_serial(tasks, fn, ctx);
    return;
  }
  pool.fn = fn;
  pool.ctx = ctx;
  pool.participants = (int)mnb_min(pool.threads, tasks);
  for (int i = 0; i < pool.participants; i++) {
    atomic_store_explicit(&pool.spans[i].next, mnb_split(tasks, pool.participants, i), memory_order_relaxed);
    pool.spans[i].end = mnb_split(tasks, pool.participants, i + 1);
  }
  atomic_store(&pool.open, 1);
  advance_epoch(pool.participants - 1);
  take_tasks(0);
  atomic_store(&pool.open, 0);
  for (int spin = 1; atomic_load(&pool.inside) != 0; spin++) {
    relax();
    if (spin % SPINS_BEFORE_YIELD == 0) sched_yield();
  }
}

/* The CPU quota of the process's control group (containers), rounded up; INT_MAX if there is none. */
static int quota_cpus(void) {
  long long quota = -1, period = 0;
  FILE *f = fopen("/sys/fs/cgroup/cpu.max", "r");
  if (f) {
    if (fscanf(f, "%lld %lld", &quota, &period) != 2) quota = -1;
    fclose(f);
  } else if ((f = fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "r"))) {
    if (fscanf(f, "%lld", &quota) != 1) quota = -1;
    fclose(f);
    if ((f = fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "r"))) {
      if (fscanf(f, "%lld", &period) != 1) quota = -1;
      fclose(f);
    }
  }
  return quota > 0 && period > 0 ? (int)mnb_max(1, mnb_ceil_div(quota, period)) : INT_MAX;
}

static int allowed_cpus(void) {
  int64_t cpus = sysconf(_SC_NPROCESSORS_ONLN);
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) cpus = CPU_COUNT(&set);
#endif
  return (int)mnb_max(1, mnb_min(cpus, quota_cpus()));
}

static void stop_workers(void) {
  if (pool.threads <= 1) return;
  atomic_store(&pool.stop, 1);
  advance_epoch(INT_MAX);
  for (int i = 1; i < pool.threads; i++) pthread_join(pool.handles[i], NULL);
  atomic_store(&pool.stop, 0);
  atomic_store(&pool.epoch, 0);
}

static pthread_mutex_t turnstile = PTHREAD_MUTEX_INITIALIZER;
void mnb_enter(void) { pthread_mutex_lock(&turnstile); }
void mnb_leave(void) { pthread_mutex_unlock(&turnstile); }

static int resize(int threads) {
  int cpus = allowed_cpus();
  if (threads <= 0) threads = cpus;
  threads = (int)mnb_min(threads, MNB_MAX_THREADS);
  if (threads == pool.threads) return threads;
  stop_workers();
  pool.threads = threads;
  pool.spins = threads <= cpus;
  mnb_pin_library();
  for (int i = 1; i < threads; i++) {
    if (pthread_create(&pool.handles[i], NULL, worker, (void *)(intptr_t)i) != 0) {
      pool.threads = i; /* go on with the workers there are */
      break;
    }
  }
  return pool.threads;
}

int mnb_init(int threads) {
  mnb_enter();
  int count = resize(threads);
  mnb_leave();
  return count;
}

int mnb_threads(void) { return pool.threads > 0 ? pool.threads : 1; }
