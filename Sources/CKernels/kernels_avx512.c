#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"

#if defined(__x86_64__)
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#define VECTOR 16
#define MAX_BLOCK 3
#define BLOCK1 16
#define BLOCK2 12
#define BLOCK3 8
#define PAIR 1
#define NAME(x) x##_avx512
#include "kernels_template.h"
#include "kernels_table.h"
#pragma clang attribute pop
#endif
