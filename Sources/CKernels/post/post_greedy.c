#include "post_greedy.h"

#include "post_heap.h"
#include "post_histograms.h"
#include "post_scores.h"

// At every step the pair of clusters with the highest score is joined, of equal ones the pair whose contact has the lowest
// rank. The contact of two clusters is the union of the links between them: its histogram is their sum and its rank is
// that of the first of them. A score changes only when contacts are united, and is then taken anew at once: the order is
// exact. What is left in the heap of an earlier state is recognised (its key is no longer the contact's) and dropped.

enum { NIL = UINT32_MAX };

typedef struct {
  uint64_t key; // of the last score
  uint64_t sum, total;
  uint32_t a, b; // clusters at the ends
  uint32_t rank, into;
  uint32_t next[2]; // the following half contact, 2 * contact + end, of a and of b
  post_histogram histogram; // for quantiles
} contact;

// Neither united into another contact nor within one cluster.
static inline int isAlive(const contact *all, uint32_t c) { return all[c].into == c && all[c].a != all[c].b; }

typedef struct {
  uint64_t area;
  uint32_t parent, degree;
  uint32_t first, last; // chain of half contacts
} cluster;

struct post_joiner {
  post_edges edges;
  const post_agglomerate_options *options;
  double floor; // no pair is joined that does not score above
  cluster *clusters;
  size_t clusterCapacity;
  contact *contacts;
  size_t count, capacity;
  uint32_t *contactOf; // of each link
  size_t linkCapacity;
  uint32_t *table; // contact + 1 by its clusters; 0: empty
  size_t mask, places, taken;
  uint32_t *best; // contacts that had the best score of all at first and were not looked at yet, by rank
  size_t bestCount, bestNext, bestCapacity;
  uint64_t bestKey;
  post_heap heap;
  post_histograms histograms;
  int failed;
};
typedef struct post_joiner joiner;

// --- scores and offers ----------------------------------------------------------------------------------------------

double post_edge_score(const post_edges *edges, const post_agglomerate_options *o, uint32_t e) {
  uint64_t from = edges->start[e], to = edges->start[e + 1], sum = 0, total = 0, below = 0;
  if (from == to) return 0;
  if (o->init_with_max) {
    uint8_t most = edges->bins[to - 1];
    return o->use_quantile ? post_score_of_bin(most) : post_score_of_sum(most, 1);
  }
  for (uint64_t i = from; i < to; i++) {
    sum += (uint64_t)edges->bins[i] * edges->counts[i];
    total += edges->counts[i];
  }
  if (!total) return 0;
  if (!o->use_quantile) return post_score_of_sum(sum, total);
  for (uint64_t i = from, pivot = post_pivot(o, total);; i++) {
    below += edges->counts[i];
    if (below >= pivot || i + 1 == to) return post_score_of_bin(edges->bins[i]);
  }
}

static double scoreOf(const joiner *j, const contact *c) {
  if (!c->total) return 0;
  if (!j->options->use_quantile) return post_score_of_sum(c->sum, c->total);
  uint64_t pivot = post_pivot(j->options, c->total), below = 0;
  const post_histogram *h = &c->histogram;
  for (size_t i = 0;; i++) {
    below += h->entries[i] & POST_HISTOGRAM_COUNT;
    if (below >= pivot || i + 1 == h->length) return post_score_of_bin(h->entries[i] >> 56);
  }
}

static void offer(joiner *j, uint32_t c) {
  contact *p = j->contacts + c;
  double score = scoreOf(j, p);
  p->key = post_key(score);
  if (score > j->floor && post_heap_push(&j->heap, post_offer_of(p->key, p->rank, c))) j->failed = 1;
}

// Offers every contact as it is at first. Many have the best score of all (the network is sure): these are in order as
// they are, and need no heap.
static int offerAll(joiner *j) {
  if (j->count > j->bestCapacity) {
    free(j->best);
    j->bestCapacity = 2 * j->count;
    j->best = malloc(j->bestCapacity * sizeof *j->best);
    if (!j->best) return -1;
  }
  j->bestKey = post_key(0);
  for (uint32_t c = 0; c < j->count; c++) {
    contact *p = j->contacts + c;
    p->key = post_key(scoreOf(j, p));
    if (p->key < j->bestKey) j->bestKey = p->key;
  }
  for (uint32_t c = 0; c < j->count; c++) {
    uint64_t key = j->contacts[c].key;
    if (!(post_score(key) > j->floor)) continue;
    if (key == j->bestKey) j->best[j->bestCount++] = c;
    else if (post_heap_push(&j->heap, post_offer_of(key, c, c))) return -1;
  }
  return 0;
}

