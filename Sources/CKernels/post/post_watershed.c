#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "post_clones.h"
#include "post_kernels.h"
#include "post_planes.h"

CLONES static void levels_inside(const uint8_t *y, const uint8_t *x, uint16_t *level, size_t width) {
  for (size_t i = 0; i < width; i++) level[i] = (uint16_t)(510 - y[i] - x[i]);
}

void post_level_row(const uint8_t *y, const uint8_t *x, uint16_t *level, size_t row, size_t height, size_t width) {
  const uint8_t *above = y + row * width, *left = x + row * width;
  if (row > 0) {
    levels_inside(above, left, level, width);
    level[0] = (uint16_t)(510 - 2 * above[0]);
    return;
  }
  levels_inside(left, left, level, width);
  // The corner has neither affinity: it takes those of its two neighbours to it.
  int right = width > 1 ? x[1] : height > 1 ? y[width] : 255;
  int below = height > 1 ? y[width] : right;
  level[0] = (uint16_t)(510 - right - below);
}

void post_boundary_levels(const uint8_t *y, const uint8_t *x, uint16_t *level, size_t height, size_t width) {
  for (size_t r = 0; r < height; r++) post_level_row(y, x, level + r * width, r, height, width);
}

CLONES void post_down_row(
    const int32_t *above, const uint16_t *level, unsigned limit, int32_t far, int32_t *restrict distance, size_t width) {
  for (size_t x = 0; x < width; x++) {
    int32_t next = above[x] + 1 < far ? above[x] + 1 : far;
    distance[x] = level[x] >= limit ? 0 : next;
  }
}

CLONES void post_up_row(const int32_t *down, int32_t *restrict vertical, size_t width) {
  for (size_t x = 0; x < width; x++) vertical[x] = vertical[x] + 1 < down[x] ? vertical[x] + 1 : down[x];
}

// Rounded down. Of whole numbers below 2^36 and 2^16 a double, which is rounded, never passes a whole number.
static inline int64_t quotient_of(int64_t numerator, int64_t denominator) {
  const double exact = (double)numerator / (double)denominator;
  return (int64_t)exact - ((double)(int64_t)exact > exact);
}

// From left to right the sites that are nearest for some pixels, and where those begin; back again, the distances. The last site is kept in
// registers. With a flag in place of the goto the seeds take a fifth longer.
void post_distance_row(const int32_t *vertical, int32_t *out, size_t width, int32_t far, post_site *sites) {
  const int64_t none = (int64_t)far * far;
  post_site last = {.square = (int64_t)vertical[0] * vertical[0]}, *top = sites;
  for (int64_t u = 1; u < (int64_t)width; u++) {
    const int64_t square = (int64_t)vertical[u] * vertical[u];
    while (1) {
      const int64_t p = last.from - last.at, q = last.from - u;
      if (p * p + last.square <= q * q + square) break;
      if (top == sites) goto first;
      last = *--top;
    }
    const int64_t numerator = u * u - (int64_t)last.at * last.at + square - last.square;
    const int64_t quotient = last.at + 1 == u ? numerator >> 1 : quotient_of(numerator, 2 * (u - last.at));
    if (quotient + 1 < (int64_t)width) {
      *top++ = last;
      last = (post_site){.square = square, .at = (int32_t)u, .from = (int32_t)quotient + 1};
    }
    continue;
  first:
    last = (post_site){.square = square, .at = (int32_t)u};
  }
  for (int64_t u = (int64_t)width - 1; u >= 0; u--) {
    const int64_t d = u - last.at, value = d * d + last.square;
    out[u] = value >= none ? INT32_MAX : (int32_t)value;
    if (u == last.from && u) last = *--top;
  }
}

// Meijster, Roerdink and Hesselink's two passes, in integers.
int post_distance(const uint16_t *level, uint16_t limit, int32_t *distance, size_t height, size_t width) {
  if (height == 0 || width == 0) return 0;
  int32_t far = (int32_t)(height + width), *vertical = malloc(sizeof *vertical * width);
  post_site *sites = malloc(sizeof *sites * width);
  if (vertical && sites) {
    for (size_t x = 0; x < width; x++) vertical[x] = far;
    for (size_t y = 0; y < height; y++) {
      int32_t *row = distance + y * width;
      post_down_row(y ? row - width : vertical, level + y * width, limit, far, row, width);
    }
    for (size_t y = height; y-- > 0;) {
      post_up_row(distance + y * width, vertical, width);
      post_distance_row(vertical, distance + y * width, width, far, sites);
    }
  }
  int status = vertical && sites ? 0 : -1;
  free(vertical);
  free(sites);
  return status;
}

int64_t *post_gaussian(double sigma, ptrdiff_t *radius, int64_t *total) {
  *radius = (ptrdiff_t)ceil(3 * sigma);
  int64_t *weights = malloc(sizeof(int64_t) * (size_t)(*radius + 1));
  if (!weights) return NULL;
  *total = 0;
  for (ptrdiff_t k = 0; k <= *radius; k++) {
    weights[k] = (int64_t)(65536 * exp(-0.5 * (double)(k * k) / (sigma * sigma)) + 0.5);
    *total += k ? 2 * weights[k] : weights[k];
  }
  return weights;
}

int32_t post_root(int32_t square) { return (int32_t)(64 * sqrt((double)square) + 0.5); }

