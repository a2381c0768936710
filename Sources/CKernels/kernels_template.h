// The kernels, once per instruction set. Before inclusion: VECTOR (floats), MAX_BLOCK (vectors of output channels),
// BLOCK1, BLOCK2, BLOCK3 (pixels that go with 1, 2, 3 vectors), PAIR (see products), NAME(x).

#define INLINE static inline __attribute__((always_inline))
typedef float vec __attribute__((ext_vector_type(VECTOR)));
typedef float vec_at __attribute__((ext_vector_type(VECTOR), aligned(4)));
INLINE vec load(const float *p) { return *(const vec_at *)p; }
INLINE void store(float *p, vec v) { *(vec_at *)p = v; }
INLINE vec splat(float x) { return (vec)(x); }
// One instruction, where fmaxf's rule for NaN takes three. A NaN in `a` gives b.
INLINE vec larger(vec a, vec b) { return a > b ? a : b; }
INLINE float sum(vec v) {
#pragma clang loop unroll(full)
  for (int n = VECTOR / 2; n > 0; n /= 2)
#pragma clang loop unroll(full)
    for (int i = 0; i < n; i++) v[i] += v[i + n];
  return v[0];
}

// exp to about 1 unit in the last place, of -87 to 88.
INLINE float exponential_within(float x) {
  const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  float shifted = x * 1.44269504f + magic;
  float n = shifted - magic;
  float r = x - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  uint32_t bits;
  memcpy(&bits, &shifted, 4);
  bits = (bits + 127 - 0x4B400000) << 23;
  float power;
  memcpy(&power, &bits, 4);
  return p * power;
}

// exp; below -87 it is 0 to 1e-38.
INLINE float exponential(float x) {
  x = x < -87.0f ? -87.0f : x;
  return exponential_within(x > 88.0f ? 88.0f : x);
}

INLINE float logistic(float x) { return 1.0f / (1.0f + exponential(-x)); }

// erf as a ratio of polynomials on [-4, 4] (the approximation Eigen and XLA use): a few units in the last place.
INLINE float error_function(float x) {
  x = x < -4.0f ? -4.0f : x;
  x = x > 4.0f ? 4.0f : x;
  float s = x * x;
  float p = -2.72614225801306e-10f;
  p = p * s + 2.77068142495902e-08f;
  p = p * s + -2.10102402082508e-06f;
  p = p * s + -5.69250639462346e-05f;
  p = p * s + -7.34990630326855e-04f;
  p = p * s + -2.95459980854025e-03f;
  p = p * s + -1.60960333262415e-02f;
  float q = -1.45660718464996e-05f;
  q = q * s + -2.13374055278905e-04f;
  q = q * s + -1.68282697438203e-03f;
  q = q * s + -7.37332916720468e-03f;
  q = q * s + -1.42647390514189e-02f;
  return x * p / q;
}

// ---- products ------------------------------------------------------------------------------------------------------

