/* The float templates for f32 with products of bf16, where the CPU has them; elsewhere f32 takes their place. */
#include "runtime.h"

#ifdef __AVX512BF16__
#define REAL_BITS 32
#define PAIRS
#include "gemm.h"
#include "conv-ops.h"
#include "conv-weight-grad.h"
#endif
