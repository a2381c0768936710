#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"

static const struct ck_table *table_of(int isa) {
#if defined(__x86_64__)
  if (isa == CK_AVX512_BF16) return &ck_table_avx512_bf16;
  if (isa == CK_AVX512) return &ck_table_avx512;
  if (isa == CK_AVX2) return &ck_table_avx2;
#endif
  (void)isa;
  return &ck_table_baseline;
}

/// The most capable instruction set of this CPU.
static int most_capable(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const int fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (fma && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return __builtin_cpu_supports("avx512bf16") ? CK_AVX512_BF16 : CK_AVX512;
  if (fma) return CK_AVX2;
#endif
  return CK_BASELINE;
}

int ck_best_isa(void) {
  const int most = most_capable();
  return most == CK_AVX512_BF16 ? CK_AVX512 : most;
}

int ck_has_bf16(void) { return most_capable() == CK_AVX512_BF16; }

// AMD's processors multiply twice as many bfloat16 numbers as float32 numbers in a time (VDPBF16PS), Intel's half as many: there
// speed is in AMX, which these kernels do not use. Told by the maker, not by a measurement, which a busy machine could change.
int ck_bf16_is_faster(void) {
#if defined(__x86_64__)
  return ck_has_bf16() && __builtin_cpu_is("amd");
#else
  return 0;
#endif
}

static const struct ck_table *best;
static _Thread_local const struct ck_table *chosen;

__attribute__((constructor)) static void choose_best(void) { best = table_of(ck_best_isa()); }

const struct ck_table *ck_table_in_use(void) { return chosen ? chosen : best; }
void ck_use_table(const struct ck_table *table) { chosen = table; }

int ck_use_isa(int isa) {
  const int most = most_capable();
  const int used = isa < most ? isa : most;
  chosen = table_of(used);
  return used;
}

int ck_isa(void) {
  const struct ck_table *table = ck_table_in_use();
  for (int isa = CK_AVX512_BF16; isa > CK_BASELINE; isa--)
    if (table == table_of(isa)) return isa;
  return CK_BASELINE;
}

float *ck_scratch(size_t count) {
  float *memory = ck_allocate(count);
  if (memory) return memory;
  fprintf(stderr, "out of memory: %zu bytes of scratch\n", count * sizeof(float));
  abort();
}

// What one row of a kernel covers: words of 32 bits for a run of inputs, and how many of these there are.
struct runs {
  size_t words, count;
  int transformed;
};

static struct runs runs_of(const struct ck_table *table, int out_c, int in_c, int planes, int k, int stride) {
  if (ck_is_transformed(out_c, in_c, k, stride))
    return (struct runs){((size_t)in_c + table->pair - 1) / table->pair, (size_t)CK_PARTS * planes, 1};
  return (struct runs){((size_t)k * in_c + table->pair - 1) / table->pair, (size_t)planes * k, 0};
}

size_t ck_conv_packed_size(int out_c, int in_c, int planes, int k, int stride) {
  const struct ck_table *table = ck_table_in_use();
  const struct runs runs = runs_of(table, out_c, in_c, planes, k, stride);
  const size_t width = (size_t)(out_c + table->vector - 1) / table->vector * table->vector;
  return width * (runs.words * runs.count + 1);
}

// To nearest, ties to even.
static uint16_t rounded(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  if ((bits & 0x7FFFFFFF) > 0x7F800000) return 0x7FC0;
  return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

// Part 4 y + x of G g G' (kernels_convolution.h) of 3 x 3 weights.
static float transformed(const float *g, size_t part) {
  static const double G[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
  const double *down = G[part / 4], *across = G[part % 4];
  double sum = 0;
  for (int y = 0; y < 3; y++)
    for (int x = 0; x < 3; x++) sum += down[y] * g[3 * y + x] * across[x];
  return (float)sum;
}

void ck_conv_pack(
    const float *weight, const float *bias, int out_c, int in_c, int planes, int k, int stride, float *packed) {
  const struct ck_table *table = ck_table_in_use();
  const int vector = table->vector, total = (out_c + vector - 1) / vector, rows = planes * k, pair = table->pair;
  const struct runs runs = runs_of(table, out_c, in_c, planes, k, stride);
  const size_t length = runs.transformed ? (size_t)in_c : (size_t)k * in_c;
  memset(packed, 0, ck_conv_packed_size(out_c, in_c, planes, k, stride) * sizeof(float));
  if (bias) memcpy(packed, bias, out_c * sizeof(float));
  float *to = packed + (size_t)total * vector;
  for (int first = 0; first < total;) {
    const int vectors = ck_block(total - first, table->max_block);
    for (size_t run = 0; run < runs.count; run++)
      for (size_t word = 0; word < runs.words; word++, to += vectors * vector)
        for (int o = 0; o < vectors * vector && first * vector + o < out_c; o++) {
          const float *of = weight + (size_t)(first * vector + o) * in_c * rows * k;
          for (int half = 0; half < pair; half++) {
            const size_t place = word * pair + half;
            if (place == length) continue;
            // Parts one after the other, of each its planes; or rows of all planes, of each its columns.
            const float value = runs.transformed ? transformed(of + (place * planes + run % planes) * 9, run / planes)
                                                 : of[(place % in_c * rows + run) * k + place / in_c];
            if (pair == 1) {
              to[o] = value;
            } else {
              const uint16_t bits = rounded(value);
              memcpy((uint16_t *)(to + o) + half, &bits, sizeof bits);
            }
          }
        }
    first += vectors;
  }
}

// ---- work cut over the threads -------------------------------------------------------------------------------------

// Convolutions are cut into pairs of rows, the last of which may have one row.
static long rows_to(long pairs, long height) { return 2 * pairs < height ? 2 * pairs : height; }

static void conv_task(const void *c, long first, long last) {
  const struct ck_conv *conv = c;
  ck_table_in_use()->conv_rows(conv, 2 * first, rows_to(last, conv->out_h));
}
void ck_conv(const struct ck_conv *conv) {
  const long pairs = (conv->out_h + 1L) / 2;
  ck_parallel(pairs, 1, conv_task, conv);
}

static void block_task(const void *b, long first, long last) {
  const struct ck_block *block = b;
  ck_table_in_use()->block_rows(block, 2 * first, rows_to(last, block->second.out_h));
}
void ck_conv_block(const struct ck_block *block) {
  const long pairs = (block->second.out_h + 1L) / 2;
  // Each piece computes the rows around it once more.
  ck_parallel(pairs, 8, block_task, block);
}

static void linear_task(const void *l, long first, long last) { ck_table_in_use()->linear_rows(l, first, last); }
void ck_linear(const struct ck_linear *linear, int n) { ck_parallel(n, 96, linear_task, linear); }

static void mlp_task(const void *m, long first, long last) { ck_table_in_use()->mlp_rows(m, first, last); }
void ck_mlp(const struct ck_mlp *mlp, int n) { ck_parallel(n, 96, mlp_task, mlp); }

static void fga_task(const void *c, long first, long last) { ck_table_in_use()->fga_rows(c, first, last); }
void ck_fga(const struct ck_fga *fga) { ck_parallel(fga->h, 1, fga_task, fga); }

static void attention_task(const void *c, long first, long last) { ck_table_in_use()->attention_items(c, first, last); }
struct heads {
  const struct ck_attention *attention;
  float *packed;
};
static void pack_task(const void *p, long first, long last) {
  const struct heads *h = p;
  ck_table_in_use()->pack_spans(h->attention, h->packed, first, last);
}
static void global_task(const void *p, long first, long last) {
  const struct heads *h = p;
  ck_table_in_use()->global_items(h->attention, h->packed, first, last);
}
int ck_attend(const struct ck_attention *a) {
  if (a->window > 0) {
    const long items = (long)((a->h + a->window - 1) / a->window) * ((a->w + a->window - 1) / a->window) * a->heads;
    ck_parallel(items, 1, attention_task, a);
    return 0;
  }
  const struct heads heads = {a, ck_allocate(a->heads * ck_table_in_use()->attention_size(a))};
  if (!heads.packed) return -1;
  ck_parallel((long)a->heads * ck_spans((long)a->h * a->w), 1, pack_task, &heads);
  const long pieces = ((long)a->h * a->w + CK_QUERIES - 1) / CK_QUERIES;
  ck_parallel(a->heads * pieces, 1, global_task, &heads);
  ck_free(heads.packed);
  return 0;
}

static void window_task(const void *b, long first, long last) { ck_table_in_use()->window_blocks(b, first, last); }
void ck_window_block(const struct ck_window_block *block) {
  struct ck_window_block b = *block;
  // As many as make reading the weights cheap, and leave pieces for all threads.
  const int side = b.window, rows = (b.h + side - 1) / side, columns = (b.w + side - 1) / side;
  b.together = (b.pooled ? 512 : 256) / (side * side);
  while (b.together > 1 && (long)rows * ((columns + b.together - 1) / b.together) < 8L * ck_threads()) b.together--;
  if (b.together < 1) b.together = 1;
  const long pieces = (long)rows * ((columns + b.together - 1) / b.together);
  ck_parallel(pieces, 1, window_task, &b);
}

// The small kernels share one argument block.
struct arguments {
  const float *a, *b, *c;
  float *out;
  int h, w, channels, flag, width;
  float number;
};

static void upsample_task(const void *p, long first, long last) {
  const struct arguments *s = p;
  ck_table_in_use()->upsample_rows(s->a, s->b, s->out, s->h, s->w, s->channels, s->flag, first, last);
}
void ck_upsample_add(const float *in, const float *skip, float *out, int h, int w, int c, int relu) {
  const struct arguments s = {.a = in, .b = skip, .out = out, .h = h, .w = w, .channels = c, .flag = relu};
  ck_parallel(2L * h, 2, upsample_task, &s);
}

static void max_pool_task(const void *p, long first, long last) {
  const struct arguments *s = p;
  ck_table_in_use()->max_pool_rows(s->a, s->out, s->w, s->channels, first, last);
}
void ck_max_pool(const float *in, float *out, int h, int w, int c) {
  const struct arguments s = {.a = in, .out = out, .w = w, .channels = c};
  ck_parallel(h / 2, 2, max_pool_task, &s);
}

static void average_pool_task(const void *p, long first, long last) {
  const struct arguments *s = p;
  ck_table_in_use()->average_pool_rows(s->a, s->out, s->w, s->channels, first, last);
}
void ck_average_pool(const float *in, float *out, int h, int w, int c) {
  const struct arguments s = {.a = in, .out = out, .w = w, .channels = c};
  ck_parallel(h / 2, 2, average_pool_task, &s);
}

static void unsure_task(const void *p, long first, long last) {
  const struct arguments *s = p;
  ck_table_in_use()->unsure_items(s->a, s->out, s->channels, first, last);
}
void ck_unsure(const float *logits, float *out, int n, int c) {
  const struct arguments s = {.a = logits, .out = out, .channels = c};
  ck_parallel(n, 1024, unsure_task, &s);
}

static void sigmoid_plane_task(const void *p, long first, long last) {
  const struct arguments *s = p;
  ck_table_in_use()->sigmoid_plane_rows(s->a, s->w, s->channels, s->flag, s->out, s->width, first, last);
}
void ck_sigmoid_plane(const float *logits, int w, int c, int channel, float *out, int oh, int ow) {
  const struct arguments s = {.a = logits, .out = out, .w = w, .channels = c, .flag = channel, .width = ow};
  ck_parallel(oh, 16, sigmoid_plane_task, &s);
}

struct finding {
  const float *x;
  atomic_int *faults;
};
static void find_task(const void *p, long first, long last) {
  const struct finding *f = p;
  uint32_t faults = 0;
  for (long i = first; i < last; i++) {
    uint32_t bits;
    memcpy(&bits, f->x + i, sizeof bits);
    faults |= (bits & 0x7F800000) == 0x7F800000;
  }
  if (faults) atomic_store(f->faults, 1);
}
int ck_all_finite(const float *x, size_t n) {
  atomic_int faults = 0;
  const struct finding finding = {x, &faults};
  ck_parallel((long)n, 1 << 16, find_task, &finding);
  return atomic_load(&faults) == 0;
}

static void sigmoid_task(const void *p, long first, long last) {
  const struct arguments *s = p;
  ck_table_in_use()->sigmoid_items(s->out, first, last);
}
void ck_sigmoid(float *x, int n) {
  const struct arguments s = {.out = x};
  ck_parallel(n, 4096, sigmoid_task, &s);
}