int post_smooth(const int32_t *distance, int32_t *smoothed, size_t height, size_t width, double sigma) {
  size_t n = height * width;
  if (n == 0) return 0;
  ptrdiff_t radius;
  int64_t total, *weights = post_gaussian(sigma, &radius, &total);
  int32_t *line = malloc(sizeof(int32_t) * (height > width ? height : width));
  if (!weights || !line) {
    free(weights);
    free(line);
    return -1;
  }
  for (size_t i = 0; i < n; i++) smoothed[i] = post_root(distance[i]);
  for (int axis = 0; axis < 2; axis++) {
    ptrdiff_t length = (ptrdiff_t)(axis ? width : height);
    size_t step = axis ? 1 : width, lines = axis ? height : width;
    for (size_t l = 0; l < lines; l++) {
      int32_t *at = smoothed + (axis ? l * width : l);
      for (ptrdiff_t i = 0; i < length; i++) line[i] = at[(size_t)i * step];
      for (ptrdiff_t i = 0; i < length; i++) {
        int64_t sum = weights[0] * line[i];
        for (ptrdiff_t k = 1; k <= radius; k++) {
          ptrdiff_t p = i - k < 0 ? 0 : i - k, q = i + k >= length ? length - 1 : i + k;
          sum += weights[k] * ((int64_t)line[p] + line[q]);
        }
        at[(size_t)i * step] = (int32_t)((sum + total / 2) / total);
      }
    }
  }
  free(weights);
  free(line);
  return 0;
}

// Largest value of the square window around each pixel.
static int windowMaximum(const int32_t *surface, int32_t *out, int radius, size_t height, size_t width) {
  int32_t *rows = malloc(sizeof(int32_t) * height * width);
  if (!rows) return -1;
  for (size_t y = 0; y < height; y++) {
    const int32_t *in = surface + y * width;
    int32_t *to = rows + y * width;
    memcpy(to, in, sizeof(int32_t) * width);
    for (size_t k = 1; k <= (size_t)radius && k < width; k++)
      for (size_t x = 0; x + k < width; x++) {
        if (in[x + k] > to[x]) to[x] = in[x + k];
        if (in[x] > to[x + k]) to[x + k] = in[x];
      }
  }
  memcpy(out, rows, sizeof(int32_t) * height * width);
  for (size_t k = 1; k <= (size_t)radius && k < height; k++)
    for (size_t y = 0; y + k < height; y++)
      for (size_t x = 0; x < width; x++) {
        size_t p = y * width + x, q = p + k * width;
        if (rows[q] > out[p]) out[p] = rows[q];
        if (rows[p] > out[q]) out[q] = rows[p];
      }
  free(rows);
  return 0;
}

int post_seeds(
    const int32_t *surface, const int32_t *distance, int radius, uint32_t *labels, uint32_t *count, size_t height,
    size_t width) {
  size_t n = height * width;
  *count = 0;
  memset(labels, 0, sizeof(uint32_t) * n);
  uint32_t *queue = malloc(sizeof(uint32_t) * (n ? n : 1));
  uint8_t *open = malloc(n ? n : 1);
  int32_t *largest = radius > 0 && n > 0 ? malloc(sizeof(int32_t) * n) : NULL;
  int status = queue && open && (largest || radius <= 0 || n == 0) ? 0 : -1;
  if (status == 0 && largest) status = windowMaximum(surface, largest, radius, height, width);
  if (status == 0) {
    for (size_t i = 0; i < n; i++) open[i] = distance[i] > 0 && (!largest || surface[i] == largest[i]);
    for (size_t start = 0; start < n; start++) {
      if (!open[start]) continue;
      size_t head = 0, tail = 0;
      int maximum = 1;
      queue[tail++] = (uint32_t)start;
      open[start] = 0;
      while (head < tail) {
        size_t p = queue[head++];
        neighbours around = neighboursOf(p, height, width);
        for (int k = 0; k < around.count; k++) {
          size_t q = around.position[k];
          if (!largest && surface[q] > surface[start]) maximum = 0;
          if (open[q] && (largest || surface[q] == surface[start])) {
            open[q] = 0;
            queue[tail++] = (uint32_t)q;
          }
        }
      }
      if (!maximum) continue;
      ++*count;
      for (size_t i = 0; i < tail; i++) labels[queue[i]] = *count;
    }
  }
  free(queue);
  free(open);
  free(largest);
  return status;
}

int post_remove_small(uint32_t *labels, size_t pixels, uint32_t count, uint64_t minimum, int keep_one) {
  uint64_t *size = calloc((size_t)count + 1, sizeof(uint64_t));
  if (!size) return -1;
  for (size_t i = 0; i < pixels; i++) size[labels[i]]++;
  uint32_t largest = 0;
  for (uint32_t l = 1; l <= count; l++)
    if (!largest || size[l] > size[largest]) largest = l;
  for (size_t i = 0; i < pixels; i++) {
    uint32_t l = labels[i];
    if (l && size[l] < minimum && !(keep_one && l == largest)) labels[i] = 0;
  }
  free(size);
  return 0;
}

int64_t post_renumber(uint32_t *labels, size_t pixels, uint32_t count) {
  uint32_t *to = calloc((size_t)count + 1, sizeof(uint32_t));
  if (!to) return -1;
  uint32_t next = 0;
  for (size_t i = 0; i < pixels; i++) {
    uint32_t l = labels[i];
    if (!l) continue;
    if (!to[l]) to[l] = ++next;
    labels[i] = to[l];
  }
  free(to);
  return next;
}
