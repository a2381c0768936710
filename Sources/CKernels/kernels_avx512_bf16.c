#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"

// AVX-512 with products of bfloat16 numbers: activations stay float32 in memory and are rounded (to nearest, ties to
// even) on the way into a convolution or a linear layer, weights when they are packed; sums are float32. Two inputs that
// follow each other share 32 bits, so that one instruction does two multiply-adds for each of 16 outputs. Everything
// that is not a product with packed weights is computed as in kernels_avx512.c.

#if defined(__x86_64__)
#include <immintrin.h>
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma"))), apply_to = function)
#define VECTOR 16
#define MAX_BLOCK 3
#define BLOCK1 16
#define BLOCK2 12
#define BLOCK3 8
#define NAME(x) x##_avx512_bf16
#define MULTIPLY_PACKED multiply_narrow
static void multiply_narrow(
    const float *in, long stride, long length, const float *packed, int channels, float *out, long step, long pixels,
    int adding);
#include "kernels_template.h"

// out (count) <- in (count), rounded.
static void narrow(const float *in, uint16_t *out, long count) {
  long i = 0;
  for (; i + 32 <= count; i += 32) {
    const __m512bh both = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(in + i + 16), _mm512_loadu_ps(in + i));
    _mm512_storeu_si512(out + i, (__m512i)both);
  }
  for (; i < count; i += 16) {
    const __mmask16 mask = count - i < 16 ? (__mmask16)((1u << (count - i)) - 1) : (__mmask16)0xFFFF;
    const __m256bh part = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, in + i));
    _mm256_mask_storeu_epi16(out + i, mask, (__m256i)part);
  }
}

// A run of inputs of one pixel times a matrix; as `struct tap`, in pairs.
struct narrow_tap {
  const uint16_t *in;
  const float *weights;
};

INLINE __m512bh pair_at(const uint16_t *in) {
  int bits;
  memcpy(&bits, in, sizeof bits);
  return (__m512bh)_mm512_set1_epi32(bits);
}

// As `products`; `pairs` of each tap, `stride` in inputs.
INLINE void narrow_products(
    const struct narrow_tap *taps, int count, long offset, long pairs, long stride, const float *bias, const int pixels,
    const int vectors, vec *acc) {
#pragma clang loop unroll(full)
  for (int p = 0; p < pixels; p++)
#pragma clang loop unroll(full)
    for (int q = 0; q < vectors; q++) acc[p * vectors + q] = load(bias + q * VECTOR);
  for (int tap = 0; tap < count; tap++) {
    const uint16_t *in = taps[tap].in + offset;
    const float *weights = taps[tap].weights;
#pragma clang loop unroll_count(2)
    for (long t = 0; t < pairs; t++) {
      __m512bh w[3];
#pragma clang loop unroll(full)
      for (int q = 0; q < vectors; q++) w[q] = (__m512bh)_mm512_loadu_ps(weights + q * VECTOR);
#pragma clang loop unroll(full)
      for (int p = 0; p < pixels; p++) {
        const __m512bh x = pair_at(in + p * stride);
#pragma clang loop unroll(full)
        for (int q = 0; q < vectors; q++)
          acc[p * vectors + q] = (vec)_mm512_dpbf16_ps((__m512)acc[p * vectors + q], w[q], x);
      }
      weights += vectors * VECTOR;
      in += 2;
    }
  }
}

#define NARROW_FUNCTION(PIXELS, VECTORS)                                                                   \
  static __attribute__((noinline)) void narrow_##VECTORS##_##PIXELS(                                       \
      const struct narrow_tap *taps, int count, long offset, long pairs, long stride, const float *bias,   \
      const struct target *to, long pixel) {                                                               \
    vec acc[PIXELS * VECTORS];                                                                             \
    switch (stride) {                                                                                      \
      case 32: narrow_products(taps, count, offset, pairs, 32, bias, PIXELS, VECTORS, acc); break;         \
      case 48: narrow_products(taps, count, offset, pairs, 48, bias, PIXELS, VECTORS, acc); break;         \
      case 64: narrow_products(taps, count, offset, pairs, 64, bias, PIXELS, VECTORS, acc); break;         \
      case 96: narrow_products(taps, count, offset, pairs, 96, bias, PIXELS, VECTORS, acc); break;         \
      default: narrow_products(taps, count, offset, pairs, stride, bias, PIXELS, VECTORS, acc); break;     \
    }                                                                                                      \
    finish(to, pixel, PIXELS, VECTORS, acc);                                                               \
  }
#define CALL_NARROW(PIXELS, VECTORS) narrow_##VECTORS##_##PIXELS(taps, count, x * stride, pairs, stride, bias, to, x)
#define RUN_NARROW(VECTORS, PIXELS)                                       \
  for (; x + PIXELS <= pixels; x += PIXELS) CALL_NARROW(PIXELS, VECTORS); \
  for (; x + 4 <= pixels; x += 4) CALL_NARROW(4, VECTORS);                \
  for (; x < pixels; x++) CALL_NARROW(1, VECTORS);                        \
  break;

