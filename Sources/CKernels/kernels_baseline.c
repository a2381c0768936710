#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"

#define VECTOR 4
#define MAX_BLOCK 2
#define BLOCK1 8
#define BLOCK2 6
#define BLOCK3 1
#define PAIR 1
#define NAME(x) x##_baseline
#include "kernels_template.h"
#include "kernels_table.h"
