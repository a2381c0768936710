#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define VECTOR 8
#define MAX_BLOCK 2
#define BLOCK1 8
#define BLOCK2 6
#define BLOCK3 1
#define PAIR 1
#define NAME(x) x##_avx2
#include "kernels_template.h"
#include "kernels_table.h"
#pragma clang attribute pop
#endif
