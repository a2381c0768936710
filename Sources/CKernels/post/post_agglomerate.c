#include <stdlib.h>
#include <string.h>

#include "post_kernels.h"
#include "post_sort.h"

// Greedy joining of clusters. At every step the pair of clusters with the highest score is joined, of equal ones the pair
// whose edge has the lowest rank. The edge between two clusters is the union of the original edges between them: its
// histogram is their sum and its rank is the lowest of theirs, original edges being ranked by (a, b).
// A pair's score changes only when edges are united, and is then taken anew at once: the order is exact. What is left in
// the heap of an earlier state is recognised (its key is no longer the edge's) and dropped.

enum { NIL = -1 };

typedef struct {
  uint64_t key; // smaller is better: the complement of the bits of a score in 0...1
  uint32_t rank, edge;
} entry;

typedef struct {
  const post_agglomerate_options *options;
  // Edges.
  uint32_t *a, *b; // clusters at the ends
  uint32_t *rank, *into;
  uint8_t *alive;
  uint64_t *key;
  uint64_t *sum, *total; // mean
  // Histograms, sparse: bin << 56 | count, ascending; capacity is 1 << size class.
  uint64_t **histogram;
  uint16_t *length;
  uint8_t *sizeClass;
  uint64_t *spare[9]; // freed pieces by size class, chained by their first word
  char **blocks;
  size_t blockCount, blockUsed;
  // Clusters.
  uint32_t *parent;
  uint64_t *area;
  uint32_t *degree;
  int64_t *first, *last; // chain of half edges 2 * edge + end
  int64_t *following;
  // Edge between two clusters.
  uint64_t *pairs;
  uint32_t *pairEdge;
  size_t mask;
  // Heap.
  entry *heap;
  size_t heapCount, heapCapacity;
  int failed;
} state;

// --- histograms -----------------------------------------------------------------------------------------------------

enum { BLOCK = 1 << 20 };

static uint64_t *piece(state *s, int sizeClass) {
  if (s->spare[sizeClass]) {
    uint64_t *p = s->spare[sizeClass];
    memcpy(&s->spare[sizeClass], p, sizeof(uint64_t *));
    return p;
  }
  size_t bytes = sizeof(uint64_t) << sizeClass;
  if (!s->blockCount || s->blockUsed + bytes > BLOCK) {
    char **blocks = realloc(s->blocks, sizeof(char *) * (s->blockCount + 1));
    if (blocks) s->blocks = blocks;
    char *block = blocks ? malloc(BLOCK) : NULL;
    if (!block) {
      s->failed = 1;
      return NULL;
    }
    s->blocks[s->blockCount++] = block;
    s->blockUsed = 0;
  }
  uint64_t *p = (uint64_t *)(s->blocks[s->blockCount - 1] + s->blockUsed);
  s->blockUsed += bytes;
  return p;
}

static void giveBack(state *s, uint64_t *p, int sizeClass) {
  memcpy(p, &s->spare[sizeClass], sizeof(uint64_t *));
  s->spare[sizeClass] = p;
}

static int classFor(size_t length) {
  int c = 0;
  while (((size_t)1 << c) < length) c++;
  return c;
}

static const uint64_t COUNT = ((uint64_t)1 << 56) - 1;

// Adds the histogram of e to that of f.
static void unite(state *s, uint32_t f, uint32_t e) {
  s->sum[f] += s->sum[e];
  s->total[f] += s->total[e];
  if (!s->options->use_quantile) return;
  uint64_t merged[256];
  const uint64_t *p = s->histogram[f], *q = s->histogram[e];
  size_t i = 0, j = 0, n = 0, np = s->length[f], nq = s->length[e];
  while (i < np || j < nq) {
    if (j == nq) merged[n++] = p[i++];
    else if (i == np) merged[n++] = q[j++];
    else if (p[i] >> 56 == q[j] >> 56) merged[n++] = p[i++] + (q[j++] & COUNT);
    else if (p[i] >> 56 < q[j] >> 56) merged[n++] = p[i++];
    else merged[n++] = q[j++];
  }
  giveBack(s, s->histogram[e], s->sizeClass[e]);
  s->histogram[e] = NULL;
  if (n > (size_t)1 << s->sizeClass[f]) {
    giveBack(s, s->histogram[f], s->sizeClass[f]);
    s->sizeClass[f] = (uint8_t)classFor(n);
    s->histogram[f] = piece(s, s->sizeClass[f]);
    if (!s->histogram[f]) return;
  }
  memcpy(s->histogram[f], merged, n * sizeof(uint64_t));
  s->length[f] = (uint16_t)n;
}

