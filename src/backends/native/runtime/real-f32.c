/* The float templates for f32. */
#define REAL_BITS 32
#include "gemm.h"
#include "conv-ops.h"
#include "conv-weight-grad.h"
#include "attention.h"
