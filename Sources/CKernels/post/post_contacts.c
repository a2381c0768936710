#include "post_contacts.h"

#include <stdlib.h>
#include <string.h>

post_numbered *post_sort_numbered(post_numbered *items, post_numbered *scratch, size_t n) {
  enum { DIGIT = 11, DIGITS = 1 << DIGIT };
  for (int shift = 0; shift < 64; shift += DIGIT) {
    size_t place[DIGITS] = {0}, sum = 0;
    for (size_t i = 0; i < n; i++) place[items[i].key >> shift & (DIGITS - 1)]++;
    if (n == 0 || place[items[0].key >> shift & (DIGITS - 1)] == n) continue;
    for (size_t d = 0; d < DIGITS; d++) {
      size_t count = place[d];
      place[d] = sum;
      sum += count;
    }
    for (size_t i = 0; i < n; i++) scratch[place[items[i].key >> shift & (DIGITS - 1)]++] = items[i];
    post_numbered *swap = items;
    items = scratch;
    scratch = swap;
  }
  return items;
}

// Room for one more pair.
static int makeRoom(post_contacts *to) {
  if (to->pairs == to->pairCapacity) {
    size_t capacity = to->pairCapacity ? 2 * to->pairCapacity : 4096;
    uint64_t *pair = realloc(to->pair, capacity * sizeof *pair);
    if (pair) to->pair = pair;
    uint64_t *start = realloc(to->start, (capacity + 1) * sizeof *start);
    if (start) to->start = start;
    if (!pair || !start) return -1;
    to->pairCapacity = capacity;
  }
  if (to->entries + POST_BINS > to->entryCapacity) {
    size_t capacity = to->entryCapacity ? 2 * to->entryCapacity : 1 << 17;
    uint8_t *bins = realloc(to->bins, capacity);
    if (bins) to->bins = bins;
    uint32_t *counts = realloc(to->counts, capacity * sizeof *counts);
    if (counts) to->counts = counts;
    if (!bins || !counts) return -1;
    to->entryCapacity = capacity;
  }
  return 0;
}

int post_contacts_append(post_contacts *to, uint64_t pair, const uint32_t *counts) {
  if (makeRoom(to)) return -1;
  enum { PART = 8 };
  size_t n = to->entries;
  for (size_t part = 0; part < POST_BINS; part += PART) {
    uint32_t any = 0;
    for (size_t i = 0; i < PART; i++) any |= counts[part + i];
    if (!any) continue;
    for (size_t i = 0; i < PART; i++) {
      // Written in any case, kept if something was counted.
      to->bins[n] = (uint8_t)(part + i);
      to->counts[n] = counts[part + i];
      n += counts[part + i] != 0;
    }
  }
  to->entries = n;
  if (!to->pairs) to->start[0] = 0;
  to->pair[to->pairs++] = pair;
  to->start[to->pairs] = n;
  return 0;
}

void post_contacts_free(post_contacts *c) {
  free(c->pair);
  free(c->start);
  free(c->bins);
  free(c->counts);
}

int post_contacts_add_up(post_contacts *from) {
  post_numbered *items = malloc((2 * from->pairs + 2) * sizeof *items);
  if (!items) return -1;
  for (size_t i = 0; i < from->pairs; i++) items[i] = (post_numbered){from->pair[i], i};
  const post_numbered *sorted = post_sort_numbered(items, items + from->pairs + 1, from->pairs);
  post_contacts sum = {0};
  int status = 0;
  for (size_t i = 0; i < from->pairs && status == 0;) {
    uint32_t histogram[POST_BINS] = {0};
    const uint64_t pair = sorted[i].key;
    for (; i < from->pairs && sorted[i].key == pair; i++)
      for (uint64_t k = from->start[sorted[i].number]; k < from->start[sorted[i].number + 1]; k++)
        histogram[from->bins[k]] += from->counts[k];
    status = post_contacts_append(&sum, pair, histogram);
  }
  free(items);
  post_contacts_free(status ? &sum : from);
  if (status) return -1;
  *from = sum;
  return 0;
}
