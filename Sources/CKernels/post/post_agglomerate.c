#include <stdlib.h>
#include <string.h>

#include "post_greedy.h"

// Greedy joining over a window, cut into parts that do not know of each other.
//
// The score of a union lies between those of its parts (a mean or a quantile does). So no pair is joined above the
// threshold across the bounds of a *part*: fragments that edges above the threshold connect. Each part is joined by
// itself, small enough for the caches. What is left are the clusters and all edges between them: these scores count as
// last seen, and clusters below the dust size are joined in one graph of all of them. The order among the joins of a part is
// that of the whole; joins of different parts do not see each other, and those below the threshold come last anyway.

typedef struct {
  post_edges edges;
  const post_agglomerate_options *options;
  size_t nodes, count;
  const uint32_t *a, *b;
  uint32_t *sorted;  // edges by (a, b)
  uint32_t *part;    // of each node: 0 ..< parts
  size_t parts;
  uint32_t *member;  // nodes by part, ascending
  uint32_t *place;   // of each node in member
  size_t *firstMember, *firstLink; // of each part, and the end
  post_link *links;  // edges within parts, by part; then those of the graph of clusters
  uint64_t *areas;   // of members; then of clusters
  uint32_t *cluster; // of each node
} window;

static uint32_t rootOf(uint32_t *parent, uint32_t i) {
  while (parent[i] != i) {
    parent[i] = parent[parent[i]];
    i = parent[i];
  }
  return i;
}

// to <- from, by the key of each; first holds keys + 1 numbers.
static void sortBy(
    const uint32_t *key, size_t keys, const uint32_t *from, uint32_t *to, size_t n, size_t *first) {
  memset(first, 0, (keys + 1) * sizeof *first);
  for (size_t i = 0; i < n; i++) first[key[i] + 1]++;
  for (size_t k = 0; k < keys; k++) first[k + 1] += first[k];
  for (size_t i = 0; i < n; i++) {
    uint32_t item = from ? from[i] : (uint32_t)i;
    to[first[key[item]]++] = item;
  }
}

static int reserve(window *w) {
  size_t n = w->nodes + 1, m = w->count + 1;
  w->sorted = malloc(m * sizeof *w->sorted);
  w->part = malloc(n * sizeof *w->part);
  w->member = malloc(n * sizeof *w->member);
  w->place = malloc(n * sizeof *w->place);
  w->firstMember = malloc((n + 1) * sizeof *w->firstMember);
  w->firstLink = malloc((n + 1) * sizeof *w->firstLink);
  w->links = malloc(m * sizeof *w->links);
  w->areas = malloc(n * sizeof *w->areas);
  w->cluster = malloc(n * sizeof *w->cluster);
  return w->sorted && w->part && w->member && w->place && w->firstMember && w->firstLink && w->links && w->areas && w->cluster
      ? 0
      : -1;
}

