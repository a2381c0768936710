#pragma once
#include "post_kernels.h"

// Greedy joining of the clusters of one graph (post_greedy.c). A joiner is made once and used for many graphs.
typedef struct post_joiner post_joiner;

// The edges that graphs are made of: edge i has the histogram entries start[i] ..< start[i + 1].
typedef struct {
  const uint64_t *start;
  const uint8_t *bins;
  const uint32_t *counts;
} post_edges;

// An edge of a graph: nodes at its ends, and which of post_edges it is.
typedef struct {
  uint32_t a, b, edge;
} post_link;

// The score of an edge by itself.
double post_edge_score(const post_edges *edges, const post_agglomerate_options *options, uint32_t edge);

post_joiner *post_joiner_make(const post_edges *edges, const post_agglomerate_options *options);
void post_joiner_free(post_joiner *joiner);
// Joins the clusters of a graph of `nodes` nodes with `areas` pixels, by the options' thresholds; dust: also by those of
// dust. Links come in the order that decides between equal scores. 0, or -1 when there is no memory.
int post_join(
    post_joiner *joiner, size_t nodes, const uint64_t *areas, size_t links, const post_link *link, int dust);
// Of the last graph: the node that stands for a node's cluster, and the score of link i, as joined or as last seen.
uint32_t post_joined(post_joiner *joiner, uint32_t node);
double post_joined_score(post_joiner *joiner, size_t link);