static double scoreOf(const state *s, uint32_t e) {
  if (!s->total[e]) return 0;
  if (!s->options->use_quantile) return (double)s->sum[e] / (255.0 * (double)s->total[e]);
  // waterz: the first bin whose cumulative count reaches Q * total / 100 + 1 (integers), middle of the bin.
  uint64_t pivot = (uint64_t)s->options->quantile * s->total[e] / 100 + 1, below = 0;
  if (pivot > s->total[e]) pivot = s->total[e];
  size_t i = 0;
  for (;; i++) {
    below += s->histogram[e][i] & COUNT;
    if (below >= pivot || i + 1 == s->length[e]) break;
  }
  return ((double)(s->histogram[e][i] >> 56) + 0.5) / 256.0;
}

static uint64_t keyOf(double score) {
  uint64_t bits;
  memcpy(&bits, &score, sizeof bits);
  return ~bits;
}

static double scoreOfKey(uint64_t key) {
  uint64_t bits = ~key;
  double score;
  memcpy(&score, &bits, sizeof score);
  return score;
}

// --- heap -----------------------------------------------------------------------------------------------------------

static inline int before(entry p, entry q) { return p.key != q.key ? p.key < q.key : p.rank < q.rank; }

static void push(state *s, entry e) {
  if (s->heapCount == s->heapCapacity) {
    entry *heap = realloc(s->heap, sizeof(entry) * s->heapCapacity * 2);
    if (!heap) {
      s->failed = 1;
      return;
    }
    s->heap = heap;
    s->heapCapacity *= 2;
  }
  size_t i = s->heapCount++;
  while (i > 0 && before(e, s->heap[(i - 1) / 4])) {
    s->heap[i] = s->heap[(i - 1) / 4];
    i = (i - 1) / 4;
  }
  s->heap[i] = e;
}

static entry pop(state *s) {
  entry out = s->heap[0], last = s->heap[--s->heapCount];
  size_t i = 0, n = s->heapCount;
  for (;;) {
    size_t child = 4 * i + 1;
    if (child >= n) break;
    size_t best = child, end = child + 4 < n ? child + 4 : n;
    for (size_t c = child + 1; c < end; c++)
      if (before(s->heap[c], s->heap[best])) best = c;
    if (!before(s->heap[best], last)) break;
    s->heap[i] = s->heap[best];
    i = best;
  }
  s->heap[i] = last;
  return out;
}

static double floorOf(const state *s) {
  const post_agglomerate_options *o = s->options;
  return o->dust_size > 0 && o->dust_threshold < o->threshold ? o->dust_threshold : o->threshold;
}

static void offer(state *s, uint32_t e) {
  double score = scoreOf(s, e);
  s->key[e] = keyOf(score);
  if (score > floorOf(s)) push(s, (entry){s->key[e], s->rank[e], e});
}

// --- edges by their clusters ----------------------------------------------------------------------------------------

static uint64_t pairOf(uint32_t u, uint32_t v) { return u < v ? (uint64_t)u << 32 | v : (uint64_t)v << 32 | u; }

static size_t home(const state *s, uint64_t pair) {
  uint64_t h = pair * 0x9E3779B97F4A7C15ull;
  return (size_t)(h ^ h >> 32) & s->mask;
}

// The place of the pair, or the empty place where it belongs. No pair is (0, 0), so 0 marks empty.
static size_t find(const state *s, uint64_t pair) {
  size_t i = home(s, pair);
  while (s->pairs[i] && s->pairs[i] != pair) i = (i + 1) & s->mask;
  return i;
}

// Closes the gap, so that searches may stop at the first empty place.
static void removeAt(state *s, size_t i) {
  for (size_t j = i;;) {
    j = (j + 1) & s->mask;
    if (!s->pairs[j]) break;
    size_t h = home(s, s->pairs[j]);
    if (((j - h) & s->mask) < ((j - i) & s->mask)) continue;
    s->pairs[i] = s->pairs[j];
    s->pairEdge[i] = s->pairEdge[j];
    i = j;
  }
  s->pairs[i] = 0;
}