// What products take of an activation: a float, or the bits of a bfloat16. PAIR elements next to each other make a word
// of 32 bits, and one instruction multiplies a word with the words of VECTOR outputs.
#if PAIR == 2
typedef uint16_t element;
typedef __m512bh words;
INLINE words word_at(const element *in) {
  int bits;
  memcpy(&bits, in, sizeof bits);
  return (words)_mm512_set1_epi32(bits);
}
INLINE words weights_at(const float *weights) { return (words)_mm512_loadu_ps(weights); }
INLINE vec multiply_add(vec sum, words weights, words in) {
  return (vec)_mm512_dpbf16_ps((__m512)sum, weights, in);
}
// out (count) <- in (count), to nearest, ties to even.
static void take(const float *in, element *out, long count) {
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
INLINE void take_vector(element *out, vec in) { _mm256_storeu_si256((__m256i *)out, (__m256i)_mm512_cvtneps_pbh((__m512)in)); }
#else
typedef float element;
typedef vec words;
INLINE words word_at(const element *in) { return splat(*in); }
INLINE words weights_at(const float *weights) { return load(weights); }
INLINE vec multiply_add(vec sum, words weights, words in) { return sum + in * weights; }
static void take(const float *in, element *out, long count) { memcpy(out, in, count * sizeof *out); }
INLINE void take_vector(element *out, vec in) { store(out, in); }
#endif

// Scratch for `count` elements, and one after the end, which a last word may reach into.
static element *element_scratch(size_t count) { return (element *)ck_scratch((count + PAIR) / PAIR + 1); }
// The same for rows of `length` elements, `stride` apart: where the last of a row has half a word, the other half is 0.
static element *rows_scratch(long rows, long stride, long length) {
  element *memory = element_scratch(rows * stride);
  if (length % PAIR) memset(memory, 0, rows * stride * sizeof *memory);
  return memory;
}
INLINE long words_of(long length) { return (length + PAIR - 1) / PAIR; }

// A run of inputs of one pixel times a matrix (words of inputs, block of output channels).
struct tap {
  const element *in;
  const float *weights;
};

struct target {
  float *out;             // first pixel, first channel of the block
  const float *residual;  // the same place, or NULL
  long step;              // floats from pixel to pixel
  int channels;           // of the block that exist
  int relu;
  int streams;  // out is too large for the caches, and aligned
};

// acc[p][q] = bias[q] + sum over taps and t of in[p * stride + t] * weights[t][q], in this order; `length` words each.
INLINE void products(
    const struct tap *taps, int count, long offset, long length, long stride, const float *bias, const int pixels,
    const int vectors, vec *acc) {
#pragma clang loop unroll(full)
  for (int p = 0; p < pixels; p++)
#pragma clang loop unroll(full)
    for (int q = 0; q < vectors; q++) acc[p * vectors + q] = load(bias + q * VECTOR);
  for (int tap = 0; tap < count; tap++) {
    const element *in = taps[tap].in + offset;
    const float *weights = taps[tap].weights;
#pragma clang loop unroll_count(2)
    for (long t = 0; t < length; t++) {
      words w[3];
#pragma clang loop unroll(full)
      for (int q = 0; q < vectors; q++) w[q] = weights_at(weights + q * VECTOR);
#pragma clang loop unroll(full)
      for (int p = 0; p < pixels; p++) {
        const words x = word_at(in + p * stride);
#pragma clang loop unroll(full)
        for (int q = 0; q < vectors; q++) acc[p * vectors + q] = multiply_add(acc[p * vectors + q], w[q], x);
      }
      weights += vectors * VECTOR;
      in += PAIR;
    }
  }
}

// Asks for the memory that `finish` touches, long before it does: the products in between take as long as a miss.
INLINE void announce(const struct target *to, long pixel, const int pixels, const int vectors) {
  if (to->residual)
#pragma clang loop unroll(full)
    for (int p = 0; p < pixels; p++)
      for (int byte = 0; byte < vectors * VECTOR * 4; byte += 64)
        __builtin_prefetch((const char *)(to->residual + (pixel + p) * to->step) + byte, 0, 3);
}

INLINE void finish(const struct target *to, long pixel, const int pixels, const int vectors, const vec *acc) {
  float *out = to->out + pixel * to->step;
  const float *residual = to->residual ? to->residual + pixel * to->step : NULL;
  if (to->channels == vectors * VECTOR) {
#pragma clang loop unroll(full)
    for (int p = 0; p < pixels; p++)
#pragma clang loop unroll(full)
      for (int q = 0; q < vectors; q++) {
        vec v = acc[p * vectors + q];
        if (residual) v += load(residual + p * to->step + q * VECTOR);
        if (to->relu) v = larger(v, splat(0));
        if (to->streams)
          __builtin_nontemporal_store(v, (vec *)(out + p * to->step + q * VECTOR));
        else
          store(out + p * to->step + q * VECTOR, v);
      }
    return;
  }
  // Constant indices only: an accumulator that is indexed at run time would live in memory, in the loop above too.
  float values[24 * VECTOR];
#pragma clang loop unroll(full)
  for (int p = 0; p < pixels; p++)
#pragma clang loop unroll(full)
    for (int q = 0; q < vectors; q++) store(values + (p * vectors + q) * VECTOR, acc[p * vectors + q]);
  for (int p = 0; p < pixels; p++)
    for (int c = 0; c < to->channels; c++) {
      float v = values[p * vectors * VECTOR + c];
      if (residual) v += residual[p * to->step + c];
      if (to->relu) v = v > 0 ? v : 0;
      out[p * to->step + c] = v;
    }
}

// The common widths are constants, so that a pixel's address is a displacement and costs no register.
#define BLOCK_FUNCTION(PIXELS, VECTORS)                                                                              \
  static __attribute__((noinline)) void block_##VECTORS##_##PIXELS(                                                  \
      const struct tap *taps, int count, long offset, long length, long stride, const float *bias,                   \
      const struct target *to, long pixel) {                                                                         \
    vec acc[PIXELS * VECTORS];                                                                                       \
    announce(to, pixel, PIXELS, VECTORS);                                                                            \
    switch (stride) {                                                                                                \
      case 16: products(taps, count, offset, length, 16, bias, PIXELS, VECTORS, acc); break;                         \
      case 32: products(taps, count, offset, length, 32, bias, PIXELS, VECTORS, acc); break;                         \
      case 48: products(taps, count, offset, length, 48, bias, PIXELS, VECTORS, acc); break;                         \
      case 64: products(taps, count, offset, length, 64, bias, PIXELS, VECTORS, acc); break;                         \
      case 80: products(taps, count, offset, length, 80, bias, PIXELS, VECTORS, acc); break;                         \
      case 96: products(taps, count, offset, length, 96, bias, PIXELS, VECTORS, acc); break;                         \
      default: products(taps, count, offset, length, stride, bias, PIXELS, VECTORS, acc); break;                     \
    }                                                                                                                \
    finish(to, pixel, PIXELS, VECTORS, acc);                                                                         \
  }
