#include <stdlib.h>
#include <string.h>

#include "post_clones.h"
#include "post_kernels.h"
#include "post_planes.h"

// Seeds row by row. Down the section goes the distance to the background above, into the labels' own memory; up again,
// each row is completed and hands on to the next stage, which needs a few rows around its own:
//   vertical distance -> squared distance -> (smoothed) surface -> largest of the window -> open or not, into the labels.
// Last, connected open pixels are numbered.

static const uint32_t OPEN = UINT32_MAX;

typedef struct {
  const uint8_t *y, *x;
  uint32_t *labels;
  size_t height, width;
  unsigned limit;
  uint16_t *level;  // of a row
  // Gaussian; without smoothing there are no weights. roots: 2 reach + 1 rows.
  ptrdiff_t reach;
  int64_t *weights, total;
  int32_t *roots, *smooth, *line;
  double *sums;
  // Window: 2 radius + 1 rows of the surface, and of the largest along each row.
  ptrdiff_t radius;
  int32_t *surface, *widest, *padded, *other, *largest;
} stages;

CLONES static void takeLarger(int32_t *restrict out, const int32_t *restrict other, size_t n) {
  for (size_t i = 0; i < n; i++) out[i] = out[i] > other[i] ? out[i] : other[i];
}

CLONES static void largerOfTwo(int32_t *restrict out, const int32_t *a, const int32_t *b, size_t n) {
  for (size_t i = 0; i < n; i++) out[i] = a[i] > b[i] ? a[i] : b[i];
}

// out (width) <- largest of row[x - radius ... x + radius], by windows of 1, 2, 4...; padded and other have width +
// 2 radius entries.
static void largestAlong(
    const int32_t *row, int32_t *out, int32_t *padded, int32_t *other, size_t width, size_t radius) {
  size_t n = width + 2 * radius, side = 2 * radius + 1, span = 1;
  for (size_t i = 0; i < radius; i++) padded[i] = padded[n - 1 - i] = INT32_MIN;
  memcpy(padded + radius, row, sizeof(int32_t) * width);
  // Item i becomes the largest of i ..< i + span.
  for (; 2 * span <= side; span *= 2) {
    largerOfTwo(other, padded, padded + span, n - 2 * span + 1);
    int32_t *swap = padded;
    padded = other;
    other = swap;
  }
  largerOfTwo(out, padded, padded + side - span, width);
}

CLONES static void openWhere(
    const int32_t *surface, const int32_t *largest, const uint16_t *level, unsigned limit, uint32_t *restrict open,
    size_t n) {
  for (size_t i = 0; i < n; i++) open[i] = surface[i] == largest[i] && level[i] < limit ? OPEN : 0;
}

static int32_t *ringRow(int32_t *ring, size_t row, ptrdiff_t radius, size_t width) {
  return ring + row % (size_t)(2 * radius + 1) * width;
}

// The rows around `row` are there.
static void markOpen(stages *s, size_t row) {
  size_t first = row < (size_t)s->radius ? 0 : row - (size_t)s->radius;
  size_t last = row + (size_t)s->radius < s->height ? row + (size_t)s->radius : s->height - 1;
  memcpy(s->largest, ringRow(s->widest, first, s->radius, s->width), sizeof(int32_t) * s->width);
  for (size_t r = first + 1; r <= last; r++)
    takeLarger(s->largest, ringRow(s->widest, r, s->radius, s->width), s->width);
  post_level_row(s->y, s->x, s->level, row, s->height, s->width);
  openWhere(
      ringRow(s->surface, row, s->radius, s->width), s->largest, s->level, s->limit, s->labels + row * s->width,
      s->width);
}

// A new row at the low end of the window of `radius` completes the row in its middle; row 0 completes the rest.
#define FOR_COMPLETED(row, radius, height, completed)                                                            \
  for (ptrdiff_t completed = (ptrdiff_t)(row) + (radius), last_ = (row) ? completed : 0; completed >= last_; completed--) \
    if (completed < (ptrdiff_t)(height))

static void addSurface(stages *s, size_t row, const int32_t *values) {
  int32_t *kept = ringRow(s->surface, row, s->radius, s->width);
  memcpy(kept, values, sizeof(int32_t) * s->width);
  largestAlong(kept, ringRow(s->widest, row, s->radius, s->width), s->padded, s->other, s->width, (size_t)s->radius);
  FOR_COMPLETED(row, s->radius, s->height, done) markOpen(s, (size_t)done);
}

// All are whole numbers below 2^53, so a double holds them exactly, in any order.
CLONES static void addWeighted(
    double *restrict sums, const int32_t *a, const int32_t *b, double weight, size_t n) {
  for (size_t i = 0; i < n; i++) sums[i] += weight * ((double)a[i] + b[i]);
}

// Quotients end less than 1 / total below the next whole number, which is more than a double rounds by.
CLONES static void roundQuotients(const double *sums, double total, double half, int32_t *restrict out, size_t n) {
  for (size_t i = 0; i < n; i++) out[i] = (int32_t)((sums[i] + half) / total);
}