static void chain(state *s, uint32_t cluster, int64_t half) {
  s->following[half] = NIL;
  if (s->last[cluster] == NIL) s->first[cluster] = half;
  else s->following[s->last[cluster]] = half;
  s->last[cluster] = half;
}

static void uniteInto(state *s, uint32_t f, uint32_t e) {
  unite(s, f, e);
  s->alive[e] = 0;
  s->into[e] = f;
  if (s->rank[e] < s->rank[f]) s->rank[f] = s->rank[e];
}

// Joins the two clusters of edge e: those of the cluster with fewer edges are handed to the other.
static void join(state *s, uint32_t e) {
  uint32_t u = s->a[e], v = s->b[e];
  if (s->degree[u] > s->degree[v]) {
    uint32_t swap = u;
    u = v;
    v = swap;
  }
  s->alive[e] = 0;
  removeAt(s, find(s, pairOf(u, v)));
  s->parent[u] = v;
  s->area[v] += s->area[u];
  s->degree[u]--;
  s->degree[v]--;
  for (int64_t half = s->first[u], next; half != NIL && !s->failed; half = next) {
    next = s->following[half];
    uint32_t g = (uint32_t)(half >> 1);
    if (!s->alive[g]) continue;
    uint32_t w = half & 1 ? s->a[g] : s->b[g];
    removeAt(s, find(s, pairOf(u, w)));
    size_t place = find(s, pairOf(v, w));
    if (s->pairs[place]) {
      uint32_t f = s->pairEdge[place];
      uniteInto(s, f, g);
      s->degree[w]--;
      offer(s, f);
    } else {
      s->pairs[place] = pairOf(v, w);
      s->pairEdge[place] = g;
      if (half & 1) s->b[g] = v;
      else s->a[g] = v;
      s->degree[v]++;
      chain(s, v, half);
    }
  }
}

// --- whole ----------------------------------------------------------------------------------------------------------

static int reserve(state *s, size_t nodes, size_t edges) {
  size_t places = 16;
  while (places < 2 * edges + 2) places *= 2;
  s->mask = places - 1;
  size_t n = nodes + 1, m = edges + 1;
  s->a = malloc(m * sizeof *s->a);
  s->b = malloc(m * sizeof *s->b);
  s->rank = malloc(m * sizeof *s->rank);
  s->into = malloc(m * sizeof *s->into);
  s->alive = malloc(m);
  s->key = malloc(m * sizeof *s->key);
  s->sum = malloc(m * sizeof *s->sum);
  s->total = malloc(m * sizeof *s->total);
  s->histogram = calloc(m, sizeof *s->histogram);
  s->length = malloc(m * sizeof *s->length);
  s->sizeClass = malloc(m);
  s->parent = malloc(n * sizeof *s->parent);
  s->area = malloc(n * sizeof *s->area);
  s->degree = calloc(n, sizeof *s->degree);
  s->first = malloc(n * sizeof *s->first);
  s->last = malloc(n * sizeof *s->last);
  s->following = malloc(2 * m * sizeof *s->following);
  s->pairs = calloc(places, sizeof *s->pairs);
  s->pairEdge = malloc(places * sizeof *s->pairEdge);
  s->heapCapacity = m;
  s->heap = malloc(m * sizeof *s->heap);
  return s->a && s->b && s->rank && s->into && s->alive && s->key && s->sum && s->total && s->histogram && s->length
          && s->sizeClass && s->parent && s->area && s->degree && s->first && s->last && s->following && s->pairs
          && s->pairEdge && s->heap
      ? 0
      : -1;
}

