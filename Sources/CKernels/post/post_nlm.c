#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "post_filters.h"
#include "post_kernels.h"

#pragma STDC FP_CONTRACT OFF

enum { NLM_ROWS = 32 };

// 2^x for x <= 0 to about 2e-7, by whole and fractional part.
static inline __attribute__((always_inline)) float exp2Negative(float x) {
  x = x < -100.0f ? -100.0f : x;
  int whole = (int)x;
  float f = x - (float)whole;
  float p = 1.5403530e-4f;
  p = p * f + 1.3333558e-3f;
  p = p * f + 9.6181291e-3f;
  p = p * f + 5.5504109e-2f;
  p = p * f + 2.4022651e-1f;
  p = p * f + 6.9314718e-1f;
  p = p * f + 1.0f;
  union { int32_t i; float f; } bits = {.i = (whole + 127) << 23};
  return p * bits.f;
}

CLONES static void nlmSquares(const int32_t *p, const int32_t *q, uint32_t *columns, size_t n, int sign) {
  if (sign > 0)
    for (size_t i = 0; i < n; i++) columns[i] += (uint32_t)((p[i] - q[i]) * (p[i] - q[i]));
  else
    for (size_t i = 0; i < n; i++) columns[i] -= (uint32_t)((p[i] - q[i]) * (p[i] - q[i]));
}

CLONES static void nlmRow(
    const uint32_t *columns, uint32_t *box, const float *values, float *sum, float *weight, size_t n, int side,
    float scale) {
  for (size_t i = 0; i < n; i++) box[i] = columns[i];
  for (int k = 1; k < side; k++)
    for (size_t i = 0; i < n; i++) box[i] += columns[i + (size_t)k];
  for (size_t i = 0; i < n; i++) {
    float w = exp2Negative((float)box[i] * scale);
    sum[i] += w * values[i];
    weight[i] += w;
  }
}

struct nlm {
  const float *image;    // padded by patch + search
  const int32_t *level;  // the same, of 12 bits
  int patch, search;
  float strength;
};

// Strips first ..< last of NLM_ROWS rows.
static void nlmStrips(const void *context, long first, long last) {
  const struct filtering *f = context;
  const struct nlm *n = f->options;
  int search = n->search, side = 2 * n->patch + 1;
  size_t width = f->width, pad = (size_t)(n->patch + search), stride = width + 2 * pad;
  size_t columnCount = width + 2 * (size_t)n->patch;
  float scale = -1.44269504f / (4095.0f * 4095.0f * (float)(side * side) * n->strength * n->strength);
  uint32_t *columns = malloc(sizeof(uint32_t) * (columnCount + width));
  float *sums = malloc(sizeof(float) * 2 * NLM_ROWS * width), *sum = sums, *weight = sums + NLM_ROWS * width;
  if (!columns || !sums) {
    atomic_store(f->failed, 1);
    last = first;
  }
  for (size_t top = (size_t)first * NLM_ROWS; top < (size_t)last * NLM_ROWS; top += NLM_ROWS) {
    size_t strip = f->height - top < NLM_ROWS ? f->height - top : NLM_ROWS;
    memset(sums, 0, sizeof(float) * 2 * NLM_ROWS * width);
    for (int dy = -search; dy <= search; dy++)
      for (int dx = -search; dx <= search; dx++) {
        // Row r of the padded image, first column of the patch window.
        const int32_t *here = n->level + (top + (size_t)search) * stride + (size_t)search;
        const int32_t *there = here + (ptrdiff_t)dy * (ptrdiff_t)stride + dx;
        const float *values = n->image + (ptrdiff_t)((top + pad) * stride + pad) + (ptrdiff_t)dy * (ptrdiff_t)stride + dx;
        memset(columns, 0, sizeof(uint32_t) * columnCount);
        for (int k = 0; k < side - 1; k++)
          nlmSquares(here + (size_t)k * stride, there + (size_t)k * stride, columns, columnCount, 1);
        for (size_t y = 0; y < strip; y++) {
          size_t in = (y + (size_t)side - 1) * stride, out = y * stride;
          nlmSquares(here + in, there + in, columns, columnCount, 1);
          nlmRow(
              columns, columns + columnCount, values + y * stride, sum + y * width, weight + y * width, width, side, scale);
          nlmSquares(here + out, there + out, columns, columnCount, -1);
        }
      }
    for (size_t i = 0; i < strip * width; i++) f->image[top * width + i] = sum[i] / weight[i];
  }
  free(columns);
  free(sums);
}

// Patch differences are taken on 12-bit integers, so the running box sums are exact: a pixel's result does not depend on
// where the sums began, and at most 121 squares of 24 bits fit 32 bits.
int post_nlm(float *plane, size_t height, size_t width, int patch, int search, float strength) {
  if (height == 0 || width == 0) return 0;
  size_t pad = (size_t)(patch + search), pixels = (width + 2 * pad) * (height + 2 * pad);
  float *image = padded(plane, height, width, pad);
  int32_t *level = malloc(sizeof(int32_t) * pixels);
  int status = image && level ? 0 : -1;
  if (status == 0) {
    for (size_t i = 0; i < pixels; i++) {
      float v = image[i];
      v = v < 0 ? 0 : v > 1 ? 1 : v;
      level[i] = (int32_t)(v * 4095.0f + 0.5f);
    }
    struct nlm options = {.image = image, .level = level, .patch = patch, .search = search, .strength = strength};
    struct filtering f = {.image = plane, .height = height, .width = width, .options = &options};
    status = filterPieces(f, (height + NLM_ROWS - 1) / NLM_ROWS, 1, nlmStrips);
  }
  free(image);
  free(level);
  return status;
}
