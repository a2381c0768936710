#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "post_kernels.h"

// A tile must equal the whole, and one machine another: no fused multiply-adds in some clones only.
#pragma STDC FP_CONTRACT OFF

#if defined(__x86_64__)
#define CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CLONES
#endif

static size_t clampIndex(ptrdiff_t i, size_t n) {
  return i < 0 ? 0 : (size_t)i >= n ? n - 1 : (size_t)i;
}

// (H + 2 pad, W + 2 pad) <- (H, W), edges repeated, what is not finite set to 0.
static float *padded(const float *src, size_t height, size_t width, size_t pad) {
  size_t w = width + 2 * pad, h = height + 2 * pad;
  float *out = malloc(sizeof(float) * w * h);
  if (!out) return NULL;
  for (size_t y = 0; y < h; y++) {
    const float *row = src + clampIndex((ptrdiff_t)y - (ptrdiff_t)pad, height) * width;
    float *to = out + y * w;
    for (size_t x = 0; x < w; x++) {
      float v = row[clampIndex((ptrdiff_t)x - (ptrdiff_t)pad, width)];
      to[x] = isfinite(v) ? v : 0;
    }
  }
  return out;
}

// --- median ---------------------------------------------------------------------------------------------------------

enum { LANES = 64, MEDIAN_MAX = 5 };

// Forgetful selection: of n values the least and the largest of the first n/2 + 2 cannot be the median; drop both,
// take the next value in, and so on until three are left. 64 neighbouring pixels at a time.
CLONES static void medianBlock(const float *image, size_t stride, int radius, float *out, size_t lanes) {
  float v[(2 * MEDIAN_MAX + 1) * (2 * MEDIAN_MAX + 1) / 2 + 2][LANES];
  int side = 2 * radius + 1, n = side * side, m = n / 2 + 2;
  for (int i = 0; i < m; i++) {
    memset(v[i], 0, sizeof v[i]);
    memcpy(v[i], image + (size_t)(i / side) * stride + (size_t)(i % side), lanes * sizeof(float));
  }
  for (int next = m;; next++) {
    for (int i = 1; i < m; i++)
      for (int l = 0; l < LANES; l++) {
        float p = v[0][l], q = v[i][l];
        v[0][l] = p < q ? p : q;
        v[i][l] = p < q ? q : p;
      }
    for (int i = 1; i < m - 1; i++)
      for (int l = 0; l < LANES; l++) {
        float p = v[i][l], q = v[m - 1][l];
        v[i][l] = p < q ? p : q;
        v[m - 1][l] = p < q ? q : p;
      }
    if (next == n) break;
    memcpy(v[0], image + (size_t)(next / side) * stride + (size_t)(next % side), lanes * sizeof(float));
    m--;
  }
  memcpy(out, v[1], lanes * sizeof(float));
}

int post_median(const float *src, float *dst, size_t height, size_t width, int radius) {
  if (height == 0 || width == 0) return 0;
  size_t stride = width + 2 * (size_t)radius;
  float *image = padded(src, height, width, (size_t)radius);
  if (!image) return -1;
  for (size_t y = 0; y < height; y++)
    for (size_t x = 0; x < width; x += LANES) {
      size_t lanes = width - x < LANES ? width - x : LANES;
      medianBlock(image + y * stride + x, stride, radius, dst + y * width + x, lanes);
    }
  free(image);
  return 0;
}

// --- non-local means ------------------------------------------------------------------------------------------------

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

// Patch differences are taken on 12-bit integers, so the running box sums are exact: a pixel's result does not depend on
// where the sums began, and at most 121 squares of 24 bits fit 32 bits.
int post_nlm(const float *src, float *dst, size_t height, size_t width, int patch, int search, float strength) {
  if (height == 0 || width == 0) return 0;
  size_t pad = (size_t)(patch + search), stride = width + 2 * pad, rows = height + 2 * pad;
  size_t columnCount = width + 2 * (size_t)patch;
  int side = 2 * patch + 1;
  float *image = padded(src, height, width, pad);
  int32_t *level = malloc(sizeof(int32_t) * stride * rows);
  uint32_t *columns = malloc(sizeof(uint32_t) * (columnCount + width));
  float *sums = malloc(sizeof(float) * 2 * NLM_ROWS * width);
  int status = image && level && columns && sums ? 0 : -1;
  if (status == 0) {
    for (size_t i = 0; i < stride * rows; i++) {
      float v = image[i];
      v = v < 0 ? 0 : v > 1 ? 1 : v;
      level[i] = (int32_t)(v * 4095.0f + 0.5f);
    }
    float scale = -1.44269504f / (4095.0f * 4095.0f * (float)(side * side) * strength * strength);
    for (size_t top = 0; top < height; top += NLM_ROWS) {
      size_t strip = height - top < NLM_ROWS ? height - top : NLM_ROWS;
      float *sum = sums, *weight = sums + NLM_ROWS * width;
      memset(sums, 0, sizeof(float) * 2 * NLM_ROWS * width);
      for (int dy = -search; dy <= search; dy++)
        for (int dx = -search; dx <= search; dx++) {
          // Row r of the padded image, first column of the patch window.
          const int32_t *here = level + (top + (size_t)search) * stride + (size_t)search;
          const int32_t *there = here + (ptrdiff_t)dy * (ptrdiff_t)stride + dx;
          const float *values = image + (ptrdiff_t)((top + pad) * stride + pad) + (ptrdiff_t)dy * (ptrdiff_t)stride + dx;
          memset(columns, 0, sizeof(uint32_t) * columnCount);
          for (int k = 0; k < side - 1; k++)
            nlmSquares(here + (size_t)k * stride, there + (size_t)k * stride, columns, columnCount, 1);
          for (size_t y = 0; y < strip; y++) {
            size_t in = (y + (size_t)side - 1) * stride, out = y * stride;
            nlmSquares(here + in, there + in, columns, columnCount, 1);
            nlmRow(
                columns, columns + columnCount, values + y * stride, sum + y * width, weight + y * width, width, side,
                scale);
            nlmSquares(here + out, there + out, columns, columnCount, -1);
          }
        }
      for (size_t i = 0; i < strip * width; i++) dst[top * width + i] = sum[i] / weight[i];
    }
  }
  free(image);
  free(level);
  free(columns);
  free(sums);
  return status;
}

