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

// One row of what post_boundary_levels has.
void post_level_row(const uint8_t *y, const uint8_t *x, uint16_t *level, size_t row, size_t height, size_t width);
// Distances to the nearest background of the same column, `far` if there is none; before the first row they are far. One more row down: to what is
// above. One more row up, over what post_down_row gave: vertical (width) is of the row below before, and of this row after.
void post_down_row(
    const int32_t *above, const uint16_t *level, unsigned limit, int32_t far, int32_t *restrict distance, size_t width);
void post_up_row(const int32_t *down, int32_t *restrict vertical, size_t width);
// A column whose background is nearest for the pixels of a row from `from` to where the next one's begin.
typedef struct {
  int64_t square;  // of the distance to it in the column
  int32_t at, from;
} post_site;
// One row of distances: squares (width) of the distance to the nearest background of any row <- vertical (width), the
// distance to the nearest of the same column, `far` if there is none. sites has width entries.
void post_distance_row(const int32_t *vertical, int32_t *out, size_t width, int32_t far, post_site *sites);
// Weights of a Gaussian in whole numbers, 0...*radius; *total is the sum over the window. NULL: no memory.
int64_t *post_gaussian(double sigma, ptrdiff_t *radius, int64_t *total);
// Distance (not squared) in 1/64 pixel.
int32_t post_root(int32_t square);