static void release(state *s) {
  for (size_t i = 0; i < s->blockCount; i++) free(s->blocks[i]);
  void *all[] = {s->a,    s->b,      s->rank, s->into,  s->alive, s->key,       s->sum,   s->total,    s->histogram, s->length,
                 s->sizeClass, s->parent, s->area, s->degree, s->first, s->last, s->following, s->pairs, s->pairEdge, s->heap,
                 s->blocks};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static int rankEdges(state *s, size_t edges, const uint32_t *a, const uint32_t *b) {
  post_contact *items = malloc(sizeof(post_contact) * (edges + 1)), *scratch = malloc(sizeof(post_contact) * (edges + 1));
  if (items && scratch) {
    for (size_t i = 0; i < edges; i++) items[i] = (post_contact){(uint64_t)a[i] << 32 | b[i], i};
    post_contact *sorted = post_sort(items, scratch, edges, 64);
    for (size_t i = 0; i < edges; i++) s->rank[sorted[i].count] = (uint32_t)i;
  }
  int status = items && scratch ? 0 : -1;
  free(items);
  free(scratch);
  return status;
}

static void load(state *s, uint32_t e, const uint64_t *start, const uint8_t *bins, const uint32_t *counts) {
  uint64_t from = start[e], to = start[e + 1];
  if (s->options->init_with_max && to > from) from = to - 1;
  s->sum[e] = s->total[e] = 0;
  s->length[e] = (uint16_t)(to - from);
  s->sizeClass[e] = (uint8_t)classFor(to - from);
  if (s->options->use_quantile) s->histogram[e] = piece(s, s->sizeClass[e]);
  for (uint64_t i = from; i < to && !s->failed; i++) {
    uint64_t count = s->options->init_with_max ? 1 : counts[i];
    s->sum[e] += bins[i] * count;
    s->total[e] += count;
    if (s->options->use_quantile) s->histogram[e][i - from] = (uint64_t)bins[i] << 56 | count;
  }
}

static void build(
    state *s, size_t nodes, const uint64_t *areas, size_t edges, const uint32_t *a, const uint32_t *b,
    const uint64_t *start, const uint8_t *bins, const uint32_t *counts) {
  for (size_t i = 0; i < nodes; i++) {
    s->parent[i] = (uint32_t)i;
    s->area[i] = areas[i];
    s->first[i] = s->last[i] = NIL;
  }
  for (uint32_t e = 0; e < edges && !s->failed; e++) {
    s->a[e] = a[e];
    s->b[e] = b[e];
    s->into[e] = e;
    s->alive[e] = 1;
    load(s, e, start, bins, counts);
    if (s->failed) return;
    size_t place = find(s, pairOf(a[e], b[e]));
    if (s->pairs[place]) {
      uniteInto(s, s->pairEdge[place], e);
      continue;
    }
    s->pairs[place] = pairOf(a[e], b[e]);
    s->pairEdge[place] = e;
    s->degree[a[e]]++;
    s->degree[b[e]]++;
    chain(s, a[e], 2 * (int64_t)e);
    chain(s, b[e], 2 * (int64_t)e + 1);
  }
  for (uint32_t e = 0; e < edges && !s->failed; e++)
    if (s->alive[e]) offer(s, e);
}

static uint32_t rootOf(uint32_t *parent, uint32_t i) {
  while (parent[i] != i) {
    parent[i] = parent[parent[i]];
    i = parent[i];
  }
  return i;
}

int post_agglomerate(
    size_t nodes, const uint64_t *areas, size_t edges, const uint32_t *a, const uint32_t *b, const uint64_t *start,
    const uint8_t *bins, const uint32_t *counts, const post_agglomerate_options *options, uint8_t *accepted,
    float *score) {
  state s = {.options = options};
  if (reserve(&s, nodes, edges) || rankEdges(&s, edges, a, b)) {
    release(&s);
    return -1;
  }
  build(&s, nodes, areas, edges, a, b, start, bins, counts);
  while (s.heapCount && !s.failed) {
    entry best = pop(&s);
    uint32_t e = best.edge;
    if (!s.alive[e] || s.key[e] != best.key || s.rank[e] != best.rank) continue;
    // Areas only grow: a pair too large for the dust threshold now is so for good, unless its score changes.
    uint64_t smaller = s.area[s.a[e]] < s.area[s.b[e]] ? s.area[s.a[e]] : s.area[s.b[e]];
    if (scoreOfKey(best.key) > options->threshold || smaller < options->dust_size) join(&s, e);
  }
  for (uint32_t e = 0; e < edges && !s.failed; e++) {
    accepted[e] = rootOf(s.parent, a[e]) == rootOf(s.parent, b[e]);
    score[e] = (float)scoreOfKey(s.key[rootOf(s.into, e)]);
  }
  int status = s.failed ? -1 : 0;
  release(&s);
  return status;
}
