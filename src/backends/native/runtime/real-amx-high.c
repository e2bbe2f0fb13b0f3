/* The float templates for f32 as sums of three bf16, multiplied by AMX. */
#include "amx.h"

#if defined(MNB_AMX) && defined(__AVX512BF16__)
#define REAL_BITS 32
#define PAIRS
#define TERMS
#define AMX
#include "gemm.h"
#include "conv-ops.h"
#endif