#define BLOCK_FUNCTIONS(PIXELS, VECTORS) BLOCK_FUNCTION(PIXELS, VECTORS)
#define CALL_BLOCK_(PIXELS, VECTORS) block_##VECTORS##_##PIXELS(taps, count, x * stride, length, stride, bias, to, x)
#define CALL_BLOCK(PIXELS, VECTORS) CALL_BLOCK_(PIXELS, VECTORS)
#define RUN(VECTORS, PIXELS)                                              \
  for (; x + PIXELS <= pixels; x += PIXELS) CALL_BLOCK(PIXELS, VECTORS);  \
  for (; x + 4 <= pixels; x += 4) CALL_BLOCK(4, VECTORS);                 \
  for (; x < pixels; x++) CALL_BLOCK(1, VECTORS);                         \
  break;

BLOCK_FUNCTIONS(BLOCK1, 1)
BLOCK_FUNCTIONS(4, 1)
BLOCK_FUNCTIONS(1, 1)
BLOCK_FUNCTIONS(BLOCK2, 2)
BLOCK_FUNCTIONS(4, 2)
BLOCK_FUNCTIONS(1, 2)
#if MAX_BLOCK == 3
BLOCK_FUNCTIONS(BLOCK3, 3)
BLOCK_FUNCTIONS(4, 3)
BLOCK_FUNCTIONS(1, 3)
#endif

// `pixels` pixels next to each other, one block of output channels.
static void run(
    const struct tap *taps, int count, long length, long stride, const float *bias, int vectors,
    const struct target *to, long pixels) {
  long x = 0;
  switch (vectors) {
    case 1: RUN(1, BLOCK1)
    case 2: RUN(2, BLOCK2)
#if MAX_BLOCK == 3
    case 3: RUN(3, BLOCK3)
#endif
  }
}

// out (pixels, channels) <- residual (or 0) + in (pixels, words) times packed (bias, then blocks (words, vectors)).
static void multiply(
    const element *in, long stride, long length, const float *packed, int channels, const float *residual, float *out,
    long pixels) {
  const int total = (channels + VECTOR - 1) / VECTOR;
  const float *weights = packed + total * VECTOR;
  for (int first = 0; first < total;) {
    const int vectors = ck_block(total - first, MAX_BLOCK);
    const int rest = channels - first * VECTOR;
    const struct tap tap = {in, weights};
    const struct target to = {
        out + first * VECTOR, residual ? residual + first * VECTOR : NULL, channels,
        rest < vectors * VECTOR ? rest : vectors * VECTOR, 0, 0};
    run(&tap, 1, length, stride, packed + first * VECTOR, vectors, &to, pixels);
    weights += length * vectors * VECTOR;
    first += vectors;
  }
}

// Distance between pixels of `length` words: one that `block` knows as a constant, where there is one.
INLINE long stride_of(long length) { return (length * PAIR + 15) / 16 * 16; }

enum { CHUNK = 96 };  // pixels that are taken at a time, at most: whole blocks of 16, 12 and 8

// Of `count` pixels, how many to take at a time: about as many each time, so that the last are not few, and whole blocks of 12 and 8.
INLINE long even_chunk(long count, long most) {
  const long chunks = (count + most - 1) / most, even = (count + chunks - 1) / chunks;
  return (even + 23) / 24 * 24;
}

// ---- linear layers -------------------------------------------------------------------------------------------------

// out (c) <- LayerNorm of x (c).
INLINE void norm_row(const float *x, const float *weight, const float *bias, float *restrict out, int c, float epsilon) {
  vec partial = splat(0);
  int i = 0;
  for (; i + VECTOR <= c; i += VECTOR) partial += load(x + i);
  float total = sum(partial);
  for (; i < c; i++) total += x[i];
  const float mean = total / (float)c;
  partial = splat(0);
  for (i = 0; i + VECTOR <= c; i += VECTOR) {
    const vec centred = load(x + i) - splat(mean);
    partial += centred * centred;
  }
  total = sum(partial);
  for (; i < c; i++) total += (x[i] - mean) * (x[i] - mean);
  const float factor = 1.0f / sqrtf(total / (float)c + epsilon);
  for (i = 0; i < c; i++) out[i] = (x[i] - mean) * factor * weight[i] + bias[i];
}

// Memory for `count` rows of n floats as products take them; in float32 it is the rows themselves.
static element *taken_of(float *rows, long count, long stride, int n) {
  return PAIR == 1 ? (element *)rows : rows_scratch(count, stride, n);
}

