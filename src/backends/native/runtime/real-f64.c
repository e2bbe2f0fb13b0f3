/* The float templates for f64. */
#define REAL_BITS 64
#include "gemm.h"
#include "conv-ops.h"
#include "conv-weight-grad.h"
#include "attention.h"
