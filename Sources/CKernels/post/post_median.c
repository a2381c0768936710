#include <stdlib.h>
#include <string.h>

#include "post_filters.h"
#include "post_kernels.h"

#pragma STDC FP_CONTRACT OFF

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

// Windows of 5: whole numbers in the order of the floats, as their comparison is one instruction.

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
#define MOST(p, q) ((p) > (q) ? (p) : (q))
#define SORT(p, q)                  \
  do {                              \
    int32_t least_ = LEAST(p, q);   \
    q = MOST(p, q);                 \
    p = least_;                     \
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

// Windows of 3, on floats: they are finite, so LEAST and MOST are one instruction each.

CLONES static void sortColumns3(
    const float *restrict r0, const float *restrict r1, const float *restrict r2, float *restrict s0, float *restrict s1,
    float *restrict s2, size_t n) {
  for (size_t i = 0; i < n; i++) {
    float a = LEAST(r0[i], r1[i]), b = MOST(r0[i], r1[i]), c = LEAST(b, r2[i]);
    s0[i] = LEAST(a, c);
    s1[i] = MOST(a, c);
    s2[i] = MOST(b, r2[i]);
  }
}

// Of nine: the median of the largest of the columns' least, the middle of their middles and the least of their largest. A column (l, m, h) and
// its two neighbours come as rows of their own: of one row and its shifts the compiler makes shuffles, which take longer than loads.
CLONES static void medianRow3(
    const float *restrict l0, const float *restrict l1, const float *restrict l2, const float *restrict m0,
    const float *restrict m1, const float *restrict m2, const float *restrict h0, const float *restrict h1,
    const float *restrict h2, float *restrict out, size_t n) {
  for (size_t i = 0; i < n; i++) {
    float low = MOST(MOST(l0[i], l1[i]), l2[i]), high = LEAST(LEAST(h0[i], h1[i]), h2[i]);
    float middle = MOST(LEAST(m0[i], m1[i]), LEAST(MOST(m0[i], m1[i]), m2[i]));
    out[i] = MOST(LEAST(low, middle), LEAST(MOST(low, middle), high));
  }
}

// Rows do not begin alike modulo 4096 bytes: the processor would take a write to one for a write to another.
static size_t rowStride(size_t columns) { return (columns + 1023) / 1024 * 1024 + 112; }

enum { ROWS = 128, RADIUS = 2, SIDE = 5 };

// The image is filtered in its place, ROWS rows after each other, which see this many rows of the pieces above and below as they were.
struct medians {
  int radius;
  const float *kept;  // of each border between pieces (2 * RADIUS, width): the rows above and below it
};

static float *keptRows(const float *image, size_t height, size_t width) {
  const size_t borders = (height - 1) / ROWS;
  float *kept = malloc(sizeof(float) * (borders + 1) * 2 * RADIUS * width);
  for (size_t b = 0; kept && b < borders; b++)
    for (size_t i = 0; i < 2 * RADIUS; i++)
      memcpy(
          kept + (b * 2 * RADIUS + i) * width,
          image + clampIndex((ptrdiff_t)((b + 1) * ROWS + i) - RADIUS, height) * width, sizeof(float) * width);
  return kept;
}

// Row y as it was, for the piece of rows first ..< last.
static const float *rowBefore(const struct filtering *f, ptrdiff_t y, long first, long last) {
  const struct medians *m = f->options;
  const ptrdiff_t row = (ptrdiff_t)clampIndex(y, f->height);
  if (row >= first && row < last) return f->image + row * (ptrdiff_t)f->width;
  const ptrdiff_t border = row < first ? first : last;
  return m->kept + ((border / ROWS - 1) * 2 * RADIUS + row - border + RADIUS) * (ptrdiff_t)f->width;
}

static void median3(const void *context, long first, long last) {
  const struct filtering *f = context;
  size_t width = f->width, columns = width + 2, stride = rowStride(columns);
  float *rows = malloc(sizeof(float) * 6 * stride);
  if (!rows) {
    atomic_store(f->failed, 1);
    return;
  }
  float *l = rows + 3 * stride, *m = l + stride, *h = m + stride;
  for (ptrdiff_t y = first - 2; y < last; y++) {
    // The newest row, with a pixel more on each side, takes the place of the oldest: columns are sorted, so the order of rows does not matter.
    float *newest = rows + (size_t)(y - first + 2) % 3 * stride;
    finiteRow(rowBefore(f, y + 1, first, last), newest + 1, width);
    newest[0] = newest[1];
    newest[width + 1] = newest[width];
    if (y < first) continue;
    sortColumns3(rows, rows + stride, rows + 2 * stride, l, m, h, columns);
    medianRow3(l, l + 1, l + 2, m, m + 1, m + 2, h, h + 1, h + 2, f->image + (size_t)y * width, width);
  }
  free(rows);
}

static void median5(const void *context, long first, long last) {
  const struct filtering *f = context;
  size_t width = f->width, columns = width + 2 * RADIUS, stride = rowStride(columns);
  int32_t *rows = malloc(sizeof(int32_t) * 2 * SIDE * stride);
  if (!rows) {
    atomic_store(f->failed, 1);
    return;
  }
  int32_t *row[SIDE], *sorted[SIDE];
  for (size_t i = 0; i < SIDE; i++) {
    row[i] = rows + i * stride;
    sorted[i] = row[i] + SIDE * stride;
  }
  for (ptrdiff_t y = first - SIDE + 1; y < last; y++) {
    int32_t *newest = row[(size_t)(y - first + SIDE - 1) % SIDE];
    toKeys(rowBefore(f, y + RADIUS, first, last), newest + RADIUS, width);
    for (size_t x = 0; x < RADIUS; x++) {
      newest[x] = newest[RADIUS];
      newest[RADIUS + width + x] = newest[RADIUS + width - 1];
    }
    if (y < first) continue;
    sortColumns5(
        row[0], row[1], row[2], row[3], row[4], sorted[0], sorted[1], sorted[2], sorted[3], sorted[4], columns);
    medianRow5(sorted[0], sorted[1], sorted[2], sorted[3], sorted[4], f->image + (size_t)y * width, width);
  }
  free(rows);
}

// Of a padded copy.
static void medianBlocks(const void *context, long first, long last) {
  const struct filtering *f = context;
  const struct medians *m = f->options;
  size_t stride = f->width + 2 * (size_t)m->radius;
  for (size_t y = (size_t)first; y < (size_t)last; y++)
    for (size_t x = 0; x < f->width; x += LANES) {
      size_t lanes = f->width - x < LANES ? f->width - x : LANES;
      medianBlock(f->source + y * stride + x, stride, m->radius, f->image + y * f->width + x, lanes);
    }
}

int post_median(float *image, size_t height, size_t width, int radius) {
  if (height == 0 || width == 0) return 0;
  const int inPlace = radius <= RADIUS;
  float *copy = inPlace ? keptRows(image, height, width) : padded(image, height, width, (size_t)radius);
  if (!copy) return -1;
  const struct medians m = {.radius = radius, .kept = copy};
  const struct filtering f = {.image = image, .source = copy, .height = height, .width = width, .options = &m};
  const int status = inPlace ? filterPieces(f, height, ROWS, radius == 1 ? median3 : median5)
                             : filterPieces(f, height, 16, medianBlocks);
  free(copy);
  return status;
}