static void free_taken_of(element *taken) {
  if (PAIR > 1) ck_free((float *)taken);
}

// taken (n, stride) <- the rows of in (n, c), normalised if there are weights for that. row: c floats.
static void take_rows(
    const float *in, long n, int c, const float *weight, const float *bias, float *row, element *taken, long stride) {
  for (long p = 0; p < n; p++) {
    element *to = taken + p * stride;
    float *normed = PAIR == 1 ? (float *)to : row;
    if (weight) norm_row(in + p * c, weight, bias, normed, c, CK_EPSILON);
    if (PAIR > 1 || !weight) take(weight ? normed : in + p * c, to, c);
  }
}

static void linear_rows(const struct ck_linear *l, long first, long last) {
  const long length = words_of(l->in_c), stride = stride_of(length), some = even_chunk(last - first, CHUNK);
  element *taken = rows_scratch(some, stride, l->in_c);
  float *row = ck_scratch(l->in_c);
  for (long at = first; at < last; at += some) {
    const long n = last - at < some ? last - at : some;
    take_rows(l->in + at * l->in_c, n, l->in_c, l->norm_weight, l->norm_bias, row, taken, stride);
    multiply(
        taken, stride, length, l->packed, l->out_c, l->residual ? l->residual + at * l->out_c : NULL,
        l->out + at * l->out_c, n);
  }
  ck_free((float *)taken);
  ck_free(row);
}

INLINE float gelu(float x) { return 0.5f * x * (1.0f + error_function(x * 0.70710678f)); }

static void mlp_rows(const struct ck_mlp *m, long first, long last) {
  const long length = words_of(m->c), stride = stride_of(length);
  const long inner = words_of(m->hidden), inner_stride = PAIR == 1 ? m->hidden : stride_of(inner);
  // So many that the hidden layer stays in the cache of a core.
  long most = CHUNK;
  while (most > 24 && most * m->hidden > 160000) most /= 2;
  const long some = even_chunk(last - first, most);
  float *row = ck_scratch(m->c), *wide = ck_scratch(some * m->hidden);
  element *taken = rows_scratch(some, stride, m->c);
  element *hidden = taken_of(wide, some, inner_stride, m->hidden);
  for (long at = first; at < last; at += some) {
    const long n = last - at < some ? last - at : some;
    const float *in = m->in + at * m->c;
    take_rows(in, n, m->c, m->norm_weight, m->norm_bias, row, taken, stride);
    multiply(taken, stride, length, m->packed_hidden, m->hidden, NULL, wide, n);
    for (long p = 0; p < n; p++) {
      float *of = wide + p * m->hidden;
      for (long i = 0; i < m->hidden; i++) of[i] = gelu(of[i]);
      if (PAIR > 1) take(of, hidden + p * inner_stride, m->hidden);
    }
    multiply(hidden, inner_stride, inner, m->packed_back, m->c, in, m->out + at * m->c, n);
  }
  ck_free((float *)taken);
  free_taken_of(hidden);
  ck_free(row);
  ck_free(wide);
}

// ---- resampling ----------------------------------------------------------------------------------------------------

// Row y of the bilinear double of in (h, w, c), half-pixel centres, + skip (2w, c) or NULL, then relu. blend: w * c.
static void double_row(
    const float *in, const float *skip, float *out, float *blend, int h, int w, int c, int relu, long y) {
  const long width = (long)w * c;
  // Even rows lie a quarter above the centre of y / 2, odd ones a quarter below.
  const long near = y / 2, other = y % 2 ? (near + 1 < h ? near + 1 : near) : (near > 0 ? near - 1 : 0);
  const float *a = in + near * width, *b = in + other * width;
  for (long i = 0; i < width; i++) blend[i] = 0.75f * a[i] + 0.25f * b[i];
  for (long x = 0; x < 2 * w; x++) {
    const long near_x = x / 2;
    const long other_x = x % 2 ? (near_x + 1 < w ? near_x + 1 : near_x) : (near_x > 0 ? near_x - 1 : 0);
    const float *l = blend + near_x * c, *r = blend + other_x * c;
    const float *s = skip ? skip + x * c : NULL;
    float *restrict o = out + x * c;
    int i = 0;
    for (; i + VECTOR <= c; i += VECTOR) {
      vec v = splat(0.75f) * load(l + i) + splat(0.25f) * load(r + i);
      if (s) v += load(s + i);
      store(o + i, relu ? larger(v, splat(0)) : v);
    }
    for (; i < c; i++) {
      const float v = 0.75f * l[i] + 0.25f * r[i] + (s ? s[i] : 0);
      o[i] = relu && !(v > 0) ? 0 : v;
    }
  }
}

