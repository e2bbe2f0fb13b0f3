/* Where code comes from: generated libraries, and the table of built-in ops. */
#define _GNU_SOURCE
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

#define FLOAT_OPS(op) op(gemm_f32) op(gemm_f64) op(conv_f32) op(conv_f64) op(conv_input_grad_f32) \
  op(conv_input_grad_f64) op(conv_weight_grad_f32) op(conv_weight_grad_f64) \
  op(attention_f32) op(attention_f64) op(attention_grad_f32) op(attention_grad_f64)
#define EACH_DTYPE(op, name) op(name##_f32) op(name##_f64) op(name##_i32) op(name##_u32) op(name##_u8)
#define ALL_OPS(op) FLOAT_OPS(op) EACH_DTYPE(op, argsort) EACH_DTYPE(op, scatter_add) EACH_DTYPE(op, cumsum)

#define DECLARE(name) mnb_op mnb_##name;
ALL_OPS(DECLARE)

#define ENTRY(name) {#name, mnb_##name},
static const struct {
  const char *name;
  mnb_op *op;
} ops[] = {ALL_OPS(ENTRY)};

uint64_t mnb_symbol(const char *name) {
  for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
    if (strcmp(ops[i].name, name) == 0) return (uint64_t)(uintptr_t)ops[i].op;
  }
  return 0;
}
