#pragma once
#include "post_kernels.h"

// Contacts that were counted and are put down without their empty bins (post_contacts.c). Zeroed, there are none.
enum { POST_BINS = 256 };

// Adds a pair with its 256 counts. 0, or -1 when there is no memory.
int post_contacts_append(post_contacts *contacts, uint64_t pair, const uint32_t *counts);
// Pairs that are there several times become one each, all ascending. 0, or -1 when there is no memory.
int post_contacts_add_up(post_contacts *contacts);
void post_contacts_free(post_contacts *contacts);

typedef struct {
  uint64_t key, number;
} post_numbered;
// Ascending by key, stable; scratch holds n too. Returns which of the two holds the result.
post_numbered *post_sort_numbered(post_numbered *items, post_numbered *scratch, size_t n);