// The next offer; 0 if there is none.
static int take(joiner *j, post_offer *out) {
  if (j->bestNext < j->bestCount) {
    uint32_t c = j->best[j->bestNext];
    *out = post_offer_of(j->bestKey, c, c);
    if (!j->heap.count || *out < j->heap.offers[0]) return ++j->bestNext, 1;
  }
  if (!j->heap.count) return 0;
  *out = post_heap_pop(&j->heap);
  return 1;
}

// --- contacts by their clusters -------------------------------------------------------------------------------------

static size_t home(const joiner *j, uint32_t u, uint32_t v) {
  uint64_t pair = u < v ? (uint64_t)u << 32 | v : (uint64_t)v << 32 | u, h = pair * 0x9E3779B97F4A7C15ull;
  return (size_t)(h ^ h >> 32) & j->mask;
}

static inline int isOf(const contact *c, uint32_t u, uint32_t v) {
  return (c->a == u && c->b == v) || (c->a == v && c->b == u);
}

// The place of the contact of u and v, or the empty place where it belongs.
static size_t find(const joiner *j, uint32_t u, uint32_t v) {
  size_t i = home(j, u, v);
  while (j->table[i] && !isOf(j->contacts + j->table[i] - 1, u, v)) i = (i + 1) & j->mask;
  return i;
}

// An empty table of at least so many places.
static int clearTable(joiner *j, size_t least) {
  size_t places = 16;
  while (places < least) places *= 2;
  if (places > j->places) {
    free(j->table);
    j->places = 0;
    j->table = malloc(places * sizeof *j->table);
    if (!j->table) return -1;
    j->places = places;
  }
  memset(j->table, 0, places * sizeof *j->table);
  j->mask = places - 1;
  j->taken = 0;
  return 0;
}

// Makes the table anew, at most a quarter taken and without what is of no use any more.
static int renewTable(joiner *j) {
  size_t alive = 0;
  for (uint32_t c = 0; c < j->count; c++) alive += (size_t)isAlive(j->contacts, c);
  if (clearTable(j, 4 * alive + 4)) return -1;
  for (uint32_t c = 0; c < j->count; c++)
    if (isAlive(j->contacts, c)) j->table[find(j, j->contacts[c].a, j->contacts[c].b)] = c + 1;
  j->taken = alive;
  return 0;
}

// Puts contact c into its empty place. The place that it had before it was handed on stays: whoever comes by there finds
// it by the clusters it has now.
static int put(joiner *j, size_t place, uint32_t c) {
  j->table[place] = c + 1;
  return 2 * ++j->taken > j->mask ? renewTable(j) : 0;
}

static void chain(joiner *j, uint32_t u, uint32_t half) {
  cluster *c = j->clusters + u;
  j->contacts[half >> 1].next[half & 1] = NIL;
  if (c->last == NIL) c->first = half;
  else j->contacts[c->last >> 1].next[c->last & 1] = half;
  c->last = half;
}

static void uniteInto(joiner *j, uint32_t f, uint32_t e) {
  contact *to = j->contacts + f, *from = j->contacts + e;
  to->sum += from->sum;
  to->total += from->total;
  if (j->options->use_quantile && post_histogram_add(&j->histograms, &to->histogram, &from->histogram)) j->failed = 1;
  from->into = f;
  if (from->rank < to->rank) to->rank = from->rank;
}

// Joins the two clusters of contact e: those of the cluster with fewer contacts are handed to the other.
static void join(joiner *j, uint32_t e) {
  uint32_t u = j->contacts[e].a, v = j->contacts[e].b;
  if (j->clusters[u].degree > j->clusters[v].degree) {
    uint32_t swap = u;
    u = v;
    v = swap;
  }
  j->contacts[e].a = j->contacts[e].b = v;
  j->clusters[u].parent = v;
  j->clusters[v].area += j->clusters[u].area;
  j->clusters[v].degree--;
  for (uint32_t half = j->clusters[u].first, next; half != NIL && !j->failed; half = next) {
    uint32_t g = half >> 1;
    contact *c = j->contacts + g;
    next = c->next[half & 1];
    if (!isAlive(j->contacts, g)) continue;
    uint32_t w = half & 1 ? c->a : c->b;
    size_t place = find(j, v, w);
    if (j->table[place]) {
      uint32_t f = j->table[place] - 1;
      uniteInto(j, f, g);
      j->clusters[w].degree--;
      if (!j->failed) offer(j, f);
    } else {
      if (half & 1) c->b = v;
      else c->a = v;
      j->clusters[v].degree++;
      chain(j, v, half);
      if (put(j, place, g)) j->failed = 1;
    }
  }
}

// --- a graph --------------------------------------------------------------------------------------------------------

