#include <stdlib.h>
#include <string.h>

#include "post_clones.h"
#include "post_kernels.h"

CLONES static void addRow(float *restrict sum, const float *restrict row, float weight, size_t width) {
  for (size_t x = 0; x < width; x++) sum[x] += weight * row[x];
}

CLONES static void gatherRow(const float *restrict row, float *restrict out, const post_resampling *axis) {
  size_t width = axis->outputs;
  const int32_t *start = axis->start;
  for (size_t x = 0; x < width; x++) out[x] = axis->weights[x] * row[start[x]];
  for (size_t tap = 1; tap < axis->taps; tap++) {
    const float *weights = axis->weights + tap * width, *from = row + tap;
    for (size_t x = 0; x < width; x++) out[x] += weights[x] * from[start[x]];
  }
}

// Row by row, first along y into one row that stays in the cache, then along x.
int post_resample(const float *src, float *dst, const post_resampling *y, const post_resampling *x) {
  float *sum = malloc(sizeof(float) * x->inputs);
  if (!sum) return -1;
  for (size_t row = 0; row < y->outputs; row++) {
    const float *from = src + (size_t)y->start[row] * x->inputs;
    memset(sum, 0, sizeof(float) * x->inputs);
    for (size_t tap = 0; tap < y->taps; tap++) {
      float weight = y->weights[tap * y->outputs + row];
      // An output with fewer taps than the most is filled up with weights of 0.
      if (weight != 0) addRow(sum, from + tap * x->inputs, weight, x->inputs);
    }
    gatherRow(sum, dst + row * x->outputs, x);
  }
  free(sum);
  return 0;
}
