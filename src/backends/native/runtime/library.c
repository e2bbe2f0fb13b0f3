/* Where code comes from: generated libraries, and the table of built-in ops. */
#define _GNU_SOURCE
#include "amx.h"
#include "runtime.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* Workers run this library's code until the process ends, so unloading it at exit, as a foreign function library may
 * do, would pull the code from under them. */
void mnb_pin_library(void) {
  Dl_info info;
  if (dladdr((void *)(uintptr_t)&mnb_pin_library, &info) != 0 && info.dli_fname != NULL)
    dlopen(info.dli_fname, RTLD_NOW | RTLD_NODELETE);
}

int mnb_load(const char *path, int64_t count, uint64_t *out) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    mnb_fail("cannot load %s: %s", path, dlerror());
    return -1;
  }
  for (int64_t i = 0; i < count; i++) {
    char name[32];
    snprintf(name, sizeof name, "k%lld", (long long)i);
    void *address = dlsym(library, name);
    if (address == NULL) {
      mnb_fail("%s has no kernel %s", path, name);
      dlclose(library);
      return -1;
    }
    out[i] = (uint64_t)(uintptr_t)address;
  }
  return 0;
}

#define PACKED_PRODUCTS(op, width) op(gemm_##width) op(gemm_pack_##width) op(gemm_packed_##width) op(conv_##width) \
  op(conv_pack_##width) op(conv_packed_##width) op(conv_input_grad_##width)
#define PRODUCTS(op, width) PACKED_PRODUCTS(op, width) op(conv_weight_grad_##width)
#define ATTENTION(op) op(attention_f32) op(attention_f64) op(attention_grad_f32) op(attention_grad_f64)
#define EACH_DTYPE(op, name) op(name##_f32) op(name##_f64) op(name##_i32) op(name##_u32) op(name##_u8)
#define ALL_OPS(op) PRODUCTS(op, f32) PRODUCTS(op, f64) ATTENTION(op) EACH_DTYPE(op, argsort) \
  EACH_DTYPE(op, scatter_add) EACH_DTYPE(op, cumsum)

/* Operations whose second operand can be packed apart, and how large that becomes. */
typedef int64_t mnb_count(const int64_t *p);
#define PACKED(op, width) op(gemm, width) op(conv, width)

/* Products of less than f32 precision: "medium" is bf16 where the CPU has it; "high" is six products of bf16, which only
 * AMX computes faster than one of f32. */
#define DECLARE(name) mnb_op mnb_##name;
#define DECLARE_COUNT(name, width) mnb_count mnb_##name##_packed_elements_##width;
ALL_OPS(DECLARE)
PACKED(DECLARE_COUNT, f32)
PACKED(DECLARE_COUNT, f64)
#ifdef __AVX512BF16__
#define DECLARE_BF16(name) mnb_op mnb_##name##_bf16;
PRODUCTS(DECLARE_BF16, f32)
PACKED(DECLARE_COUNT, f32_bf16)
#define MEDIUM(name) {#name "_medium", mnb_##name##_bf16},
#define MEDIUM_COUNT(name, width) {#name "_f32_medium", mnb_##name##_packed_elements_f32_bf16},
#else
#define MEDIUM(name) {#name "_medium", mnb_##name},
#define MEDIUM_COUNT(name, width) {#name "_f32_medium", mnb_##name##_packed_elements_f32},
#endif
#define HIGH(name) {#name "_high", mnb_##name},
#define HIGH_COUNT(name, width) {#name "_f32_high", mnb_##name##_packed_elements_f32},

#define ENTRY(name) {#name, mnb_##name},
#define COUNT_ENTRY(name, width) {#name "_" #width, mnb_##name##_packed_elements_##width},
struct named_op {
  const char *name;
  mnb_op *op;
};
struct named_count {
  const char *name;
  mnb_count *count;
};
static const struct named_op ops[] = {ALL_OPS(ENTRY) PRODUCTS(HIGH, f32) PRODUCTS(MEDIUM, f32) {NULL, NULL}};
static const struct named_count counts[] = {PACKED(COUNT_ENTRY, f32) PACKED(COUNT_ENTRY, f64) PACKED(MEDIUM_COUNT, f32)
                                            PACKED(HIGH_COUNT, f32) {NULL, NULL}};

static mnb_op *find_op(const struct named_op *table, const char *name) {
  while (table->name != NULL && strcmp(table->name, name) != 0) table++;
  return table->op;
}

static mnb_count *find_count(const struct named_count *table, const char *name) {
  while (table->name != NULL && strcmp(table->name, name) != 0) table++;
  return table->count;
}

/* Those that AMX takes over where the system lets this process use it. */
#if defined(MNB_AMX) && defined(__AVX512BF16__)
#define DECLARE_AMX(name) mnb_op mnb_##name##_amx;
PACKED_PRODUCTS(DECLARE_AMX, f32)
PACKED(DECLARE_COUNT, f32_amx)
#define DECLARE_TERMS(name) mnb_op mnb_##name##_terms;
PACKED_PRODUCTS(DECLARE_TERMS, f32)
PACKED(DECLARE_COUNT, f32_terms)
#define AMX_ENTRY(name) {#name "_medium", mnb_##name##_amx}, {#name "_high", mnb_##name##_terms},
#define AMX_COUNT(name, width) {#name "_f32_medium", mnb_##name##_packed_elements_f32_amx}, \
  {#name "_f32_high", mnb_##name##_packed_elements_f32_terms},
static const struct named_op amx_ops[] = {PACKED_PRODUCTS(AMX_ENTRY, f32) {NULL, NULL}};
static const struct named_count amx_counts[] = {PACKED(AMX_COUNT, f32) {NULL, NULL}};

static int has_amx(void) {
  static _Atomic int known = -1;
  if (known < 0) known = amx_allowed();
  return known;
}
#else
static const struct named_op amx_ops[] = {{NULL, NULL}};
static const struct named_count amx_counts[] = {{NULL, NULL}};
static int has_amx(void) { return 0; }
#endif

uint64_t mnb_symbol(const char *name) {
  mnb_op *op = has_amx() ? find_op(amx_ops, name) : NULL;
  return (uint64_t)(uintptr_t)(op ? op : find_op(ops, name));
}

int64_t mnb_packed_elements(const char *name, const int64_t *p) {
  mnb_count *count = has_amx() ? find_count(amx_counts, name) : NULL;
  if (count == NULL) count = find_count(counts, name);
  return count ? count(p) : 0;
}