static void upsample_rows(
    const float *in, const float *skip, float *out, int h, int w, int c, int relu, long first, long last) {
  const long width = (long)w * c;
  float *blend = ck_scratch(width);
  for (long y = first; y < last; y++)
    double_row(in, skip ? skip + y * 2 * width : NULL, out + y * 2 * width, blend, h, w, c, relu, y);
  ck_free(blend);
}

static void max_pool_rows(const float *in, float *out, int w, int c, long first, long last) {
  for (long y = first; y < last; y++)
    for (long x = 0; x < w / 2; x++) {
      const float *a = in + (2 * y * w + 2 * x) * c, *b = a + (long)w * c;
      float *restrict o = out + (y * (w / 2) + x) * c;
      for (int i = 0; i < c; i++) {
        const float upper = a[i] > a[c + i] ? a[i] : a[c + i], lower = b[i] > b[c + i] ? b[i] : b[c + i];
        o[i] = upper > lower ? upper : lower;
      }
    }
}

static void average_pool_rows(const float *in, float *out, int w, int c, long first, long last) {
  for (long y = first; y < last; y++)
    for (long x = 0; x < w / 2; x++) {
      const float *a = in + (2 * y * w + 2 * x) * c, *b = a + (long)w * c;
      float *restrict o = out + (y * (w / 2) + x) * c;
      for (int i = 0; i < c; i++) o[i] = 0.25f * ((a[i] + a[c + i]) + (b[i] + b[c + i]));
    }
}

#include "kernels_convolution.h"

// ---- attention -----------------------------------------------------------------------------------------------------

static void fga_rows(const struct ck_fga *a, long first, long last) {
  const int in_c = a->f + a->g + 1, out_c = a->q + 2 * a->f;
  const long length = words_of(in_c), stride = stride_of(length);
  element *both = rows_scratch(CHUNK, stride, in_c);
  float *mixed = ck_scratch((size_t)CHUNK * (out_c + 1)), *gates = mixed + (size_t)CHUNK * out_c;
  for (long at = first * a->w; at < last * a->w; at += CHUNK) {
    const long n = last * a->w - at < CHUNK ? last * a->w - at : CHUNK;
    for (long p = 0; p < n; p++) {
      element *row = both + p * stride;
      take(a->fine + (at + p) * a->f, row, a->f);
      take(a->guide + (at + p) * a->g, row + a->f, a->g);
      take(a->unsure + at + p, row + a->f + a->g, 1);
    }
    multiply(both, stride, length, a->packed, out_c, NULL, mixed, n);
    for (long p = 0; p < n; p++) {
      const float *query = mixed + p * out_c;
      vec partial = splat(0);
      int i = 0;
      for (; i + VECTOR <= a->q; i += VECTOR)
        partial += larger(load(query + i), splat(0)) * load(a->gate + i);
      float gate = a->gate_bias + sum(partial);
      for (; i < a->q; i++) gate += (query[i] > 0 ? query[i] : 0) * a->gate[i];
      gates[p] = gate;
    }
    for (long p = 0; p < n; p++) gates[p] = logistic(gates[p]);
    for (long p = 0; p < n; p++) {
      const float *channel = mixed + p * out_c + a->q, *value = channel + a->f;
      const float *fine = a->fine + (at + p) * a->f, gate = gates[p];
      float *restrict out = a->out + (at + p) * a->f;
      for (int i = 0; i < a->f; i++) out[i] = fine[i] + a->gamma[i] * gate * logistic(channel[i]) * value[i];
    }
  }
  ck_free((float *)both);
  ck_free(mixed);
}

// x (n) <- exp((x - top) * scale); returns their sum.
INLINE float exponentials(float *x, int n, float top, float scale) {
  // Below 1e-30 it is nothing. Times a value it could be a denormal number, which takes Intel's processors a hundred times as long.
  for (int i = 0; i < n; i++) {
    const float at = (x[i] - top) * scale, e = exponential_within(at);
    x[i] = at < -69.0f ? 0 : e;
  }
  vec partial = splat(0);
  int i = 0;
  for (; i + VECTOR <= n; i += VECTOR) partial += load(x + i);
  float total = sum(partial);
  for (; i < n; i++) total += x[i];
  return total;
}

INLINE float largest(const float *x, int n, float top) {
  int i = 0;
  if (n >= VECTOR) {
    vec tops = load(x);
    for (i = VECTOR; i + VECTOR <= n; i += VECTOR) tops = larger(tops, load(x + i));
    for (int lane = 0; lane < VECTOR; lane++) top = tops[lane] > top ? tops[lane] : top;
  }
  for (; i < n; i++) top = x[i] > top ? x[i] : top;
  return top;
}

