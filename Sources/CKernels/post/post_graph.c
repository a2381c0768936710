#include <stdlib.h>
#include <string.h>

#include "CKernels.h"
#include "post_clones.h"
#include "post_contacts.h"

// Contacts are counted as they come: a pair of labels has a histogram of 256 counts, looked up once for a run of pixels
// along x. Counts have 16 bits, as most contacts are small and every histogram is cleared and read again; before one could
// overflow, a pair's counts go to a wide histogram of its own. When there are too many pairs at a time, their histograms
// are put down without the empty bins; what was put down several times is added up in the end. So memory is bounded by the
// distinct contacts, not by the pixels.

enum { FIRST_PAIRS = 1 << 12, MOST_PAIRS = 1 << 15, CHUNK = 1024 };

// A pair that is being counted, and all that a run of its pixels needs to know: one line of the cache.
typedef struct {
  uint64_t pair;    // 0: none
  uint32_t number;  // of its histogram
  uint32_t filled;  // pixels in it
} slot;

struct post_collector {
  slot *slots;  // by pair, at most half of them taken
  size_t mask;
  slot *last;  // the pair that was looked up last
  uint16_t (*histograms)[POST_BINS];
  uint32_t *widened;  // number of a histogram's wide one + 1; 0: none
  size_t count, capacity;
  uint32_t (*wide)[POST_BINS];
  size_t wideCount, wideCapacity;
  // Put down, ascending from each putting down to the next.
  post_contacts down;
  size_t distinct; // entries when they were last added up
  int runs; // times that something was put down since
  int finished, failed;
};
typedef struct post_collector collector;

static int addUp(collector *c) {
  if (post_contacts_add_up(&c->down)) return -1;
  c->distinct = c->down.entries;
  c->runs = 1;
  return 0;
}

// All counts of a pair.
static CLONES void total(const collector *c, size_t number, uint32_t *counts) {
  const uint16_t *h = c->histograms[number];
  for (size_t i = 0; i < POST_BINS; i++) counts[i] = h[i];
  if (!c->widened[number]) return;
  const uint32_t *wide = c->wide[c->widened[number] - 1];
  for (size_t i = 0; i < POST_BINS; i++) counts[i] += wide[i];
}

// Makes the pair's narrow counts 0, without loss.
static int widen(collector *c, slot *s) {
  const size_t number = s->number;
  if (!c->widened[number] && c->wideCount == c->wideCapacity) {
    size_t capacity = c->wideCapacity ? 2 * c->wideCapacity : 16;
    void *wide = realloc(c->wide, capacity * sizeof *c->wide);
    if (!wide) return -1;
    c->wide = wide;
    c->wideCapacity = capacity;
  }
  uint32_t counts[POST_BINS];
  total(c, number, counts);
  if (!c->widened[number]) c->widened[number] = (uint32_t)++c->wideCount;
  memcpy(c->wide[c->widened[number] - 1], counts, sizeof counts);
  memset(c->histograms[number], 0, sizeof *c->histograms);
  s->filled = 0;
  return 0;
}

// Puts all pairs down, ascending, and begins anew.
static int putDown(collector *c) {
  post_numbered *items = malloc((2 * c->count + 2) * sizeof *items);
  if (!items) return -1;
  size_t found = 0;
  for (size_t i = 0; i <= c->mask; i++)
    if (c->slots[i].pair) items[found++] = (post_numbered){c->slots[i].pair, c->slots[i].number};
  const post_numbered *sorted = post_sort_numbered(items, items + c->count + 1, c->count);
  int status = 0;
  for (size_t i = 0; i < c->count && status == 0; i++) {
    uint32_t counts[POST_BINS];
    total(c, sorted[i].number, counts);
    status = post_contacts_append(&c->down, sorted[i].key, counts);
  }
  free(items);
  c->count = c->wideCount = 0;
  c->last = NULL;
  c->runs++;
  memset(c->slots, 0, (c->mask + 1) * sizeof *c->slots);
  if (status) return -1;
  return c->runs > 1 && c->down.entries > 2 * c->distinct + (1 << 22) ? addUp(c) : 0;
}

// --- counting -------------------------------------------------------------------------------------------------------