static void release(window *w) {
  void *all[] = {w->sorted,    w->part,  w->member, w->place,  w->firstMember,
                 w->firstLink, w->links, w->areas,  w->cluster};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

// The order of edges by (a, b), and the parts of the nodes.
static void findParts(window *w) {
  uint32_t *byB = (uint32_t *)w->links, *parent = w->cluster;
  sortBy(w->b, w->nodes, NULL, byB, w->count, w->firstMember);
  sortBy(w->a, w->nodes, byB, w->sorted, w->count, w->firstMember);
  for (uint32_t i = 0; i < w->nodes; i++) parent[i] = i;
  for (uint32_t e = 0; e < w->count; e++)
    if (post_edge_score(&w->edges, w->options, e) > w->options->threshold) {
      uint32_t p = rootOf(parent, w->a[e]), q = rootOf(parent, w->b[e]);
      parent[p > q ? p : q] = p > q ? q : p;
    }
  for (uint32_t i = 0; i < w->nodes; i++) {
    uint32_t root = rootOf(parent, i);
    w->part[i] = root == i ? (uint32_t)w->parts++ : w->part[root];
  }
}

// Members and links of each part.
static void gather(window *w, const uint64_t *areas) {
  size_t *first = w->firstMember;
  memset(first, 0, (w->parts + 2) * sizeof *first);
  for (size_t i = 0; i < w->nodes; i++) first[w->part[i] + 2]++;
  for (size_t p = 2; p < w->parts + 2; p++) first[p] += first[p - 1];
  for (uint32_t i = 0; i < w->nodes; i++) {
    size_t place = first[w->part[i] + 1]++;
    w->member[place] = i;
    w->place[i] = (uint32_t)place;
    w->areas[place] = areas[i];
  }
  first = w->firstLink;
  memset(first, 0, (w->parts + 2) * sizeof *first);
  for (size_t e = 0; e < w->count; e++)
    if (w->part[w->a[e]] == w->part[w->b[e]]) first[w->part[w->a[e]] + 2]++;
  for (size_t p = 2; p < w->parts + 2; p++) first[p] += first[p - 1];
  for (size_t i = 0; i < w->count; i++) {
    uint32_t e = w->sorted[i], p = w->part[w->a[e]];
    if (p != w->part[w->b[e]]) continue;
    uint32_t base = (uint32_t)w->firstMember[p];
    w->links[first[p + 1]++] = (post_link){w->place[w->a[e]] - base, w->place[w->b[e]] - base, e};
  }
}

// Joins within each part: decisions on what is joined, and the cluster of each node.
static int joinParts(window *w, post_joiner *joiner, uint8_t *accepted, float *score) {
  for (size_t p = 0; p < w->parts; p++) {
    size_t from = w->firstMember[p], nodes = w->firstMember[p + 1] - from;
    const post_link *links = w->links + w->firstLink[p];
    size_t count = w->firstLink[p + 1] - w->firstLink[p];
    if (post_join(joiner, nodes, w->areas + from, count, links, 0)) return -1;
    for (uint32_t i = 0; i < nodes; i++) w->cluster[w->member[from + i]] = w->member[from + post_joined(joiner, i)];
    for (size_t i = 0; i < count; i++) {
      accepted[links[i].edge] = post_joined(joiner, links[i].a) == post_joined(joiner, links[i].b);
      score[links[i].edge] = (float)post_joined_score(joiner, i);
    }
  }
  return 0;
}

// The graph of clusters: joins of dust, and decisions on all edges between clusters.
static int joinClusters(
    window *w, post_joiner *joiner, const uint64_t *areas, uint8_t *accepted, float *score) {
  size_t clusters = 0, links = 0;
  uint32_t *number = w->place;
  for (uint32_t i = 0; i < w->nodes; i++)
    if (w->cluster[i] == i) {
      w->areas[clusters] = 0;
      number[i] = (uint32_t)clusters++;
    }
  for (uint32_t i = 0; i < w->nodes; i++) w->areas[number[w->cluster[i]]] += areas[i];
  for (size_t i = 0; i < w->count; i++) {
    uint32_t e = w->sorted[i], u = w->cluster[w->a[e]], v = w->cluster[w->b[e]];
    if (u != v) w->links[links++] = (post_link){number[u], number[v], e};
  }
  if (post_join(joiner, clusters, w->areas, links, w->links, 1)) return -1;
  for (size_t i = 0; i < links; i++) {
    post_link link = w->links[i];
    accepted[link.edge] = post_joined(joiner, link.a) == post_joined(joiner, link.b);
    score[link.edge] = (float)post_joined_score(joiner, i);
  }
  return 0;
}

int post_agglomerate(
    size_t nodes, const uint64_t *areas, size_t edges, const uint32_t *a, const uint32_t *b, const uint64_t *start,
    const uint8_t *bins, const uint32_t *counts, const post_agglomerate_options *options, uint8_t *accepted,
    float *score) {
  // Half contacts are numbered in 32 bits.
  if (edges > INT32_MAX) return -1;
  window w = {.edges = {start, bins, counts}, .options = options, .nodes = nodes, .count = edges, .a = a, .b = b};
  post_joiner *joiner = post_joiner_make(&w.edges, options);
  int status = joiner && reserve(&w) == 0 ? 0 : -1;
  if (status == 0) {
    findParts(&w);
    gather(&w, areas);
    status = joinParts(&w, joiner, accepted, score);
  }
  if (status == 0) status = joinClusters(&w, joiner, areas, accepted, score);
  post_joiner_free(joiner);
  release(&w);
  return status;
}
