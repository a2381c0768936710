#include <stdlib.h>
#include <string.h>

#include "post_kernels.h"
#include "post_sort.h"

enum { DIGIT = 11 };

post_contact *post_sort(post_contact *items, post_contact *scratch, size_t n, int bits) {
  for (int shift = 0; shift < bits; shift += DIGIT) {
    size_t place[1 << DIGIT] = {0}, sum = 0;
    for (size_t i = 0; i < n; i++) place[items[i].key >> shift & ((1 << DIGIT) - 1)]++;
    for (size_t d = 0; d < 1 << DIGIT; d++) {
      size_t count = place[d];
      place[d] = sum;
      sum += count;
    }
    for (size_t i = 0; i < n; i++) scratch[place[items[i].key >> shift & ((1 << DIGIT) - 1)]++] = items[i];
    post_contact *swap = items;
    items = scratch;
    scratch = swap;
  }
  return items;
}

void post_free(void *memory) { free(memory); }

// Contacts as they come, runs of equal ones along x as one. When the buffer is full it is sorted and equal keys are
// added up, which bounds memory by the distinct contacts, not by the pixels.
struct post_collector {
  post_contact *items, *scratch;
  size_t count, capacity;
  int label_bits, bits, failed;
};
typedef struct post_collector collector;

static void compact(collector *c) {
  post_contact *sorted = post_sort(c->items, c->scratch, c->count, c->bits);
  if (sorted != c->items) {
    c->scratch = c->items;
    c->items = sorted;
  }
  size_t n = 0;
  for (size_t i = 0; i < c->count; i++) {
    if (n && c->items[n - 1].key == c->items[i].key) c->items[n - 1].count += c->items[i].count;
    else c->items[n++] = c->items[i];
  }
  c->count = n;
}

static void grow(collector *c) {
  compact(c);
  if (c->count <= c->capacity / 2) return;
  size_t capacity = c->capacity * 2;
  post_contact *items = realloc(c->items, capacity * sizeof(post_contact));
  if (items) c->items = items;
  post_contact *scratch = realloc(c->scratch, capacity * sizeof(post_contact));
  if (scratch) c->scratch = scratch;
  if (items && scratch) c->capacity = capacity;
  else c->failed = 1;
}

static inline void collect(collector *c, uint64_t key) {
  if (c->count && c->items[c->count - 1].key == key) {
    c->items[c->count - 1].count++;
    return;
  }
  if (c->count == c->capacity) grow(c);
  if (c->failed) return;
  c->items[c->count++] = (post_contact){key, 1};
}

post_collector *post_collector_make(size_t pixels, int bits) {
  size_t capacity = pixels < 4096 ? 4096 : pixels < (1u << 21) ? pixels : 1u << 21;
  collector *c = malloc(sizeof(collector));
  if (!c) return NULL;
  *c = (collector){malloc(capacity * sizeof(post_contact)), malloc(capacity * sizeof(post_contact)), 0, capacity, bits,
                   2 * bits + 8, 0};
  if (c->items && c->scratch) return c;
  post_collector_free(c);
  return NULL;
}

void post_collector_free(post_collector *c) {
  if (!c) return;
  free(c->items);
  free(c->scratch);
  free(c);
}

int post_collector_finish(post_collector *c, post_contact **contacts, size_t *count) {
  if (!c->failed) compact(c);
  int status = c->failed ? -1 : 0;
  if (status == 0) {
    // What was reserved and not used goes back.
    post_contact *items = realloc(c->items, (c->count ? c->count : 1) * sizeof(post_contact));
    *contacts = items ? items : c->items;
    *count = c->count;
    c->items = NULL;
  }
  post_collector_free(c);
  return status;
}

int post_collect_within(
    post_collector *c, const uint32_t *labels, const uint32_t *before, const uint8_t *y, const uint8_t *x,
    size_t height, size_t width) {
  const int bits = c->label_bits;
  for (size_t row = 0; row < height && !c->failed; row++) {
    const uint32_t *upper = row ? labels + (row - 1) * width : before;
    for (size_t column = 0; column < width; column++) {
      size_t i = row * width + column;
      uint64_t here = labels[i];
      if (!here) continue;
      uint64_t left = column ? labels[i - 1] : 0, above = upper ? upper[column] : 0;
      if (left && left != here) {
        uint64_t a = left < here ? left : here, b = left < here ? here : left;
        collect(c, a << (bits + 8) | b << 8 | x[i]);
      }
      if (above && above != here) {
        uint64_t a = above < here ? above : here, b = above < here ? here : above;
        collect(c, a << (bits + 8) | b << 8 | y[i]);
      }
    }
  }
  return c->failed ? -1 : 0;
}

int post_collect_between(
    post_collector *c, const uint32_t *below, const uint32_t *labels, const uint8_t *z, const uint8_t *table,
    size_t pixels) {
  const int bits = c->label_bits;
  for (size_t i = 0; i < pixels && !c->failed; i++)
    if (below[i] && labels[i])
      collect(c, (uint64_t)below[i] << (bits + 8) | (uint64_t)labels[i] << 8 | table[z[i]]);
  return c->failed ? -1 : 0;
}

uint32_t post_largest_label(const uint32_t *labels, size_t pixels) {
  uint32_t largest = 0;
  for (size_t i = 0; i < pixels; i++) largest = labels[i] > largest ? labels[i] : largest;
  return largest;
}

void post_summarise(
    const uint32_t *labels, size_t first, size_t height, size_t width, post_summary *summaries) {
  for (size_t y = first; y < first + height; y++) {
    const uint32_t *row = labels + (y - first) * width;
    for (size_t x = 0; x < width;) {
      uint32_t l = row[x];
      size_t end = x + 1;
      while (end < width && row[end] == l) end++;
      if (l) {
        post_summary *s = summaries + l - 1;
        size_t run = end - x;
        if (!s->area) s->min_y = (uint32_t)y;
        if (!s->area || x < s->min_x) s->min_x = (uint32_t)x;
        if (end > s->max_x) s->max_x = (uint32_t)end;
        s->max_y = (uint32_t)y + 1;
        s->area += run;
        s->sum_y += run * y;
        s->sum_x += (uint64_t)run * (x + end - 1) / 2;
      }
      x = end;
    }
  }
}
