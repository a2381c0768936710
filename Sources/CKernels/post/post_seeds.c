#include <stdlib.h>
#include <string.h>

#include "post_kernels.h"
#include "post_planes.h"

// Seeds row by row. Down the section goes the distance to the background above, into the labels' own memory; up again,
// each row is completed and hands on to the next stage, which needs a few rows around its own:
//   vertical distance -> squared distance -> (smoothed) surface -> largest of the window -> open or not, into the labels.
// Last, connected open pixels are numbered.

#if defined(__x86_64__)
#define CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CLONES
#endif

static const uint32_t OPEN = UINT32_MAX;

typedef struct {
  const uint8_t *y, *x;
  uint32_t *labels;
  size_t height, width;
  unsigned limit;
  // Gaussian; without smoothing there are no weights. roots: 2 reach + 1 rows.
  ptrdiff_t reach;
  int64_t *weights, total;
  int32_t *roots, *smooth, *line;
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
  const int32_t *surface = ringRow(s->surface, row, s->radius, s->width);
  uint32_t *out = s->labels + row * s->width;
  for (size_t x = 0; x < s->width; x++) {
    int isLargest = surface[x] == s->largest[x];
    out[x] = isLargest && levelAt(s->y, s->x, row * s->width + x, s->height, s->width) < s->limit ? OPEN : 0;
  }
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

static void smoothRow(stages *s, size_t row) {
  ptrdiff_t height = (ptrdiff_t)s->height, width = (ptrdiff_t)s->width;
  for (ptrdiff_t x = 0; x < width; x++) {
    int64_t sum = s->weights[0] * ringRow(s->roots, row, s->reach, s->width)[x];
    for (ptrdiff_t k = 1; k <= s->reach; k++) {
      ptrdiff_t p = (ptrdiff_t)row - k < 0 ? 0 : (ptrdiff_t)row - k;
      ptrdiff_t q = (ptrdiff_t)row + k >= height ? height - 1 : (ptrdiff_t)row + k;
      sum += s->weights[k] * ((int64_t)ringRow(s->roots, (size_t)p, s->reach, s->width)[x] +
                              ringRow(s->roots, (size_t)q, s->reach, s->width)[x]);
    }
    s->line[x] = (int32_t)((sum + s->total / 2) / s->total);
  }
  for (ptrdiff_t x = 0; x < width; x++) {
    int64_t sum = s->weights[0] * s->line[x];
    for (ptrdiff_t k = 1; k <= s->reach; k++) {
      ptrdiff_t p = x - k < 0 ? 0 : x - k, q = x + k >= width ? width - 1 : x + k;
      sum += s->weights[k] * ((int64_t)s->line[p] + s->line[q]);
    }
    s->smooth[x] = (int32_t)((sum + s->total / 2) / s->total);
  }
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

// Labels (as int32) <- distance to the nearest background above in the same column, `far` if there is none.
static void distancesDown(stages *s, int32_t far) {
  int32_t *distance = (int32_t *)s->labels;
  for (size_t row = 0; row < s->height; row++)
    for (size_t x = 0; x < s->width; x++) {
      size_t i = row * s->width + x;
      int32_t above = row ? distance[i - s->width] + 1 : far;
      int isBackground = levelAt(s->y, s->x, i, s->height, s->width) >= s->limit;
      distance[i] = isBackground ? 0 : above < far ? above : far;
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
  int32_t *memory = malloc(sizeof(int32_t) * (width * (2 * side + reach + 9) + 4 * (size_t)radius));
  int64_t *square = malloc(sizeof(int64_t) * width);
  int status = memory && square && (s.weights || sigma <= 0) ? 0 : -1;
  if (status == 0) {
    int32_t *at = memory, *vertical, *squares, *site, *from;
    s.surface = at, at += width * side;
    s.widest = at, at += width * side;
    s.roots = at, at += width * reach;
    s.largest = at, at += width;
    s.smooth = at, at += width;
    s.line = at, at += width;
    vertical = at, at += width;
    squares = at, at += width;
    site = at, at += width;
    from = at, at += width;
    s.padded = at, at += width + 2 * (size_t)radius;
    s.other = at;
    int32_t far = (int32_t)(height + width);
    distancesDown(&s, far);
    for (size_t row = height; row-- > 0;) {
      const int32_t *down = (const int32_t *)labels + row * width;
      for (size_t i = 0; i < width; i++) {
        int32_t below = row + 1 < height ? vertical[i] + 1 : far;
        vertical[i] = below < down[i] ? below : down[i];
      }
      post_distance_row(vertical, squares, width, far, square, site, from);
      addDistance(&s, row, squares);
    }
    status = numberOpen(labels, count, height, width);
  }
  free(memory);
  free(square);
  free(s.weights);
  return status;
}