// packed <- no bias, then the matrix (length words, outputs) whose column o is row o of `rows`.
static void pack_rows(const element *const *rows, long length, int outputs, float *packed) {
  const int total = (outputs + VECTOR - 1) / VECTOR;
  memset(packed, 0, (length + 1) * total * VECTOR * sizeof(float));
  float *to = packed + total * VECTOR;
  for (int first = 0; first < total;) {
    const int vectors = ck_block(total - first, MAX_BLOCK), width = vectors * VECTOR;
    const int rest = outputs - first * VECTOR, n = rest < width ? rest : width;
    for (int o = 0; o < n; o++) {
      const element *row = rows[first * VECTOR + o];
      for (long w = 0; w < length; w++) memcpy(to + w * width + o, row + w * PAIR, sizeof *to);
    }
    to += length * width;
    first += vectors;
  }
}

// packed <- no bias, then the matrix (count, outputs) of `rows`, PAIR of them to a word; a last one's other half is 0.
static void pack_columns(const element *const *rows, int count, int outputs, float *packed) {
  const int total = (outputs + VECTOR - 1) / VECTOR;
  const long length = words_of(count);
  memset(packed, 0, (length + 1) * total * VECTOR * sizeof(float));
  float *to = packed + total * VECTOR;
  for (int first = 0; first < total;) {
    const int vectors = ck_block(total - first, MAX_BLOCK), rest = outputs - first * VECTOR;
    const int n = rest < vectors * VECTOR ? rest : vectors * VECTOR;
    for (long w = 0; w < length; w++, to += vectors * VECTOR) {
      element *restrict word = (element *)to;
      for (long half = 0; half < PAIR && w * PAIR + half < count; half++) {
        const element *row = rows[w * PAIR + half] + first * VECTOR;
        for (int o = 0; o < n; o++) word[o * PAIR + half] = row[o];
      }
    }
    first += vectors;
  }
}

// A token's query (part 0), key (1) or value (2); outside the section, the bias that such a token has.
INLINE const float *token(const struct ck_attention *a, int part, int head, int y, int x) {
  const long dim = (long)a->heads * a->d, at = part * dim + (long)head * a->d;
  return y < a->h && x < a->w ? a->qkv + ((long)y * a->w + x) * 3 * dim + at : a->bias + at;
}

// What attention to `tokens` tokens works on: keys and values in spans of CK_SPAN tokens, which a core's cache holds.
struct attention {
  int tokens, d, spans;
  long channels, stride;   // words of a token; elements from token to token
  long score_stride;       // elements of a query's scores in a span
  size_t keys, values;     // floats of a span's packed matrices
};

static int span_length(const struct attention *s, int span) {
  const int left = s->tokens - span * CK_SPAN;
  return left < CK_SPAN ? left : CK_SPAN;
}

static struct attention attention_of(const struct ck_attention *a, int tokens) {
  struct attention s = {.tokens = tokens, .d = a->d, .spans = ck_spans(tokens), .channels = words_of(a->d)};
  const int most = span_length(&s, 0);
  s.stride = stride_of(s.channels), s.score_stride = stride_of(words_of(most));
  s.keys = (size_t)(s.channels + 1) * ((most + VECTOR - 1) / VECTOR * VECTOR);
  s.values = (size_t)(words_of(most) + 1) * ((a->d + VECTOR - 1) / VECTOR * VECTOR);
  return s;
}

// Keys (part 1) or values (2) of a span: packed, one for each token of it. taken: (n, stride), with zeros behind each.
static void pack_span(
    const struct attention *s, int part, const float **tokens, int n, element *taken, const element **rows, float *packed) {
  for (int t = 0; t < n; t++) {
    rows[t] = PAIR == 1 ? (const element *)tokens[t] : taken + t * s->stride;
    if (PAIR > 1) take(tokens[t], taken + t * s->stride, s->d);
  }
  if (part == 1) pack_rows(rows, s->channels, n, packed);
  if (part == 2) pack_columns(rows, n, s->d, packed + s->keys);
}

// What `attend` works with, for up to `count` queries.
struct attending {
  float *scores;    // (count, of a span)
  element *likely;  // the same, as products take them
  float *mixed;     // (count, d)
  float *tops, *totals;  // of each query
};

static struct attending make_attending(const struct attention *s, int count) {
  const int most = span_length(s, 0);
  struct attending w = {.scores = ck_scratch((size_t)count * (most + s->d + 2))};
  w.mixed = w.scores + (size_t)count * most, w.tops = w.mixed + (size_t)count * s->d, w.totals = w.tops + count;
  // An odd number of tokens makes the last span odd, and that a word's second half is 0.
  w.likely = taken_of(w.scores, count, s->score_stride, s->tokens);
  return w;
}

static void free_attending(struct attending *w) {
  free_taken_of(w->likely);
  ck_free(w->scores);
}