NARROW_FUNCTION(16, 1)
NARROW_FUNCTION(4, 1)
NARROW_FUNCTION(1, 1)
NARROW_FUNCTION(12, 2)
NARROW_FUNCTION(4, 2)
NARROW_FUNCTION(1, 2)
NARROW_FUNCTION(8, 3)
NARROW_FUNCTION(4, 3)
NARROW_FUNCTION(1, 3)

static void narrow_run(
    const struct narrow_tap *taps, int count, long pairs, long stride, const float *bias, int vectors,
    const struct target *to, long pixels) {
  long x = 0;
  switch (vectors) {
    case 1: RUN_NARROW(1, 16)
    case 2: RUN_NARROW(2, 12)
    case 3: RUN_NARROW(3, 8)
  }
}

// As `multiply`, for any number of pixels; they are rounded some at a time.
static void multiply_narrow(
    const float *in, long stride, long length, const float *packed, int channels, float *out, long step, long pixels,
    int adding) {
  enum { CHUNK = 96 };  // whole blocks of 16, 12 and 8
  const long pairs = (length + 1) / 2;
  const int total = (channels + VECTOR - 1) / VECTOR;
  uint16_t *rounded = (uint16_t *)ck_scratch((size_t)CHUNK * pairs);
  for (long start = 0; start < pixels; start += CHUNK) {
    const long n = pixels - start < CHUNK ? pixels - start : CHUNK;
    for (long p = 0; p < n; p++) {
      narrow(in + (start + p) * stride, rounded + p * 2 * pairs, length);
      if (length % 2) rounded[p * 2 * pairs + length] = 0;
    }
    const float *weights = packed + total * VECTOR;
    for (int first = 0; first < total;) {
      const int vectors = ck_block(total - first, MAX_BLOCK);
      const int rest = channels - first * VECTOR;
      const struct narrow_tap tap = {rounded, weights};
      float *at = out + start * step + first * VECTOR;
      const struct target to = {
          at, adding ? at : NULL, step, rest < vectors * VECTOR ? rest : vectors * VECTOR, 0};
      narrow_run(&tap, 1, pairs, 2 * pairs, packed + first * VECTOR, vectors, &to, n);
      weights += pairs * vectors * VECTOR;
      first += vectors;
    }
  }
  ck_free((float *)rounded);
}

// A row with zeros around, as all taps of all its outputs see it.
static void narrow_row(const struct ck_conv *c, const float *row, long width, uint16_t *out) {
  const long channels = c->in_c, pad = c->k / 2;
  const long inside = c->in_w < width - pad ? c->in_w : width - pad;
  memset(out, 0, pad * channels * sizeof *out);
  narrow(row, out + pad * channels, inside * channels);
  memset(out + (pad + inside) * channels, 0, ((width - pad - inside) * channels + 2) * sizeof *out);
}

// Each input row is rounded once for the output rows it serves: of every plane, the last k are kept.
static void conv_rows_narrow(const struct ck_conv *c, long first_row, long last_row) {
  const long channels = c->in_c, pad = c->k / 2, pairs = (c->k * channels + 1) / 2, stride = c->stride * channels;
  const long width = (c->out_w - 1L) * c->stride + c->k;
  const long size = (width * channels + 2 + 31) / 32 * 32;
  uint16_t *rows = (uint16_t *)ck_scratch((size_t)(c->planes * c->k * size + 1) / 2);
  const int total = (c->out_c + VECTOR - 1) / VECTOR;
  long ready = first_row * c->stride - pad;  // rows below this one are there
  if (ready < 0) ready = 0;
  for (long y = first_row; y < last_row; y++) {
    const long top = y * c->stride - pad;
    long end = top + c->k < c->in_h ? top + c->k : c->in_h;
    if (ready < top) ready = top;
    for (; ready < end; ready++)
      for (int z = 0; z < c->planes; z++)
        if (c->in[z])
          narrow_row(c, c->in[z] + ready * c->in_w * channels, width, rows + (z * c->k + ready % c->k) * size);
    int count = 0, which[MAX_TAPS];
    struct narrow_tap taps[MAX_TAPS];
    for (int z = 0; z < c->planes; z++) {
      if (!c->in[z]) continue;
      for (long row = top < 0 ? 0 : top; row < end; row++) {
        taps[count].in = rows + (z * c->k + row % c->k) * size;
        which[count++] = z * c->k + (int)(row - top);
      }
    }
    const float *weights = c->packed + total * VECTOR;
    for (int first = 0; first < total;) {
      const int vectors = ck_block(total - first, MAX_BLOCK);
      const int rest = c->out_c - first * VECTOR;
      for (int i = 0; i < count; i++) taps[i].weights = weights + which[i] * pairs * vectors * VECTOR;
      const long at = y * c->out_w * c->out_c + first * VECTOR;
      const struct target to = {
          c->out + at, c->residual ? c->residual + at : NULL, c->out_c,
          rest < vectors * VECTOR ? rest : vectors * VECTOR, c->relu};
      narrow_run(taps, count, pairs, stride, c->packed + first * VECTOR, vectors, &to, c->out_w);
      weights += c->planes * c->k * pairs * vectors * VECTOR;
      first += vectors;
    }
  }
  ck_free((float *)rows);
}

#define CONV_ROWS conv_rows_narrow
#define PAIR 2
#include "kernels_table.h"
#pragma clang attribute pop
#endif
