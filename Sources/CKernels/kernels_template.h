// The kernels, once per instruction set. Before inclusion: VECTOR (floats), MAX_BLOCK (vectors of output channels),
// BLOCK1, BLOCK2, BLOCK3 (pixels that go with 1, 2, 3 vectors), NAME(x).

#define INLINE static inline __attribute__((always_inline))
#define UNUSED __attribute__((unused))

// What multiplies by weights that ck_conv_pack packed; attention packs its own matrices, in float32.
#ifndef MULTIPLY_PACKED
#define MULTIPLY_PACKED multiply
#endif
typedef float vec __attribute__((ext_vector_type(VECTOR)));
typedef float vec_at __attribute__((ext_vector_type(VECTOR), aligned(4)));
INLINE vec load(const float *p) { return *(const vec_at *)p; }
INLINE void store(float *p, vec v) { *(vec_at *)p = v; }
INLINE vec splat(float x) { return (vec)(x); }
INLINE float sum(vec v) {
  float total = 0;
  for (int i = 0; i < VECTOR; i++) total += v[i];
  return total;
}

// exp to about 1 unit in the last place; below -87 it is 0 to 1e-38.
INLINE float exponential(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
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
  int32_t bits;
  memcpy(&bits, &shifted, 4);
  bits = (bits + (127 - 0x4B400000)) << 23;
  float power;
  memcpy(&power, &bits, 4);
  return p * power;
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

// A run of inputs of one pixel, `length` long, times a matrix (length, block of output channels).
struct tap {
  const float *in;
  const float *weights;
};

struct target {
  float *out;             // first pixel, first channel of the block
  const float *residual;  // the same place, or NULL
  long step;              // floats from pixel to pixel
  int channels;           // of the block that exist
  int relu;
};

// acc[p][q] = bias[q] + sum over taps and t of in[p * stride + t] * weights[t][q], in this order.
INLINE void products(
    const struct tap *taps, int count, long offset, long length, long stride, const float *bias, const int pixels,
    const int vectors, vec *acc) {
#pragma clang loop unroll(full)
  for (int p = 0; p < pixels; p++)
#pragma clang loop unroll(full)
    for (int q = 0; q < vectors; q++) acc[p * vectors + q] = load(bias + q * VECTOR);
  for (int tap = 0; tap < count; tap++) {
    const float *in = taps[tap].in + offset;
    const float *weights = taps[tap].weights;
#pragma clang loop unroll_count(2)
    for (long t = 0; t < length; t++) {
      vec w[3];
#pragma clang loop unroll(full)
      for (int q = 0; q < vectors; q++) w[q] = load(weights + q * VECTOR);
#pragma clang loop unroll(full)
      for (int p = 0; p < pixels; p++) {
        vec x = splat(in[p * stride]);
#pragma clang loop unroll(full)
        for (int q = 0; q < vectors; q++) acc[p * vectors + q] += x * w[q];
      }
      weights += vectors * VECTOR;
      in++;
    }
  }
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
        if (to->relu) v = __builtin_elementwise_max(v, splat(0));
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
    switch (stride) {                                                                                                \
      case 16: products(taps, count, offset, length, 16, bias, PIXELS, VECTORS, acc); break;                         \
      case 32: products(taps, count, offset, length, 32, bias, PIXELS, VECTORS, acc); break;                         \
      case 48: products(taps, count, offset, length, 48, bias, PIXELS, VECTORS, acc); break;                         \
      case 64: products(taps, count, offset, length, 64, bias, PIXELS, VECTORS, acc); break;                         \
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

// out (pixels, channels) <- (adding ? out : 0) + in (pixels, length) times packed (bias, then blocks (length, vectors)).
static void multiply(
    const float *in, long stride, long length, const float *packed, int channels, float *out, long step, long pixels,
    int adding) {
  const int total = (channels + VECTOR - 1) / VECTOR;
  const float *weights = packed + total * VECTOR;
  for (int first = 0; first < total;) {
    const int vectors = ck_block(total - first, MAX_BLOCK);
    const int rest = channels - first * VECTOR;
    const struct tap tap = {in, weights};
    const struct target to = {
        out + first * VECTOR, adding ? out + first * VECTOR : NULL, step,
        rest < vectors * VECTOR ? rest : vectors * VECTOR, 0};
    run(&tap, 1, length, stride, packed + first * VECTOR, vectors, &to, pixels);
    weights += length * vectors * VECTOR;
    first += vectors;
  }
}

// ---- convolution ---------------------------------------------------------------------------------------------------

// Pixels at the left and right edge go through a copy with zeros around; the others are read in place.
enum { EDGE = 16, MAX_TAPS = 21 };

struct region {
  long first, pixels;
  const float *in[MAX_TAPS];
};

// Columns [from, from + columns) of a row, zeros outside.
static void copy_columns(const float *row, long width, long channels, long from, long columns, float *out) {
  const long before = from < 0 ? (-from < columns ? -from : columns) : 0;
  long inside = width - (from + before);
  inside = inside < 0 ? 0 : inside;
  inside = inside < columns - before ? inside : columns - before;
  memset(out, 0, before * channels * sizeof(float));
  if (inside > 0) memcpy(out + before * channels, row + (from + before) * channels, inside * channels * sizeof(float));
  memset(out + (before + inside) * channels, 0, (columns - before - inside) * channels * sizeof(float));
}

static UNUSED void conv_rows(const struct ck_conv *c, long first_row, long last_row) {
  const long channels = c->in_c, pad = c->k / 2, length = c->k * channels, stride = c->stride * channels;
  const long copy = ((2 * EDGE - 1 + pad) * c->stride + c->k) * channels;
  float *scratch = ck_scratch(2 * MAX_TAPS * copy);
  const int total = (c->out_c + VECTOR - 1) / VECTOR;

  // Interior: pixels whose taps are all inside, in whole steps of EDGE.
  struct region regions[3];
  const long safe = c->in_w + pad >= c->k ? (c->in_w + pad - c->k) / c->stride + 1 : 0;
  const long left = pad == 0 ? 0 : (c->out_w < EDGE ? c->out_w : EDGE);
  long inner = safe > left ? (pad == 0 ? safe - left : (safe - left) / EDGE * EDGE) : 0;
  inner = inner < c->out_w - left ? inner : c->out_w - left;
  regions[0].first = 0, regions[0].pixels = left;
  regions[1].first = left, regions[1].pixels = inner;
  regions[2].first = left + inner, regions[2].pixels = c->out_w - left - inner;

  for (long y = first_row; y < last_row; y++) {
    int count = 0, which[MAX_TAPS];
    for (int z = 0; z < c->planes; z++) {
      if (!c->in[z]) continue;
      for (int dy = 0; dy < c->k; dy++) {
        const long row = y * c->stride + dy - pad;
        if (row < 0 || row >= c->in_h) continue;
        const float *in = c->in[z] + row * c->in_w * channels;
        for (int r = 0; r < 3; r++) {
          if (regions[r].pixels == 0) continue;
          const long from = regions[r].first * c->stride - pad;
          if (r == 1) {
            regions[r].in[count] = in + from * channels;
          } else {
            float *to = scratch + (2 * count + r / 2) * copy;
            copy_columns(in, c->in_w, channels, from, (regions[r].pixels - 1) * c->stride + c->k, to);
            regions[r].in[count] = to;
          }
        }
        which[count++] = z * c->k + dy;
      }
    }
    const float *weights = c->packed + total * VECTOR;
    for (int first = 0; first < total;) {
      const int vectors = ck_block(total - first, MAX_BLOCK);
      const int rest = c->out_c - first * VECTOR;
      for (int r = 0; r < 3; r++) {
        if (regions[r].pixels == 0) continue;
        struct tap taps[MAX_TAPS];
        for (int i = 0; i < count; i++)
          taps[i] = (struct tap){regions[r].in[i], weights + which[i] * length * vectors * VECTOR};
        const long at = (y * c->out_w + regions[r].first) * c->out_c + first * VECTOR;
        const struct target to = {
            c->out + at, c->residual ? c->residual + at : NULL, c->out_c,
            rest < vectors * VECTOR ? rest : vectors * VECTOR, c->relu};
        run(taps, count, length, stride, c->packed + first * VECTOR, vectors, &to, regions[r].pixels);
      }
      weights += c->planes * c->k * length * vectors * VECTOR;
      first += vectors;
    }
  }
  ck_free(scratch);
}

// ---- attention -----------------------------------------------------------------------------------------------------

static void fga_rows(const struct ck_fga *a, long first, long last) {
  enum { CHUNK = 64 };
  const int in_c = a->f + a->g + 1, out_c = a->q + 2 * a->f;
  float *both = ck_scratch((size_t)CHUNK * (in_c + out_c));
  float *mixed = both + (size_t)CHUNK * in_c;
  for (long y = first; y < last; y++) {
    for (long x = 0; x < a->w; x += CHUNK) {
      const long n = a->w - x < CHUNK ? a->w - x : CHUNK, at = y * a->w + x;
      for (long p = 0; p < n; p++) {
        memcpy(both + p * in_c, a->fine + (at + p) * a->f, a->f * sizeof(float));
        memcpy(both + p * in_c + a->f, a->guide + (at + p) * a->g, a->g * sizeof(float));
        both[p * in_c + in_c - 1] = a->unsure[at + p];
      }
      MULTIPLY_PACKED(both, in_c, in_c, a->packed, out_c, mixed, out_c, n, 0);
      for (long p = 0; p < n; p++) {
        const float *query = mixed + p * out_c, *channel = query + a->q, *value = channel + a->f;
        float gate = a->gate_bias;
        for (int i = 0; i < a->q; i++) gate += (query[i] > 0 ? query[i] : 0) * a->gate[i];
        gate = logistic(gate);
        const float *fine = a->fine + (at + p) * a->f;
        float *out = a->out + (at + p) * a->f;
        for (int i = 0; i < a->f; i++) out[i] = fine[i] + a->gamma[i] * gate * logistic(channel[i]) * value[i];
      }
    }
  }
  ck_free(both);
}

static void softmax_row(float *x, int n, float scale) {
  float top = x[0];
  for (int i = 1; i < n; i++) top = x[i] > top ? x[i] : top;
  for (int i = 0; i < n; i++) x[i] = exponential((x[i] - top) * scale);
  vec partial = splat(0);
  int i = 0;
  for (; i + VECTOR <= n; i += VECTOR) partial += load(x + i);
  float total = sum(partial);
  for (; i < n; i++) total += x[i];
  const float factor = 1.0f / total;
  for (i = 0; i < n; i++) x[i] *= factor;
}

// packed <- (rows, columns) matrix whose element (r, c) is at(r, c) = from[r * row_step + c * column_step]; no bias.
static void pack_matrix(const float *from, long row_step, long column_step, int rows, int columns, float *packed) {
  const int total = (columns + VECTOR - 1) / VECTOR;
  memset(packed, 0, (size_t)(rows + 1) * total * VECTOR * sizeof(float));
  float *weights = packed + total * VECTOR;
  for (int first = 0; first < total;) {
    const int vectors = ck_block(total - first, MAX_BLOCK);
    const int from_column = first * VECTOR;
    const int n = columns - from_column < vectors * VECTOR ? columns - from_column : vectors * VECTOR;
    for (int r = 0; r < rows; r++)
      for (int c = 0; c < n; c++)
        weights[(long)r * vectors * VECTOR + c] = from[r * row_step + (from_column + c) * column_step];
    weights += (long)rows * vectors * VECTOR;
    first += vectors;
  }
}

// One (window, head) after the other.
static void attention_items(const struct ck_attention *a, long first, long last) {
  const int size = a->window, tokens = size * size, d = a->d, dim = a->heads * d;
  const int rows = (a->h + size - 1) / size, columns = (a->w + size - 1) / size;
  const int padded = (tokens + VECTOR - 1) / VECTOR * VECTOR, wide = (d + VECTOR - 1) / VECTOR * VECTOR;
  const size_t plain = (size_t)tokens * d;
  const size_t packed = (size_t)(d + 1) * padded + (size_t)(tokens + 1) * wide;
  float *scratch = ck_scratch(4 * plain + packed + (size_t)tokens * tokens);
  float *q = scratch, *k = q + plain, *v = k + plain, *mixed = v + plain;
  float *keys = mixed + plain, *values = keys + (size_t)(d + 1) * padded;
  float *scores = values + (size_t)(tokens + 1) * wide;
  const float scale = 1.0f / sqrtf((float)d);
  const int step = a->pooled ? 2 : 1, out_h = a->h / step, out_w = a->w / step, out_size = size / step;
  (void)rows;
  for (long item = first; item < last; item++) {
    const int head = (int)(item % a->heads);
    const int top = (int)(item / a->heads / columns) * size, left = (int)(item / a->heads % columns) * size;
    const float *bias = a->bias + head * d;
    for (int t = 0; t < tokens; t++) {
      const int y = top + t / size, x = left + t % size;
      const float *qkv = a->qkv + ((long)y * a->w + x) * 3 * dim + head * d;
      const int inside = y < a->h && x < a->w;
      for (int i = 0; i < d; i++) {
        q[t * d + i] = bias[i] + (inside ? qkv[i] : 0);
        k[t * d + i] = bias[dim + i] + (inside ? qkv[dim + i] : 0);
        v[t * d + i] = bias[2 * dim + i] + (inside ? qkv[2 * dim + i] : 0);
      }
    }
    const int queries = out_size * out_size;
    if (a->pooled)
      for (int t = 0; t < queries; t++) {
        const float *from = q + (t / out_size * 2 * size + t % out_size * 2) * d;
        // In place: token t lies before the four it is made of, or is the first of them.
        for (int i = 0; i < d; i++) {
          const float upper = from[i] > from[d + i] ? from[i] : from[d + i];
          const float lower = from[size * d + i] > from[size * d + d + i] ? from[size * d + i] : from[size * d + d + i];
          q[t * d + i] = upper > lower ? upper : lower;
        }
      }
    pack_matrix(k, 1, d, d, tokens, keys);
    pack_matrix(v, d, 1, tokens, d, values);
    multiply(q, d, d, keys, tokens, scores, tokens, queries, 0);
    for (int t = 0; t < queries; t++) softmax_row(scores + (long)t * tokens, tokens, scale);
    multiply(scores, tokens, tokens, values, d, mixed, d, queries, 0);
    for (int t = 0; t < queries; t++) {
      const int y = top / step + t / out_size, x = left / step + t % out_size;
      if (y < out_h && x < out_w)
        memcpy(a->out + ((long)y * out_w + x) * dim + head * d, mixed + t * d, d * sizeof(float));
    }
  }
  ck_free(scratch);
}

static void softmax_rows(float *x, int c, float scale, long first, long last) {
  for (long r = first; r < last; r++) softmax_row(x + r * c, c, scale);
}

// ---- the rest ------------------------------------------------------------------------------------------------------

static void upsample_rows(
    const float *in, const float *skip, float *out, int h, int w, int c, int relu, long first, long last) {
  const long width = (long)w * c;
  float *blend = ck_scratch(width);
  for (long y = first; y < last; y++) {
    // Even rows lie a quarter above the centre of y / 2, odd ones a quarter below.
    const long near = y / 2, other = y % 2 ? (near + 1 < h ? near + 1 : near) : (near > 0 ? near - 1 : 0);
    const float *a = in + near * width, *b = in + other * width;
    for (long i = 0; i < width; i++) blend[i] = 0.75f * a[i] + 0.25f * b[i];
    float *to = out + y * 2 * width;
    const float *add = skip ? skip + y * 2 * width : NULL;
    for (long x = 0; x < 2 * w; x++) {
      const long near_x = x / 2;
      const long other_x = x % 2 ? (near_x + 1 < w ? near_x + 1 : near_x) : (near_x > 0 ? near_x - 1 : 0);
      const float *l = blend + near_x * c, *r = blend + other_x * c;
      float *restrict o = to + x * c;
      if (add) {
        const float *s = add + x * c;
        if (relu)
          for (int i = 0; i < c; i++) {
            const float v = 0.75f * l[i] + 0.25f * r[i] + s[i];
            o[i] = v > 0 ? v : 0;
          }
        else
          for (int i = 0; i < c; i++) o[i] = 0.75f * l[i] + 0.25f * r[i] + s[i];
      } else {
        for (int i = 0; i < c; i++) {
          const float v = 0.75f * l[i] + 0.25f * r[i];
          o[i] = relu && !(v > 0) ? 0 : v;
        }
      }
    }
  }
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

static void layer_norm_rows(
    const float *in, const float *weight, const float *bias, float *out, int c, float epsilon, long first, long last) {
  for (long r = first; r < last; r++) {
    const float *x = in + r * c;
    float *restrict o = out + r * c;
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
    for (i = 0; i < c; i++) o[i] = (x[i] - mean) * factor * weight[i] + bias[i];
  }
}

static void bias_gelu_rows(float *x, const float *bias, int c, long first, long last) {
  for (long r = first; r < last; r++) {
    float *restrict row = x + r * c;
    for (int i = 0; i < c; i++) {
      const float v = row[i] + bias[i];
      row[i] = 0.5f * v * (1.0f + error_function(v * 0.70710678f));
    }
  }
}

static void bias_add_rows(const float *in, const float *bias, float *out, int c, long first, long last) {
  for (long r = first; r < last; r++) {
    for (int i = 0; i < c; i++) out[r * c + i] = in[r * c + i] + bias[i];
  }
}

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

static void linear_rows(
    const float *in, const float *packed, float *out, int in_c, int out_c, int adding, long first, long last) {
  MULTIPLY_PACKED(in + first * in_c, in_c, in_c, packed, out_c, out + first * out_c, out_c, last - first, adding);
}
