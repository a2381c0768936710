#pragma once
#include <stdint.h>
#include <string.h>

#include "post_kernels.h"

// Scores are 0...1; a quantile's is the middle of its bin.
static inline double post_score_of_bin(uint64_t bin) { return ((double)bin + 0.5) / 256.0; }
static inline double post_score_of_sum(uint64_t sum, uint64_t total) { return (double)sum / (255.0 * (double)total); }

// waterz: a quantile is the first bin whose cumulative count reaches Q * total / 100 + 1 (integers).
static inline uint64_t post_pivot(const post_agglomerate_options *o, uint64_t total) {
  uint64_t pivot = (uint64_t)o->quantile * total / 100 + 1;
  return pivot < total ? pivot : total;
}

// A score's key is smaller the better it is: the complement of its bits.
static inline uint64_t post_key(double score) {
  uint64_t bits;
  memcpy(&bits, &score, sizeof bits);
  return ~bits;
}

static inline double post_score(uint64_t key) {
  uint64_t bits = ~key;
  double score;
  memcpy(&score, &bits, sizeof score);
  return score;
}