static void smoothRow(stages *s, size_t row) {
  size_t width = s->width, reach = (size_t)s->reach, last = s->height - 1;
  double half = (double)(s->total / 2);
  int32_t *line = s->line + reach;
  memset(s->sums, 0, sizeof(double) * width);
  for (size_t k = 0; k <= reach; k++) {
    const int32_t *above = ringRow(s->roots, row < k ? 0 : row - k, s->reach, width);
    const int32_t *below = ringRow(s->roots, row + k > last ? last : row + k, s->reach, width);
    addWeighted(s->sums, above, below, (double)s->weights[k] / (k ? 1 : 2), width);
  }
  roundQuotients(s->sums, (double)s->total, half, line, width);
  for (size_t k = 1; k <= reach; k++) line[-(ptrdiff_t)k] = line[0], line[width - 1 + k] = line[width - 1];
  memset(s->sums, 0, sizeof(double) * width);
  for (size_t k = 0; k <= reach; k++)
    addWeighted(s->sums, line - k, line + k, (double)s->weights[k] / (k ? 1 : 2), width);
  roundQuotients(s->sums, (double)s->total, half, s->smooth, width);
}

static void addDistance(stages *s, size_t row, const int32_t *squares) {
  if (!s->weights) {
    addSurface(s, row, squares);
    return;
  }
  int32_t *roots = ringRow(s->roots, row, s->reach, s->width);
  for (size_t x = 0; x < s->width; x++) roots[x] = post_root(squares[x]);
  FOR_COMPLETED(row, s->reach, s->height, done) {
    smoothRow(s, (size_t)done);
    addSurface(s, (size_t)done, s->smooth);
  }
}

// 4-connected open pixels become 1...count in raster order of their first.
static int numberOpen(uint32_t *labels, uint32_t *count, size_t height, size_t width) {
  size_t n = height * width, used = 0, capacity = 1 << 16;
  uint32_t *waiting = malloc(sizeof(uint32_t) * capacity);
  if (!waiting) return -1;
  *count = 0;
  for (size_t start = 0; start < n; start++) {
    if (labels[start] != OPEN) continue;
    labels[start] = ++*count;
    waiting[used++] = (uint32_t)start;
    while (used) {
      neighbours around = neighboursOf(waiting[--used], height, width);
      if (used + 4 > capacity) {
        uint32_t *more = realloc(waiting, sizeof(uint32_t) * (capacity *= 2));
        if (!more) {
          free(waiting);
          return -1;
        }
        waiting = more;
      }
      for (int k = 0; k < around.count; k++) {
        size_t p = around.position[k];
        if (labels[p] != OPEN) continue;
        labels[p] = *count;
        waiting[used++] = (uint32_t)p;
      }
    }
  }
  free(waiting);
  return 0;
}

int post_seeds_by_rows(
    const uint8_t *y, const uint8_t *x, uint16_t limit, double sigma, int radius, uint32_t *labels, uint32_t *count,
    size_t height, size_t width) {
  *count = 0;
  if (height == 0 || width == 0) return 0;
  stages s = {.y = y, .x = x, .labels = labels, .height = height, .width = width, .limit = limit, .radius = radius};
  if (sigma > 0) s.weights = post_gaussian(sigma, &s.reach, &s.total);
  // Rows of both rings and of everything between.
  size_t side = 2 * (size_t)radius + 1, reach = s.weights ? 2 * (size_t)s.reach + 1 : 0;
  int32_t *memory = malloc(sizeof(int32_t) * (width * (2 * side + reach + 8) + 4 * (size_t)radius + 2 * (size_t)s.reach));
  post_site *sites = malloc(sizeof *sites * width);
  s.sums = malloc(sizeof(double) * width);
  int status = memory && sites && s.sums && (s.weights || sigma <= 0) ? 0 : -1;
  if (status == 0) {
    int32_t *at = memory, *vertical, *squares;
    s.surface = at, at += width * side;
    s.widest = at, at += width * side;
    s.roots = at, at += width * reach;
    s.largest = at, at += width;
    s.smooth = at, at += width;
    s.line = at, at += width + 2 * (size_t)s.reach;
    vertical = at, at += width;
    squares = at, at += width;
    s.level = (uint16_t *)at, at += width;
    s.padded = at, at += width + 2 * (size_t)radius;
    s.other = at;
    int32_t far = (int32_t)(height + width);
    // What is above the first row and below the last is as far away as can be.
    for (size_t i = 0; i < width; i++) vertical[i] = far;
    int32_t *down = (int32_t *)labels;
    for (size_t row = 0; row < height; row++, down += width) {
      post_level_row(y, x, s.level, row, height, width);
      post_down_row(row ? down - width : vertical, s.level, limit, far, down, width);
    }
    for (size_t row = height; row-- > 0;) {
      post_up_row(down -= width, vertical, width);
      post_distance_row(vertical, squares, width, far, sites);
      addDistance(&s, row, squares);
    }
    status = numberOpen(labels, count, height, width);
  }
  free(memory);
  free(sites);
  free(s.sums);
  free(s.weights);
  return status;
}
