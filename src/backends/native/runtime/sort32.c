/* argsort of the dtypes whose order fits into 32 bits. */
#include "runtime.h"

#include <string.h>

#define KEY_BITS 32
#include "sort.h"

#define CONCAT_(a, b) a##b
#define CONCAT(a, b) CONCAT_(a, b)

/* Bits of a float in the order of its values: -0 equals 0, NaN comes last. */
static inline uint32_t float_key(float x) {
  uint32_t bits;
  if (x == 0) x = 0;
  memcpy(&bits, &x, sizeof bits);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return UINT32_MAX;
  return bits ^ (bits >> 31 ? UINT32_MAX : 0x80000000u);
}

#define ELEMENT float
#define SUFFIX f32
#define ELEMENT_KEY(x) float_key(x)
#include "argsort.h"

#define ELEMENT int32_t
#define SUFFIX i32
#define ELEMENT_KEY(x) ((uint32_t)(x) ^ 0x80000000u)
#include "argsort.h"

#define ELEMENT uint32_t
#define SUFFIX u32
#define ELEMENT_KEY(x) (x)
#include "argsort.h"

#define ELEMENT uint8_t
#define SUFFIX u8
#define ELEMENT_KEY(x) (x)
#include "argsort.h"
