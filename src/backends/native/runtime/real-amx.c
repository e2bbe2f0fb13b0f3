/* The float templates for f32 with products of bf16 by AMX. The weight gradient keeps to vectors: its taps would have to be
 * packed. */
#include "amx.h"

#if defined(MNB_AMX) && defined(__AVX512BF16__)
#define REAL_BITS 32
#define PAIRS
#define AMX
#include "gemm.h"
#include "conv-ops.h"
#endif