static int load(joiner *j, contact *c, uint32_t edge) {
  const post_edges *all = &j->edges;
  const post_agglomerate_options *o = j->options;
  uint64_t from = all->start[edge], to = all->start[edge + 1];
  if (o->init_with_max && to > from) from = to - 1;
  c->sum = c->total = 0;
  c->histogram.entries = NULL;
  if (o->use_quantile && post_histogram_take(&j->histograms, &c->histogram, to - from)) return -1;
  for (uint64_t i = from; i < to; i++) {
    uint64_t count = o->init_with_max ? 1 : all->counts[i];
    c->sum += all->bins[i] * count;
    c->total += count;
    if (o->use_quantile) c->histogram.entries[i - from] = (uint64_t)all->bins[i] << 56 | count;
  }
  return 0;
}

static int growContacts(joiner *j) {
  size_t capacity = j->capacity ? 2 * j->capacity : 256;
  contact *contacts = realloc(j->contacts, capacity * sizeof *contacts);
  if (!contacts) return -1;
  j->contacts = contacts;
  j->capacity = capacity;
  return 0;
}

static int reset(joiner *j, size_t nodes, const uint64_t *areas, size_t links) {
  if (j->options->use_quantile)
    for (size_t c = 0; c < j->count; c++) post_histogram_give(&j->histograms, &j->contacts[c].histogram);
  j->count = j->heap.count = j->bestCount = j->bestNext = 0;
  if (nodes > j->clusterCapacity) {
    free(j->clusters);
    j->clusterCapacity = 2 * nodes;
    j->clusters = malloc(j->clusterCapacity * sizeof *j->clusters);
  }
  if (links > j->linkCapacity) {
    free(j->contactOf);
    j->linkCapacity = 2 * links;
    j->contactOf = malloc(j->linkCapacity * sizeof *j->contactOf);
  }
  if ((nodes && !j->clusters) || (links && !j->contactOf) || clearTable(j, 16)) return -1;
  for (uint32_t i = 0; i < nodes; i++) j->clusters[i] = (cluster){areas[i], i, 0, NIL, NIL};
  return 0;
}

static int add(joiner *j, post_link link, uint32_t *contactOf) {
  size_t place = find(j, link.a, link.b);
  int known = j->table[place] != 0;
  if (j->count == j->capacity && growContacts(j)) return -1;
  uint32_t e = (uint32_t)j->count;
  contact *c = j->contacts + e;
  if (load(j, c, link.edge)) return -1;
  if (known) {
    *contactOf = j->table[place] - 1;
    contact *to = j->contacts + *contactOf;
    to->sum += c->sum;
    to->total += c->total;
    return j->options->use_quantile ? post_histogram_add(&j->histograms, &to->histogram, &c->histogram) : 0;
  }
  *contactOf = e;
  j->count++;
  c->a = link.a;
  c->b = link.b;
  c->rank = c->into = e;
  j->clusters[link.a].degree++;
  j->clusters[link.b].degree++;
  chain(j, link.a, 2 * e);
  chain(j, link.b, 2 * e + 1);
  return put(j, place, e);
}

int post_join(
    post_joiner *j, size_t nodes, const uint64_t *areas, size_t links, const post_link *link, int dust) {
  const post_agglomerate_options *o = j->options;
  const uint64_t dustSize = dust && o->dust_threshold < o->threshold ? o->dust_size : 0;
  j->floor = dustSize ? o->dust_threshold : o->threshold;
  if (reset(j, nodes, areas, links)) return -1;
  for (size_t i = 0; i < links; i++)
    if (add(j, link[i], j->contactOf + i)) return -1;
  if (offerAll(j)) return -1;
  for (post_offer best; !j->failed && take(j, &best);) {
    const uint32_t e = post_offer_contact(best);
    const contact *c = j->contacts + e;
    if (!isAlive(j->contacts, e) || c->key != post_offer_key(best) || c->rank != post_offer_rank(best)) continue;
    // Areas only grow: a pair too large for the dust threshold now is so for good, unless its score changes.
    uint64_t one = j->clusters[c->a].area, other = j->clusters[c->b].area;
    if (post_score(c->key) > o->threshold || (one < other ? one : other) < dustSize) join(j, e);
  }
  return j->failed ? -1 : 0;
}

uint32_t post_joined(post_joiner *j, uint32_t node) {
  cluster *all = j->clusters;
  while (all[node].parent != node) {
    all[node].parent = all[all[node].parent].parent;
    node = all[node].parent;
  }
  return node;
}

double post_joined_score(post_joiner *j, size_t link) {
  uint32_t c = j->contactOf[link];
  contact *all = j->contacts;
  while (all[c].into != c) {
    all[c].into = all[all[c].into].into;
    c = all[c].into;
  }
  return post_score(all[c].key);
}

post_joiner *post_joiner_make(const post_edges *edges, const post_agglomerate_options *options) {
  joiner *j = calloc(1, sizeof *j);
  if (j) {
    j->edges = *edges;
    j->options = options;
  }
  return j;
}

void post_joiner_free(post_joiner *j) {
  if (!j) return;
  post_histograms_free(&j->histograms);
  void *all[] = {j->clusters, j->contacts, j->contactOf, j->table, j->best, j->heap.offers, j};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}
