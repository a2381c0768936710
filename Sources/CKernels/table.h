#pragma once
#include "CKernels.h"

// One instruction set's kernels. Row functions do [first, last) of what the caller cut into pieces.
struct ck_table {
  int vector;     // floats in a vector
  int max_block;  // vectors of output channels in a block
  int pair;       // inputs that are packed into 32 bits: 1 (float32) or 2 (bfloat16)
  void (*conv_rows)(const struct ck_conv *, long first, long last);
  void (*block_rows)(const struct ck_block *, long first, long last);
  void (*linear_rows)(const struct ck_linear *, long first, long last);
  void (*mlp_rows)(const struct ck_mlp *, long first, long last);
  void (*fga_rows)(const struct ck_fga *, long first, long last);
  void (*attention_items)(const struct ck_attention *, long first, long last);
  void (*window_blocks)(const struct ck_window_block *, long first, long last);
  size_t (*attention_size)(const struct ck_attention *);  // floats that pack_spans writes for a head
  void (*pack_spans)(const struct ck_attention *, float *packed, long first, long last);
  void (*global_items)(const struct ck_attention *, const float *packed, long first, long last);
  void (*upsample_rows)(const float *, const float *, float *, int h, int w, int c, int relu, long first, long last);
  void (*max_pool_rows)(const float *, float *, int w, int c, long first, long last);
  void (*average_pool_rows)(const float *, float *, int w, int c, long first, long last);
  void (*unsure_items)(const float *, float *, int c, long first, long last);
  void (*sigmoid_plane_rows)(const float *, int w, int c, int channel, float *, int ow, long first, long last);
  void (*sigmoid_items)(float *, long first, long last);
};

#define CK_EPSILON 1e-6f  // of LayerNorm
enum { CK_QUERIES = 32 };  // queries that attend to all tokens at a time
enum { CK_SPAN = 480 };    // tokens that they attend to at a time; even, and whole blocks
static inline int ck_spans(long tokens) { return (int)((tokens + CK_SPAN - 1) / CK_SPAN); }

extern const struct ck_table ck_table_baseline;
#if defined(__x86_64__)
extern const struct ck_table ck_table_avx2;
extern const struct ck_table ck_table_avx512;
extern const struct ck_table ck_table_avx512_bf16;
#endif

/// The calling thread's kernels. A job's threads use those of the thread that gave the job.
const struct ck_table *ck_table_in_use(void);
void ck_use_table(const struct ck_table *table);

/// Vectors in the next block when `left` are left. Blocks of one size but the last keep register use high:
/// four vectors are 2 + 2, not 3 + 1.
static inline int ck_block(int left, int max_block) {
  if (max_block == 3 && left == 4) return 2;
  return left < max_block ? left : max_block;
}

/// Whether a convolution is computed by transformed inputs and weights (kernels_convolution.h), on every instruction set.
static inline int ck_is_transformed(int out_c, int in_c, int k, int stride) {
  return k == 3 && stride == 1 && in_c >= 32 && in_c % 16 == 0 && out_c % 16 == 0;
}
enum { CK_PARTS = 16 };  // of a patch, of weights and of inputs

/// Runs task(context, first, last) over [0, count) on all threads, in pieces of whole chunks, large ones first.
void ck_parallel(long count, long chunk, void (*task)(const void *, long, long), const void *context);
/// ck_allocate that ends the process when memory is out: scratch of a few kilobytes inside a kernel.
float *ck_scratch(size_t count);
