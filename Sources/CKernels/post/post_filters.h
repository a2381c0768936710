// What the filters share.
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "../table.h"
#include "post_clones.h"

static inline size_t clampIndex(ptrdiff_t i, size_t n) {
  return i < 0 ? 0 : (size_t)i >= n ? n - 1 : (size_t)i;
}

CLONES static void finiteRow(const float *from, float *to, size_t n) {
  for (size_t i = 0; i < n; i++) to[i] = from[i] - from[i] == 0 ? from[i] : 0;
}

// (H + 2 pad, W + 2 pad) <- (H, W), edges repeated, what is not finite set to 0.
static inline float *padded(const float *src, size_t height, size_t width, size_t pad) {
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

// A filter's work on a plane, cut by rows or tiles over the pool of threads. What a piece gives does not depend on the cut.
struct filtering {
  float *image;
  const float *source;  // what the image is made of, if that is another
  size_t height, width;
  const void *options;
  atomic_int *failed;  // set by a piece that has no memory
};

// 0, or -1 without memory.
static inline int filterPieces(struct filtering f, size_t count, size_t chunk, void (*piece)(const void *, long, long)) {
  atomic_int failed = 0;
  f.failed = &failed;
  ck_parallel((long)count, (long)chunk, piece, &f);
  return atomic_load(&failed) ? -1 : 0;
}
