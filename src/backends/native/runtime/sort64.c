/* argsort of f64. */
#include "runtime.h"

#include <string.h>

#define KEY_BITS 64
#include "sort.h"

#define CONCAT_(a, b) a##b
#define CONCAT(a, b) CONCAT_(a, b)

/* Bits of a double in the order of its values: -0 equals 0, NaN comes last. */
static inline uint64_t double_key(double x) {
  uint64_t bits;
  if (x == 0) x = 0;
  memcpy(&bits, &x, sizeof bits);
  if ((bits & INT64_MAX) > 0x7ff0000000000000u) return UINT64_MAX;
  return bits ^ (bits >> 63 ? UINT64_MAX : 0x8000000000000000u);
}

#define ELEMENT double
#define SUFFIX f64
#define ELEMENT_KEY(x) double_key(x)
#include "argsort.h"
