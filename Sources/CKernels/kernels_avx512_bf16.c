#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"

// AVX-512 with products of bfloat16 numbers: activations stay float32 in memory and are rounded (to nearest, ties to
// even) on the way into a product, weights when they are packed; sums are float32. Two inputs that follow each other
// share 32 bits, so that one instruction does two multiply-adds for each of 16 outputs. Everything that is not a product
// is computed as in kernels_avx512.c.

#if defined(__x86_64__)
#include <immintrin.h>
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma"))), apply_to = function)
#define VECTOR 16
#define MAX_BLOCK 3
#define BLOCK1 16
#define BLOCK2 12
#define BLOCK3 8
#define PAIR 2
#define NAME(x) x##_avx512_bf16
#include "kernels_template.h"
#include "kernels_table.h"
#pragma clang attribute pop
#endif
