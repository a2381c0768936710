#pragma once
#include <stddef.h>
#include <stdint.h>

typedef struct {
  size_t position[4];
  int count;
} neighbours;

// Above, left, right, below: the order is part of the result (ties in the flood).
static inline neighbours neighboursOf(size_t p, size_t height, size_t width) {
  neighbours out = {.count = 0};
  // Division of 32-bit numbers is twice as fast.
  size_t x = p <= UINT32_MAX ? (uint32_t)p % (uint32_t)width : p % width;
  if (p >= width) out.position[out.count++] = p - width;
  if (x > 0) out.position[out.count++] = p - 1;
  if (x + 1 < width) out.position[out.count++] = p + 1;
  if (p + width < height * width) out.position[out.count++] = p + width;
  return out;
}

// As post_boundary_levels has it, of pixel p.
static inline unsigned levelAt(const uint8_t *y, const uint8_t *x, size_t p, size_t height, size_t width) {
  unsigned above = y[p], left = x[p];
  if (p < width || p % width == 0) {
    int atTop = p < width, atLeft = p % width == 0;
    if (atTop && atLeft) {
      left = width > 1 ? x[1] : height > 1 ? y[width] : 255;
      above = height > 1 ? y[width] : left;
    } else if (atTop) above = left;
    else left = above;
  }
  return 510 - above - left;
}

// One row of distances: squares (width) of the distance to the nearest background of any row <- vertical (width), the
// distance to the nearest of the same column, `far` if there is none. The other buffers have width entries.
void post_distance_row(
    const int32_t *vertical, int32_t *out, size_t width, int32_t far, int64_t *square, int32_t *site, int32_t *from);
// Weights of a Gaussian in whole numbers, 0...*radius; *total is the sum over the window. NULL: no memory.
int64_t *post_gaussian(double sigma, ptrdiff_t *radius, int64_t *total);
// Distance (not squared) in 1/64 pixel.
int32_t post_root(int32_t square);