// Where a pair is, or belongs.
static inline slot *slotOf(const collector *c, uint64_t pair) {
  uint64_t h = pair * 0x9E3779B97F4A7C15ull;
  size_t i = (size_t)(h ^ h >> 32) & c->mask;
  while (c->slots[i].pair && c->slots[i].pair != pair) i = (i + 1) & c->mask;
  return c->slots + i;
}

// Twice the pairs. Histograms lie in memory that is kept for the next collector (memory.c): its first touch would take as long as counting.
static int grow(collector *c) {
  const size_t before = c->mask + 1, capacity = c->capacity ? 2 * c->capacity : FIRST_PAIRS;
  slot *slots = calloc(2 * capacity, sizeof *slots), *old = c->slots;
  void *histograms = ck_allocate(capacity * sizeof *c->histograms / sizeof(float));
  void *widened = realloc(c->widened, capacity * sizeof *c->widened);
  if (widened) c->widened = widened;
  if (!slots || !histograms || !widened) {
    free(slots);
    ck_free(histograms);
    return -1;
  }
  if (c->count) memcpy(histograms, c->histograms, c->count * sizeof *c->histograms);
  ck_free((float *)c->histograms);
  c->histograms = histograms;
  c->slots = slots;
  c->mask = 2 * capacity - 1;
  c->capacity = capacity;
  c->last = NULL;
  for (size_t i = 0; old && i < before; i++)
    if (old[i].pair) *slotOf(c, old[i].pair) = old[i];
  free(old);
  return 0;
}

// Makes a pair known. NULL if there is no memory: the collector has failed, and what is counted is lost.
static slot *add(collector *c, uint64_t pair) {
  if (c->count == c->capacity && (c->capacity < MOST_PAIRS ? grow(c) : putDown(c))) {
    c->failed = 1;
    return NULL;
  }
  slot *s = slotOf(c, pair);
  *s = (slot){pair, (uint32_t)c->count++, 0};
  memset(c->histograms[s->number], 0, sizeof *c->histograms);
  c->widened[s->number] = 0;
  return s;
}

// The histogram of a < b, or of a below b, with room for n more pixels, at most CHUNK. NULL when the collector has failed.
static inline uint16_t *histogramOf(collector *c, uint32_t a, uint32_t b, size_t n) {
  const uint64_t pair = (uint64_t)a << 32 | b;
  slot *s = c->last;
  if (!s || s->pair != pair) {
    s = slotOf(c, pair);
    if (!s->pair && !(s = add(c, pair))) return NULL;
    c->last = s;
  }
  if (s->filled + n > UINT16_MAX && widen(c, s)) {
    c->failed = 1;
    return NULL;
  }
  s->filled += (uint32_t)n;
  return c->histograms[s->number];
}

post_collector *post_collector_make(void) {
  collector *c = calloc(1, sizeof *c);
  if (c && grow(c) == 0) return c;
  post_collector_free(c);
  return NULL;
}

void post_collector_free(post_collector *c) {
  if (!c) return;
  post_contacts_free(&c->down);
  free(c->slots);
  ck_free((float *)c->histograms);
  free(c->widened);
  free(c->wide);
  free(c);
}

// After what was finished comes another collection.
static void begin(collector *c) {
  if (!c->finished) return;
  c->down.pairs = c->down.entries = c->distinct = 0;
  c->runs = c->finished = 0;
}

int post_collector_finish(post_collector *c, post_contacts *contacts) {
  begin(c);
  if (!c->failed && (putDown(c) || (c->runs > 1 && addUp(c)))) c->failed = 1;
  *contacts = c->down;
  c->finished = 1;
  return c->failed ? -1 : 0;
}

// Where labels change, for up to CHUNK pixels at a time: bit 0 where p and before differ, bit 1 where q and beside do.
// flags[n] is set, as an end.
// Returns the largest label of p.
static CLONES uint32_t mark(
    const uint32_t *p, const uint32_t *before, const uint32_t *q, const uint32_t *beside, size_t n, uint8_t *flags) {
  uint32_t most = 0;
  for (size_t i = 0; i < n; i++) {
    most = p[i] > most ? p[i] : most;
    flags[i] = (uint8_t)((p[i] != before[i]) | (q[i] != beside[i]) << 1);
  }
  memset(flags + n, 1, sizeof(uint64_t));
  return most;
}