// w->mixed (count, d) <- softmax(queries * keys) * values. Span by span: what was summed up is scaled down where a later span has a larger score
// (M. Milakov and N. Gimelshein, "Online normalizer calculation for softmax", 2018).
static void attend(const struct attention *s, const element *queries, int count, const float *packed, const struct attending *w) {
  const float scale = 1.0f / sqrtf((float)s->d);
  for (int span = 0; span < s->spans; span++, packed += s->keys + s->values) {
    const int n = span_length(s, span);
    const long stride = PAIR == 1 ? n : s->score_stride;
    multiply(queries, s->stride, s->channels, packed, n, NULL, w->scores, count);
    for (int t = 0; t < count; t++) {
      float *row = w->scores + (long)t * n, *mixed = w->mixed + (long)t * s->d;
      const float before = span ? w->tops[t] : row[0], top = largest(row, n, before);
      const float total = exponentials(row, n, top, scale), factor = exponential((before - top) * scale);
      if (PAIR > 1) take(row, w->likely + t * stride, n);
      w->tops[t] = top;
      w->totals[t] = span ? w->totals[t] * factor + total : total;
      if (span && top > before)
        for (int i = 0; i < s->d; i++) mixed[i] *= factor;
    }
    multiply(w->likely, stride, words_of(n), packed + s->keys, s->d, span ? w->mixed : NULL, w->mixed, count);
  }
  for (int t = 0; t < count; t++) {
    const float factor = 1.0f / w->totals[t];
    for (int i = 0; i < s->d; i++) w->mixed[(long)t * s->d + i] *= factor;
  }
}

// One (window, head) after the other.
static void attention_items(const struct ck_attention *a, long first, long last) {
  const int size = a->window, tokens = size * size, d = a->d, dim = a->heads * d;
  const int columns = (a->w + size - 1) / size;
  const struct attention s = attention_of(a, tokens);
  element *taken = rows_scratch(tokens, s.stride, d);
  struct attending work = make_attending(&s, tokens);
  float *query = ck_scratch(d), *packed = ck_scratch(s.spans * (s.keys + s.values));
  const float *of[CK_SPAN];
  const element *rows[CK_SPAN];
  const int step = a->pooled ? 2 : 1, out_h = a->h / step, out_w = a->w / step, out_size = size / step;
  for (long item = first; item < last; item++) {
    const int head = (int)(item % a->heads);
    const int top = (int)(item / a->heads / columns) * size, left = (int)(item / a->heads % columns) * size;
    for (int span = 0; span < s.spans; span++) {
      const int n = span_length(&s, span);
      for (int part = 1; part < 3; part++) {
        for (int i = 0, t = span * CK_SPAN; i < n; i++, t++) of[i] = token(a, part, head, top + t / size, left + t % size);
        pack_span(&s, part, of, n, taken, rows, packed + span * (s.keys + s.values));
      }
    }
    const int queries = out_size * out_size;
    for (int t = 0; t < queries; t++) {
      const int y = top + t / out_size * step, x = left + t % out_size * step;
      const float *from = token(a, 0, head, y, x);
      if (a->pooled) {
        const float *right = token(a, 0, head, y, x + 1);
        const float *under = token(a, 0, head, y + 1, x), *last_one = token(a, 0, head, y + 1, x + 1);
        for (int i = 0; i < d; i++) {
          const float upper = from[i] > right[i] ? from[i] : right[i];
          const float lower = under[i] > last_one[i] ? under[i] : last_one[i];
          query[i] = upper > lower ? upper : lower;
        }
        from = query;
      }
      take(from, taken + t * s.stride, d);
    }
    attend(&s, taken, queries, packed, &work);
    for (int t = 0; t < queries; t++) {
      const int y = top / step + t / out_size, x = left / step + t % out_size;
      if (y < out_h && x < out_w)
        memcpy(a->out + ((long)y * out_w + x) * dim + head * d, work.mixed + t * d, d * sizeof(float));
    }
  }
  ck_free((float *)taken);
  free_attending(&work);
  ck_free(query);
  ck_free(packed);
}

