#pragma once
#include "post_kernels.h"

// Stable ascending sort by key in `bits` low bits; scratch holds n more. Returns which of the two holds the result.
post_contact *post_sort(post_contact *items, post_contact *scratch, size_t n, int bits);