// --- contrast -------------------------------------------------------------------------------------------------------

enum { BINS = 256 };

// Maps 256 intensities to 0...1 by the clipped cumulative histogram of one tile.
static void claheMap(const float *image, size_t width, size_t rows, size_t columns, float clip, float *map) {
  uint64_t histogram[BINS] = {0}, excess = 0, pixels = (uint64_t)rows * columns;
  for (size_t y = 0; y < rows; y++)
    for (size_t x = 0; x < columns; x++) histogram[(int)(image[y * width + x] * 255.0f + 0.5f)]++;
  uint64_t limit = (uint64_t)((double)clip * (double)pixels / BINS);
  if (limit < 1) limit = 1;
  for (int i = 0; i < BINS; i++)
    if (histogram[i] > limit) {
      excess += histogram[i] - limit;
      histogram[i] = limit;
    }
  uint64_t each = excess / BINS, rest = excess % BINS, below = 0;
  for (uint64_t i = 0; i < BINS; i++) {
    // The remainder is spread evenly: bin i takes one where i * rest / BINS steps.
    uint64_t extra = (i + 1) * rest / BINS - i * rest / BINS;
    uint64_t count = histogram[i] + each + extra;
    // The middle of the bin's own mass: a constant tile maps to itself under full clipping.
    map[i] = (float)(((double)below + 0.5 * (double)count) / (double)pixels);
    below += count;
  }
}

int post_clahe(const float *src, float *dst, size_t height, size_t width, size_t tile, float clip) {
  if (height == 0 || width == 0) return 0;
  size_t tilesY = (height + tile - 1) / tile, tilesX = (width + tile - 1) / tile;
  float *image = padded(src, height, width, 0);
  float *maps = malloc(sizeof(float) * BINS * tilesY * tilesX);
  if (!image || !maps) {
    free(image);
    free(maps);
    return -1;
  }
  for (size_t i = 0; i < height * width; i++) image[i] = image[i] < 0 ? 0 : image[i] > 1 ? 1 : image[i];
  for (size_t ty = 0; ty < tilesY; ty++)
    for (size_t tx = 0; tx < tilesX; tx++) {
      // A last tile that is cut short is moved back over the image to be whole again.
      size_t rows = tile < height ? tile : height, columns = tile < width ? tile : width;
      size_t y = ty * tile + rows > height ? height - rows : ty * tile;
      size_t x = tx * tile + columns > width ? width - columns : tx * tile;
      claheMap(image + y * width + x, width, rows, columns, clip, maps + (ty * tilesX + tx) * BINS);
    }
  for (size_t y = 0; y < height; y++) {
    // Tile centres lie at (t + 1/2) tile; beyond the first and last centre the nearest map holds.
    double fy = ((double)(y % tile) + 0.5) / (double)tile - 0.5;
    ptrdiff_t ty = (ptrdiff_t)(y / tile) - (fy < 0);
    float wy = (float)(fy < 0 ? fy + 1 : fy);
    size_t t0 = clampIndex(ty, tilesY) * tilesX, t1 = clampIndex(ty + 1, tilesY) * tilesX;
    for (size_t x = 0; x < width; x++) {
      double fx = ((double)(x % tile) + 0.5) / (double)tile - 0.5;
      ptrdiff_t tx = (ptrdiff_t)(x / tile) - (fx < 0);
      float wx = (float)(fx < 0 ? fx + 1 : fx);
      size_t s0 = clampIndex(tx, tilesX), s1 = clampIndex(tx + 1, tilesX);
      float v = image[y * width + x] * 255.0f;
      int bin = (int)v;
      int next = bin < BINS - 1 ? bin + 1 : bin;
      float f = v - (float)bin;
#define MAP(t) (maps[(t) * BINS + (size_t)bin] * (1 - f) + maps[(t) * BINS + (size_t)next] * f)
      float upper = MAP(t0 + s0) * (1 - wx) + MAP(t0 + s1) * wx;
      float lower = MAP(t1 + s0) * (1 - wx) + MAP(t1 + s1) * wx;
#undef MAP
      dst[y * width + x] = upper * (1 - wy) + lower * wy;
    }
  }
  free(image);
  free(maps);
  return 0;
}
