#include "CKernels.h"

// A product and a sum that are joined would round once less.
#pragma STDC FP_CONTRACT OFF

double ck_centred(uint64_t seed, uint64_t index) {
  uint64_t z = seed + index + 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  z ^= z >> 31;
  return (double)(z >> 40) / 16777216 - 0.5;
}

void ck_uniform(uint64_t seed, uint64_t first, double scale, double offset, float *out, size_t n) {
  for (size_t i = 0; i < n; i++) out[i] = (float)(offset + scale * ck_centred(seed, first + i));
}
