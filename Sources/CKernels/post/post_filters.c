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

CLONES static void finiteRow(const float *from, float *to, size_t n) {
  for (size_t i = 0; i < n; i++) to[i] = from[i] - from[i] == 0 ? from[i] : 0;
}

// (H + 2 pad, W + 2 pad) <- (H, W), edges repeated, what is not finite set to 0.
static float *padded(const float *src, size_t height, size_t width, size_t pad) {
  size_t w = width + 2 * pad, h = height + 2 * pad;
  float *out = malloc(sizeof(float) * w * h);
  if (!out) return NULL;
  for (size_t y = 0; y < h; y++) {
    float *to = out + y * w;
    finiteRow(src + clampIndex((ptrdiff_t)y - (ptrdiff_t)pad, height) * width, to + pad, width);
    for (size_t x = 0; x < pad; x++) {
      to[x] = to[pad];
      to[pad + width + x] = to[pad + width - 1];
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

// Windows of 3 and 5: whole numbers in the order of the floats, as their comparison is one instruction.

// What is not finite is 0.
CLONES static void toKeys(const float *restrict from, int32_t *restrict to, size_t n) {
  for (size_t i = 0; i < n; i++) {
    union { float f; int32_t i; } bits = {.f = from[i] - from[i] == 0 ? from[i] : 0};
    to[i] = bits.i ^ ((bits.i >> 31) & 0x7FFFFFFF);
  }
}

static inline __attribute__((always_inline)) float fromKey(int32_t key) {
  union { float f; int32_t i; } bits = {.i = key ^ ((key >> 31) & 0x7FFFFFFF)};
  return bits.f;
}

#define LEAST(p, q) ((p) < (q) ? (p) : (q))
#define MOST(p, q) ((p) < (q) ? (q) : (p))
#define SORT(p, q)                  \
  do {                              \
    int32_t least_ = LEAST(p, q);   \
    q = MOST(p, q);                 \
    p = least_;                     \
  } while (0)
#define SORT3(a, b, c) \
  do {                 \
    SORT(a, b);        \
    SORT(b, c);        \
    SORT(a, b);        \
  } while (0)
#define SORT5(a, b, c, d, e) \
  do {                       \
    SORT(a, b);              \
    SORT(d, e);              \
    SORT(c, e);              \
    SORT(c, d);              \
    SORT(b, e);              \
    SORT(a, d);              \
    SORT(a, c);              \
    SORT(b, d);              \
    SORT(b, c);              \
  } while (0)

// Of nine: the median of the largest of the columns' least, the middle of their middles and the least of their largest.
CLONES static void medianRow3(
    const int32_t *restrict r0, const int32_t *restrict r1, const int32_t *restrict r2, float *restrict out, size_t n) {
#pragma clang loop interleave_count(1) vectorize_width(16)
  for (size_t i = 0; i < n; i++) {
    int32_t a0 = r0[i], a1 = r1[i], a2 = r2[i];
    int32_t b0 = r0[i + 1], b1 = r1[i + 1], b2 = r2[i + 1];
    int32_t c0 = r0[i + 2], c1 = r1[i + 2], c2 = r2[i + 2];
    SORT3(a0, a1, a2);
    SORT3(b0, b1, b2);
    SORT3(c0, c1, c2);
    int32_t low = MOST(MOST(a0, b0), c0), high = LEAST(LEAST(a2, b2), c2);
    int32_t mid = MOST(LEAST(a1, b1), LEAST(MOST(a1, b1), c1));
    SORT(low, mid);
    out[i] = fromKey(MOST(low, LEAST(mid, high)));
  }
}

// Columns are sorted once for all windows they are part of.
CLONES static void sortColumns5(
    const int32_t *restrict r0, const int32_t *restrict r1, const int32_t *restrict r2, const int32_t *restrict r3,
    const int32_t *restrict r4, int32_t *restrict s0, int32_t *restrict s1, int32_t *restrict s2, int32_t *restrict s3,
    int32_t *restrict s4, size_t n) {
  for (size_t i = 0; i < n; i++) {
    int32_t a = r0[i], b = r1[i], c = r2[i], d = r3[i], e = r4[i];
    SORT5(a, b, c, d, e);
    s0[i] = a;
    s1[i] = b;
    s2[i] = c;
    s3[i] = d;
    s4[i] = e;
  }
}

// Of 25 numbers in sorted columns, whose rows are then sorted too, 13 can be the median: the others have 13 or more on one side.
CLONES static void medianRow5(
    const int32_t *restrict r0, const int32_t *restrict r1, const int32_t *restrict r2, const int32_t *restrict r3,
    const int32_t *restrict r4, float *restrict out, size_t n) {
#define ROW(r) int32_t a = r[i], b = r[i + 1], c = r[i + 2], d = r[i + 3], e = r[i + 4]; SORT5(a, b, c, d, e)
  // One vector at a time: two do not fit the registers.
#pragma clang loop interleave_count(1) vectorize_width(16)
  for (size_t i = 0; i < n; i++) {
    int32_t v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12;
    { ROW(r0); v0 = d; v1 = e; }
    { ROW(r1); v2 = c; v3 = d; v4 = e; }
    { ROW(r2); v5 = b; v6 = c; v7 = d; }
    { ROW(r3); v8 = a; v9 = b; v10 = c; }
    { ROW(r4); v11 = a; v12 = b; }
    // Forgetful selection: of the first 8 of 13 the least and the largest are not the median, and so on.
    SORT(v0, v1); SORT(v0, v2); SORT(v0, v3); SORT(v0, v4); SORT(v0, v5); SORT(v0, v6); SORT(v0, v7);
    SORT(v1, v7); SORT(v2, v7); SORT(v3, v7); SORT(v4, v7); SORT(v5, v7); SORT(v6, v7);
    SORT(v8, v1); SORT(v8, v2); SORT(v8, v3); SORT(v8, v4); SORT(v8, v5); SORT(v8, v6);
    SORT(v1, v6); SORT(v2, v6); SORT(v3, v6); SORT(v4, v6); SORT(v5, v6);
    SORT(v9, v1); SORT(v9, v2); SORT(v9, v3); SORT(v9, v4); SORT(v9, v5);
    SORT(v1, v5); SORT(v2, v5); SORT(v3, v5); SORT(v4, v5);
    SORT(v10, v1); SORT(v10, v2); SORT(v10, v3); SORT(v10, v4);
    SORT(v1, v4); SORT(v2, v4); SORT(v3, v4);
    SORT(v11, v1); SORT(v11, v2); SORT(v11, v3);
    SORT(v1, v3); SORT(v2, v3);
    SORT(v12, v1); SORT(v12, v2);
    SORT(v1, v2);
    out[i] = fromKey(v1);
  }
#undef ROW
}

// Keys of a row of the padded image.
static void keyRow(const float *src, size_t height, size_t width, ptrdiff_t y, size_t radius, int32_t *to) {
  toKeys(src + clampIndex(y, height) * width, to + radius, width);
  for (size_t x = 0; x < radius; x++) {
    to[x] = to[radius];
    to[radius + width + x] = to[radius + width - 1];
  }
}

static int smallMedian(const float *src, float *dst, size_t height, size_t width, size_t radius) {
  // Rows do not begin alike modulo 4096 bytes: the processor would take a write to one for a write to another.
  size_t side = 2 * radius + 1, columns = width + 2 * radius, stride = (columns + 1023) / 1024 * 1024 + 112;
  int32_t *rows = malloc(sizeof(int32_t) * 2 * side * stride);
  if (!rows) return -1;
  int32_t *row[5], *sorted[5];
  for (size_t i = 0; i < side; i++) {
    row[i] = rows + i * stride;
    sorted[i] = row[i] + side * stride;
  }
  for (size_t i = 0; i + 1 < side; i++) keyRow(src, height, width, (ptrdiff_t)i - (ptrdiff_t)radius, radius, row[i]);
  for (size_t y = 0; y < height; y++) {
    // The newest row takes the place of the oldest: columns are sorted, so the order of rows does not matter.
    keyRow(src, height, width, (ptrdiff_t)(y + radius), radius, row[(y + side - 1) % side]);
    if (radius == 1) {
      medianRow3(row[0], row[1], row[2], dst + y * width, width);
    } else {
      sortColumns5(
          row[0], row[1], row[2], row[3], row[4], sorted[0], sorted[1], sorted[2], sorted[3], sorted[4], columns);
      medianRow5(sorted[0], sorted[1], sorted[2], sorted[3], sorted[4], dst + y * width, width);
    }
  }
  free(rows);
  return 0;
}

int post_median(const float *src, float *dst, size_t height, size_t width, int radius) {
  if (height == 0 || width == 0) return 0;
  if (radius <= 2) return smallMedian(src, dst, height, width, (size_t)radius);
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
  // Four counts in turn: neighbours are often alike, and a count waits for the one before.
  uint32_t parts[4][BINS] = {{0}};
  for (size_t y = 0; y < rows; y++)
    for (size_t x = 0; x < columns; x++) parts[x & 3][(int)(image[y * width + x] * 255.0f + 0.5f)]++;
  for (int i = 0; i < BINS; i++) histogram[i] = (uint64_t)parts[0][i] + parts[1][i] + parts[2][i] + parts[3][i];
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

// Where the pixels of a row or column lie between the centres of tiles: the nearer ones' maps, and the share of the second. Beyond the first
// and last centre the nearest map holds.
static float between(size_t place, size_t tile, size_t tiles, size_t *first, size_t *second) {
  double f = ((double)(place % tile) + 0.5) / (double)tile - 0.5;
  ptrdiff_t t = (ptrdiff_t)(place / tile) - (f < 0);
  *first = clampIndex(t, tiles);
  *second = clampIndex(t + 1, tiles);
  return (float)(f < 0 ? f + 1 : f);
}

CLONES static void blend(
    const float *restrict upper, const float *restrict lower, float weight, float *restrict out, size_t n) {
  for (size_t i = 0; i < n; i++) out[i] = upper[i] * (1 - weight) + lower[i] * weight;
}

CLONES static void clampRow(float *row, size_t n) {
  for (size_t i = 0; i < n; i++) row[i] = row[i] < 0 ? 0 : row[i] > 1 ? 1 : row[i];
}

// `maps` are a row's, blended: map t at t * STEP. A last entry repeats, for the neighbour of the last bin.
CLONES static void claheRow(
    const float *restrict row, const float *restrict maps, const uint32_t *restrict first, const uint32_t *restrict second,
    const float *restrict weight, float *restrict out, size_t n) {
  for (size_t x = 0; x < n; x++) {
    float v = row[x] * 255.0f;
    int bin = (int)v;
    float f = v - (float)bin;
    const float *one = maps + first[x] + bin, *two = maps + second[x] + bin;
    float left = one[0] * (1 - f) + one[1] * f, right = two[0] * (1 - f) + two[1] * f;
    out[x] = left * (1 - weight[x]) + right * weight[x];
  }
}

int post_clahe(const float *src, float *dst, size_t height, size_t width, size_t tile, float clip) {
  if (height == 0 || width == 0) return 0;
  size_t tilesY = (height + tile - 1) / tile, tilesX = (width + tile - 1) / tile, step = BINS + 1;
  float *image = padded(src, height, width, 0);
  float *maps = malloc(sizeof(float) * step * (tilesY + 1) * tilesX);
  float *weight = malloc(sizeof(float) * width);
  uint32_t *places = malloc(sizeof(uint32_t) * 2 * width);
  int status = image && maps && weight && places ? 0 : -1;
  if (status == 0) {
    clampRow(image, height * width);
    for (size_t ty = 0; ty < tilesY; ty++)
      for (size_t tx = 0; tx < tilesX; tx++) {
        // A last tile that is cut short is moved back over the image to be whole again.
        size_t rows = tile < height ? tile : height, columns = tile < width ? tile : width;
        size_t y = ty * tile + rows > height ? height - rows : ty * tile;
        size_t x = tx * tile + columns > width ? width - columns : tx * tile;
        float *map = maps + (ty * tilesX + tx) * step;
        claheMap(image + y * width + x, width, rows, columns, clip, map);
        map[BINS] = map[BINS - 1];
      }
    float *blended = maps + step * tilesY * tilesX;
    for (size_t x = 0; x < width; x++) {
      size_t s0, s1;
      weight[x] = between(x, tile, tilesX, &s0, &s1);
      places[x] = (uint32_t)(s0 * step);
      places[width + x] = (uint32_t)(s1 * step);
    }
    for (size_t y = 0; y < height; y++) {
      size_t t0, t1;
      float wy = between(y, tile, tilesY, &t0, &t1);
      blend(maps + t0 * tilesX * step, maps + t1 * tilesX * step, wy, blended, step * tilesX);
      claheRow(image + y * width, blended, places, places + width, weight, dst + y * width, width);
    }
  }
  free(image);
  free(maps);
  free(weight);
  free(places);
  return status;
}
