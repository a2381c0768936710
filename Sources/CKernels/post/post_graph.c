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
typedef struct {
  post_contact *items, *scratch;
  size_t count, capacity;
  int bits, failed;
} collector;

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

static int begin(collector *c, size_t pixels, int bits) {
  size_t capacity = pixels < 4096 ? 4096 : pixels < (1u << 21) ? pixels : 1u << 21;
  *c = (collector){malloc(capacity * sizeof(post_contact)), malloc(capacity * sizeof(post_contact)), 0, capacity, bits, 0};
  if (c->items && c->scratch) return 0;
  free(c->items);
  free(c->scratch);
  return -1;
}

static int finish(collector *c, post_contact **contacts, size_t *count) {
  if (!c->failed) compact(c);
  free(c->scratch);
  if (c->failed) {
    free(c->items);
    return -1;
  }
  *contacts = c->items;
  *count = c->count;
  return 0;
}

int post_contacts_within(
    const uint32_t *labels, const uint8_t *y, const uint8_t *x, size_t height, size_t width, int bits,
    post_contact **contacts, size_t *count) {
  collector c;
  if (begin(&c, height * width, 2 * bits + 8)) return -1;
  for (size_t row = 0; row < height && !c.failed; row++)
    for (size_t column = 0; column < width; column++) {
      size_t i = row * width + column;
      uint64_t here = labels[i];
      if (!here) continue;
      uint64_t left = column ? labels[i - 1] : 0, above = row ? labels[i - width] : 0;
      if (left && left != here) {
        uint64_t a = left < here ? left : here, b = left < here ? here : left;
        collect(&c, a << (bits + 8) | b << 8 | x[i]);
      }
      if (above && above != here) {
        uint64_t a = above < here ? above : here, b = above < here ? here : above;
        collect(&c, a << (bits + 8) | b << 8 | y[i]);
      }
    }
  return finish(&c, contacts, count);
}

int post_contacts_between(
    const uint32_t *below, const uint32_t *labels, const uint8_t *z, const uint8_t *table, size_t pixels, int bits,
    post_contact **contacts, size_t *count) {
  collector c;
  if (begin(&c, pixels, 2 * bits + 8)) return -1;
  for (size_t i = 0; i < pixels && !c.failed; i++)
    if (below[i] && labels[i])
      collect(&c, (uint64_t)below[i] << (bits + 8) | (uint64_t)labels[i] << 8 | table[z[i]]);
  return finish(&c, contacts, count);
}

uint32_t post_largest_label(const uint32_t *labels, size_t pixels) {
  uint32_t largest = 0;
  for (size_t i = 0; i < pixels; i++) largest = labels[i] > largest ? labels[i] : largest;
  return largest;
}

void post_summarise(const uint32_t *labels, size_t height, size_t width, post_summary *summaries, uint32_t count) {
  memset(summaries, 0, sizeof(post_summary) * count);
  for (size_t y = 0; y < height; y++)
    for (size_t x = 0; x < width;) {
      uint32_t l = labels[y * width + x];
      size_t end = x + 1;
      while (end < width && labels[y * width + end] == l) end++;
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
