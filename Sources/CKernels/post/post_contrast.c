#include <stdlib.h>
#include <string.h>

#include "post_filters.h"
#include "post_kernels.h"

#pragma STDC FP_CONTRACT OFF

enum { BINS = 256, STEP = BINS + 1, BLOCK = 512 };

// Intensities in 0...1; what is not finite is 0.
static inline __attribute__((always_inline)) float unit(float v) {
  v = v - v == 0 ? v : 0;
  return v < 0 ? 0 : v > 1 ? 1 : v;
}

CLONES static void toBins(const float *restrict from, int32_t *restrict to, size_t n) {
  for (size_t i = 0; i < n; i++) to[i] = (int32_t)(unit(from[i]) * 255.0f + 0.5f);
}

// Maps 256 intensities to 0...1 by the clipped cumulative histogram of one tile.
static void claheMap(const float *image, size_t width, size_t rows, size_t columns, float clip, float *map) {
  uint64_t histogram[BINS] = {0}, excess = 0, pixels = (uint64_t)rows * columns;
  // Four counts in turn: neighbours are often alike, and a count waits for the one before.
  uint32_t parts[4][BINS] = {{0}};
  int32_t bins[BLOCK];
  for (size_t y = 0; y < rows; y++)
    for (size_t x = 0; x < columns; x += BLOCK) {
      size_t n = columns - x < BLOCK ? columns - x : BLOCK;
      toBins(image + y * width + x, bins, n);
      for (size_t i = 0; i < n; i++) parts[i & 3][bins[i]]++;
    }
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

// `maps` are a row's, blended: map t at t * STEP. A last entry repeats, for the neighbour of the last bin. The two entries of a map are
// fetched as one: gather instructions take four times as long.
CLONES static void claheRow(
    float *restrict row, const float *restrict maps, const uint32_t *restrict first, const uint32_t *restrict second,
    const float *restrict weight, size_t n) {
  int32_t bin[BLOCK];
  float share[BLOCK], one[2 * BLOCK], two[2 * BLOCK];
  for (size_t begin = 0; begin < n; begin += BLOCK) {
    size_t count = n - begin < BLOCK ? n - begin : BLOCK;
    for (size_t i = 0; i < count; i++) {
      float v = unit(row[begin + i]) * 255.0f;
      bin[i] = (int32_t)v;
      share[i] = v - (float)bin[i];
    }
#pragma clang loop vectorize(disable) unroll_count(4)
    for (size_t i = 0; i < count; i++) {
      memcpy(one + 2 * i, maps + first[begin + i] + (uint32_t)bin[i], 2 * sizeof(float));
      memcpy(two + 2 * i, maps + second[begin + i] + (uint32_t)bin[i], 2 * sizeof(float));
    }
    for (size_t i = 0; i < count; i++) {
      float f = share[i], w = weight[begin + i];
      float left = one[2 * i] * (1 - f) + one[2 * i + 1] * f, right = two[2 * i] * (1 - f) + two[2 * i + 1] * f;
      row[begin + i] = left * (1 - w) + right * w;
    }
  }
}

struct clahe {
  float *maps;  // of STEP entries, tilesY * tilesX
  const float *weight;
  const uint32_t *places;  // of the first, then of the second map of each column
  size_t tile, tilesY, tilesX;
  float clip;
};

// Maps of tiles first ..< last. A last tile that is cut short is moved back over the image to be whole again.
static void claheMaps(const void *context, long first, long last) {
  const struct filtering *f = context;
  const struct clahe *c = f->options;
  size_t rows = c->tile < f->height ? c->tile : f->height, columns = c->tile < f->width ? c->tile : f->width;
  for (size_t t = (size_t)first; t < (size_t)last; t++) {
    size_t y = t / c->tilesX * c->tile, x = t % c->tilesX * c->tile;
    if (y + rows > f->height) y = f->height - rows;
    if (x + columns > f->width) x = f->width - columns;
    float *map = c->maps + t * STEP;
    claheMap(f->image + y * f->width + x, f->width, rows, columns, c->clip, map);
    map[BINS] = map[BINS - 1];
  }
}

static void claheRows(const void *context, long first, long last) {
  const struct filtering *f = context;
  const struct clahe *c = f->options;
  float *blended = malloc(sizeof(float) * STEP * c->tilesX);
  if (!blended) {
    atomic_store(f->failed, 1);
    return;
  }
  for (size_t y = (size_t)first; y < (size_t)last; y++) {
    size_t t0, t1;
    float wy = between(y, c->tile, c->tilesY, &t0, &t1);
    blend(c->maps + t0 * c->tilesX * STEP, c->maps + t1 * c->tilesX * STEP, wy, blended, STEP * c->tilesX);
    claheRow(f->image + y * f->width, blended, c->places, c->places + f->width, c->weight, f->width);
  }
  free(blended);
}

int post_clahe(float *image, size_t height, size_t width, size_t tile, float clip) {
  if (height == 0 || width == 0) return 0;
  struct clahe c = {
      .tile = tile, .tilesY = (height + tile - 1) / tile, .tilesX = (width + tile - 1) / tile, .clip = clip};
  size_t tiles = c.tilesY * c.tilesX;
  float *weight = malloc(sizeof(float) * width);
  uint32_t *places = malloc(sizeof(uint32_t) * 2 * width);
  c.maps = malloc(sizeof(float) * STEP * tiles);
  int status = c.maps && weight && places ? 0 : -1;
  if (status == 0) {
    for (size_t x = 0; x < width; x++) {
      size_t s0, s1;
      weight[x] = between(x, tile, c.tilesX, &s0, &s1);
      places[x] = (uint32_t)(s0 * STEP);
      places[width + x] = (uint32_t)(s1 * STEP);
    }
    c.weight = weight;
    c.places = places;
    struct filtering f = {.image = image, .height = height, .width = width, .options = &c};
    status = filterPieces(f, tiles, 1, claheMaps);
    if (status == 0) status = filterPieces(f, height, 64, claheRows);
  }
  free(c.maps);
  free(weight);
  free(places);
  return status;
}