// The first flag that is set, from i on; there is one.
static inline size_t next(const uint8_t *flags, size_t i) {
  for (;; i += sizeof(uint64_t)) {
    uint64_t eight;
    memcpy(&eight, flags + i, sizeof eight);
    if (eight) return i + (size_t)__builtin_ctzll(eight) / 8;
  }
}

static inline void summarise(post_summary *summaries, uint32_t label, size_t row, size_t from, size_t to) {
  if (!label) return;
  post_summary *s = summaries + label - 1;
  const size_t run = to - from;
  if (!s->area) s->min_y = (uint32_t)row;
  if (!s->area || from < s->min_x) s->min_x = (uint32_t)from;
  if (to > s->max_x) s->max_x = (uint32_t)to;
  s->max_y = (uint32_t)row + 1;
  s->area += run;
  s->sum_y += run * row;
  s->sum_x += (uint64_t)run * (from + to - 1) / 2;
}

static inline void count(collector *c, uint32_t here, uint32_t other, uint8_t affinity) {
  if (!here || !other) return;
  uint16_t *h = histogramOf(c, here < other ? here : other, here < other ? other : here, 1);
  if (h) h[affinity]++;
}

int post_collect_within(
    post_collector *c, const uint32_t *labels, const uint32_t *above, const uint8_t *y, const uint8_t *x, size_t first,
    size_t height, size_t width, post_summary *summaries, size_t fragments) {
  uint8_t flags[CHUNK + sizeof(uint64_t)];
  begin(c);
  for (size_t row = 0; row < height; row++) {
    const uint32_t *here = labels + row * width;
    const uint8_t *affinityX = x + row * width, *affinityY = y + row * width;
    if (row) above = here - width;
    for (size_t from = 0; from < width; from += CHUNK) {
      const size_t n = width - from < CHUNK ? width - from : CHUNK;
      const uint32_t *p = here + from, *upper = above ? above + from : p;
      flags[0] = (uint8_t)((from && p[0] != p[-1]) | (p[0] != upper[0]) << 1);
      if (mark(p + 1, p, p + 1, upper + 1, n - 1, flags + 1) > fragments || p[0] > fragments) return -2;
      size_t run = 0;
      for (size_t i = next(flags, 0); i < n; i = next(flags, i + 1)) {
        if (flags[i] & 2) count(c, p[i], upper[i], affinityY[from + i]);
        if (!(flags[i] & 1)) continue;
        count(c, p[i], here[from + i - 1], affinityX[from + i]);
        if (i > run) summarise(summaries, p[run], first + row, from + run, from + i);
        run = i;
      }
      summarise(summaries, p[run], first + row, from + run, from + n);
    }
    if (c->failed) return -1;
  }
  return 0;
}

// Counts n affinities. Within a neuron many are the largest there is, which are counted eight at a time.
static inline void countRun(uint16_t *h, const uint8_t *affinity, size_t n, const uint8_t *table) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    uint64_t eight;
    memcpy(&eight, affinity + i, sizeof eight);
    if (eight == ~(uint64_t)0) {
      h[table[255]] += 8;
      continue;
    }
    for (size_t k = 0; k < 8; k++) h[table[affinity[i + k]]]++;
  }
  for (; i < n; i++) h[table[affinity[i]]]++;
}

int post_collect_between(
    post_collector *c, const uint32_t *below, const uint32_t *labels, const uint8_t *z, const uint8_t *table,
    size_t pixels, size_t fragments) {
  uint8_t flags[CHUNK + sizeof(uint64_t)];
  begin(c);
  for (size_t from = 0; from < pixels && !c->failed; from += CHUNK) {
    const uint32_t *a = below + from, *b = labels + from;
    const size_t n = pixels - from < CHUNK ? pixels - from : CHUNK;
    if (mark(a + 1, a, b + 1, b, n - 1, flags) > fragments || a[0] > fragments) return -2;
    for (size_t i = 0, end; i < n; i = end) {
      end = next(flags, i) + 1;
      if (!a[i] || !b[i]) continue;
      uint16_t *h = histogramOf(c, a[i], b[i], end - i);
      if (h) countRun(h, z + from + i, end - i, table);
    }
  }
  return c->failed ? -1 : 0;
}
