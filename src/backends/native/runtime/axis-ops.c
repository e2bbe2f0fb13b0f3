/* Cumulative sum and scatter-add for every dtype. Integers wrap; f32 sums in f64. */
#include "runtime.h"

#include <string.h>

enum { INNER_BLOCK = 64, SERIAL_ELEMENTS = 1 << 14 };

#define CONCAT_(a, b) a##b
#define CONCAT(a, b) CONCAT_(a, b)

#define ELEMENT float
#define TERM float
#define SUM double
#define SUFFIX f32
#include "axis-ops.h"

#define ELEMENT double
#define TERM double
#define SUM double
#define SUFFIX f64
#include "axis-ops.h"

#define ELEMENT uint32_t
#define TERM uint32_t
#define SUM uint32_t
#define SUFFIX u32
#include "axis-ops.h"

#define ELEMENT uint8_t
#define TERM uint8_t
#define SUM uint8_t
#define SUFFIX u8
#include "axis-ops.h"

/* Wrapping sums have the same bits with and without sign. */
void mnb_cumsum_i32(void *const *buf, const int64_t *p) { mnb_cumsum_u32(buf, p); }
void mnb_scatter_add_i32(void *const *buf, const int64_t *p) { mnb_scatter_add_u32(buf, p); }