// Neighbouring windows of a row go together, so that weights are read fewer times.
static void window_blocks(const struct ck_window_block *b, long first, long last) {
  const int size = b->window, dim = b->heads * b->d, step = b->pooled ? 2 : 1, wide_as = size * b->together;
  const int columns = (b->w + wide_as - 1) / wide_as;
  const size_t most = (size_t)size * wide_as;
  float *tokens = ck_scratch(most * (b->c + 6 * (size_t)dim));
  float *qkv = tokens + most * b->c, *mixed = qkv + most * 3 * dim, *wide = mixed + most * dim, *x = wide + most * dim;
  struct ck_linear normed = {
      .in = tokens, .norm_weight = b->norm_weight, .norm_bias = b->norm_bias, .packed = b->packed_qkv, .out = qkv,
      .in_c = b->c, .out_c = 3 * dim};
  struct ck_linear shortcut = normed;
  shortcut.packed = b->packed_shortcut, shortcut.out = wide, shortcut.out_c = dim;
  struct ck_mlp mlp = b->mlp;
  mlp.in = x, mlp.out = mixed;
  for (long item = first; item < last; item++) {
    const int top = (int)(item / columns) * size, left = (int)(item % columns) * wide_as;
    const int rows = b->h - top < size ? b->h - top : size, across = b->w - left < wide_as ? b->w - left : wide_as;
    const int out_rows = rows / step, out_across = across / step, out_w = b->w / step;
    for (int y = 0; y < rows; y++)
      memcpy(tokens + (size_t)y * across * b->c, b->in + ((long)(top + y) * b->w + left) * b->c,
             (size_t)across * b->c * sizeof *tokens);
    linear_rows(&normed, 0, (long)rows * across);
    const struct ck_attention attention = {
        .qkv = qkv, .bias = b->qkv_bias, .out = mixed, .h = rows, .w = across, .heads = b->heads, .d = b->d,
        .window = size, .pooled = b->pooled};
    attention_items(&attention, 0, (long)(across + size - 1) / size * b->heads);
    struct ck_linear projection = {
        .in = mixed, .packed = b->packed_projection, .residual = tokens, .out = x, .in_c = dim, .out_c = dim};
    if (b->packed_shortcut) {
      linear_rows(&shortcut, 0, (long)rows * across);
      if (b->pooled) max_pool_rows(wide, qkv, across, dim, 0, out_rows);
      projection.residual = b->pooled ? qkv : wide;
    }
    linear_rows(&projection, 0, (long)out_rows * out_across);
    mlp_rows(&mlp, 0, (long)out_rows * out_across);
    for (int y = 0; y < out_rows; y++)
      memcpy(b->out + ((long)(top / step + y) * out_w + left / step) * dim, mixed + (size_t)y * out_across * dim,
             (size_t)out_across * dim * sizeof *mixed);
  }
  ck_free(tokens);
}

static size_t attention_size(const struct ck_attention *a) {
  const struct attention s = attention_of(a, a->h * a->w);
  return s.spans * (s.keys + s.values);
}

// Keys and values of the (head, span) [first, last), for attention of every token to every token.
static void pack_spans(const struct ck_attention *a, float *packed, long first, long last) {
  const struct attention s = attention_of(a, a->h * a->w);
  const long step = 3L * a->heads * a->d;
  element *taken = rows_scratch(CK_SPAN, s.stride, a->d);
  const float *of[CK_SPAN];
  const element *rows[CK_SPAN];
  for (long item = first; item < last; item++) {
    const int head = (int)(item / s.spans), span = (int)(item % s.spans), n = span_length(&s, span);
    for (int part = 1; part < 3; part++) {
      for (int t = 0; t < n; t++) of[t] = token(a, part, head, 0, 0) + (span * CK_SPAN + t) * step;
      pack_span(&s, part, of, n, taken, rows, packed + item * (s.keys + s.values));
    }
  }
  ck_free((float *)taken);
}

// Of every head, CK_QUERIES tokens at a time.
static void global_items(const struct ck_attention *a, const float *packed, long first, long last) {
  const int tokens = a->h * a->w, d = a->d, dim = a->heads * d;
  const long pieces = (tokens + CK_QUERIES - 1) / CK_QUERIES;
  const struct attention s = attention_of(a, tokens);
  element *taken = rows_scratch(CK_QUERIES, s.stride, d);
  struct attending work = make_attending(&s, CK_QUERIES);
  for (long item = first; item < last; item++) {
    const int head = (int)(item / pieces), from = (int)(item % pieces) * CK_QUERIES;
    const int count = tokens - from < CK_QUERIES ? tokens - from : CK_QUERIES;
    for (int t = 0; t < count; t++)
      take(a->qkv + (from + t) * 3L * dim + head * d, taken + t * s.stride, d);
    attend(&s, taken, count, packed + head * s.spans * (s.keys + s.values), &work);
    for (int t = 0; t < count; t++)
      memcpy(a->out + (long)(from + t) * dim + head * d, work.mixed + t * d, d * sizeof(float));
  }
  ck_free((float *)taken);
  free_attending(&work);
}

// ---- the rest ------------------------------------------------------------------------------------------------------

static void unsure_items(const float *logits, float *out, int c, long first, long last) {
  for (long p = first; p < last; p++) {
    float certain = 0;
    for (int i = 0; i < 3; i++) certain += fabsf(2 * logistic(logits[p * c + i]) - 1);
    out[p] = 1 - certain / 3;
  }
}

static void sigmoid_plane_rows(
    const float *logits, int w, int c, int channel, float *out, int ow, long first, long last) {
  for (long y = first; y < last; y++)
    for (long x = 0; x < ow; x++) out[y * ow + x] = logistic(logits[(y * w + x) * c + channel]);
}

static void sigmoid_items(float *x, long first, long last) {
  for (long i = first; i < last; i++) x[i] = logistic(x[i]);
}
