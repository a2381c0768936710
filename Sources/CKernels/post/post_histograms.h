#pragma once
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// Sparse histograms of 256 bins, in pieces of 1, 2, 4 ... 256 entries. An entry is bin << 56 | count, bins ascend.

enum { POST_HISTOGRAM_BLOCK = 1 << 20 };
static const uint64_t POST_HISTOGRAM_COUNT = ((uint64_t)1 << 56) - 1;

typedef struct {
  uint64_t *entries; // NULL: none
  uint16_t length;
  uint8_t class;     // the piece holds 1 << class entries
} post_histogram;

typedef struct {
  uint64_t *spare[9]; // pieces given back by class, chained by their first word
  char **blocks;
  size_t count, used; // blocks; bytes of the last one
} post_histograms;

static inline int post_histogram_class(size_t length) {
  int class = 0;
  while (((size_t)1 << class) < length) class++;
  return class;
}

// Room for `length` entries. 0, or -1 when there is no memory.
static inline int post_histogram_take(post_histograms *all, post_histogram *h, size_t length) {
  h->class = (uint8_t)post_histogram_class(length);
  h->length = (uint16_t)length;
  h->entries = all->spare[h->class];
  if (h->entries) {
    memcpy(&all->spare[h->class], h->entries, sizeof(uint64_t *));
    return 0;
  }
  size_t bytes = sizeof(uint64_t) << h->class;
  if (!all->count || all->used + bytes > POST_HISTOGRAM_BLOCK) {
    char **blocks = realloc(all->blocks, sizeof(char *) * (all->count + 1));
    if (blocks) all->blocks = blocks;
    char *block = blocks ? malloc(POST_HISTOGRAM_BLOCK) : NULL;
    if (!block) return -1;
    all->blocks[all->count++] = block;
    all->used = 0;
  }
  h->entries = (uint64_t *)(all->blocks[all->count - 1] + all->used);
  all->used += bytes;
  return 0;
}

static inline void post_histogram_give(post_histograms *all, post_histogram *h) {
  if (!h->entries) return;
  memcpy(h->entries, &all->spare[h->class], sizeof(uint64_t *));
  all->spare[h->class] = h->entries;
  h->entries = NULL;
}

// Adds h to `to`; h is given back. 0, or -1 when there is no memory.
static inline int post_histogram_add(post_histograms *all, post_histogram *to, post_histogram *h) {
  uint64_t merged[256];
  size_t i = 0, j = 0, n = 0;
  const uint64_t *p = to->entries, *q = h->entries;
  while (i < to->length || j < h->length) {
    if (j == h->length) merged[n++] = p[i++];
    else if (i == to->length) merged[n++] = q[j++];
    else if (p[i] >> 56 == q[j] >> 56) merged[n++] = p[i++] + (q[j++] & POST_HISTOGRAM_COUNT);
    else if (p[i] >> 56 < q[j] >> 56) merged[n++] = p[i++];
    else merged[n++] = q[j++];
  }
  post_histogram_give(all, h);
  if (n > (size_t)1 << to->class) {
    post_histogram_give(all, to);
    if (post_histogram_take(all, to, n)) return -1;
  }
  to->length = (uint16_t)n;
  memcpy(to->entries, merged, n * sizeof(uint64_t));
  return 0;
}

static inline void post_histograms_free(post_histograms *all) {
  for (size_t i = 0; i < all->count; i++) free(all->blocks[i]);
  free(all->blocks);
}
