/* AMX: its registers, and the intrinsics or, with MNB_EMULATE_AMX, what stands for them in tests. MNB_AMX is defined where
 * one of them is there.
 *
 * A register has up to 16 rows of 64 bytes. TDPBF16PS adds to a register of 16 x 16 f32 the products of 16 rows of 16
 * pairs of bf16 (A) with 16 rows of pairs, one for each of 16 columns (B). */
#ifndef MNB_AMX_H
#define MNB_AMX_H

#include "runtime.h"

enum { AMX_ROWS = 16, AMX_ROW_BYTES = 64, AMX_REGISTERS = 8 };

struct amx_config {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
};

static const struct amx_config amx_all_whole = {
    .palette = 1,
    .row_bytes = {AMX_ROW_BYTES, AMX_ROW_BYTES, AMX_ROW_BYTES, AMX_ROW_BYTES, AMX_ROW_BYTES, AMX_ROW_BYTES, AMX_ROW_BYTES,
                  AMX_ROW_BYTES},
    .rows = {AMX_ROWS, AMX_ROWS, AMX_ROWS, AMX_ROWS, AMX_ROWS, AMX_ROWS, AMX_ROWS, AMX_ROWS}};

#ifdef MNB_EMULATE_AMX
#define MNB_AMX
#include <stdlib.h>
#include <string.h>

static _Thread_local struct amx_config amx_config;
static _Thread_local union {
  float sums[AMX_ROWS][16];
  uint16_t pairs[AMX_ROWS][32];
} amx_register[AMX_REGISTERS];

/* As the CPU does, refuses registers that are not configured. */
static void amx_check(int r) {
  if (amx_config.palette != 1 || amx_config.rows[r] != AMX_ROWS || amx_config.row_bytes[r] != AMX_ROW_BYTES) abort();
}
static inline void amx_configure(const struct amx_config *config) { amx_config = *config; }
static inline void amx_release(void) { amx_config.palette = 0; }
static inline void amx_zero(int r) {
  amx_check(r);
  memset(&amx_register[r], 0, sizeof amx_register[r]);
}
static inline void amx_load(int r, const void *from, int64_t step) {
  amx_check(r);
  for (int i = 0; i < AMX_ROWS; i++) memcpy(amx_register[r].sums[i], (const char *)from + i * step, AMX_ROW_BYTES);
}
static inline void amx_store(int r, void *to, int64_t step) {
  amx_check(r);
  for (int i = 0; i < AMX_ROWS; i++) memcpy((char *)to + i * step, amx_register[r].sums[i], AMX_ROW_BYTES);
}
static inline float amx_widen(uint16_t x) {
  uint32_t bits = (uint32_t)x << 16;
  float f;
  memcpy(&f, &bits, sizeof f);
  return f;
}
static inline void amx_multiply_add(int c, int a, int b) {
  amx_check(c);
  for (int i = 0; i < AMX_ROWS; i++) {
    for (int k = 0; k < 32; k++) {
      float x = amx_widen(amx_register[a].pairs[i][k]);
      const uint16_t *y = amx_register[b].pairs[k / 2] + k % 2;
      for (int j = 0; j < 16; j++) amx_register[c].sums[i][j] += x * amx_widen(y[2 * j]);
    }
  }
}
static inline int amx_allowed(void) { return 1; }
#elif (defined(__AMX_BF16__) || defined(__AMXBF16__)) && defined(__linux__) /* the latter is clang up to 14 */
#define MNB_AMX
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The intrinsics take a register's number as a literal. gcc is not told that a load reads memory. */
#define amx_configure(config) _tile_loadconfig(config)
#define amx_release() _tile_release()
#define amx_zero(r) _tile_zero(r)
#define amx_load(r, from, step)         \
  do {                                  \
    __asm__ volatile("" ::: "memory");  \
    _tile_loadd(r, from, step);         \
  } while (0)
#define amx_store(r, to, step) _tile_stored(r, to, step)
#define amx_multiply_add(c, a, b) _tile_dpbf16ps(c, a, b)

/* Linux gives the registers to a process that asks for them (arch_prctl(2)). */
static inline int amx_allowed(void) {
  enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
  return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}
#endif

#endif
