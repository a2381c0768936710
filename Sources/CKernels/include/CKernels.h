#pragma once
#include "post_kernels.h"
// Kernels of the network in C, chosen at run time for the CPU: baseline, AVX2 + FMA, AVX-512, and
// AVX-512 with products of bfloat16 numbers.
//
// Tensors are (height, width, channels) float32, channels fastest. Work is cut by rows over a pool of threads; a result
// never depends on the number of threads, because every output element is computed by one of them in a fixed order.

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Instruction sets, ascending.
enum ck_isa { CK_BASELINE = 0, CK_AVX2 = 1, CK_AVX512 = 2, CK_AVX512_BF16 = 3 };

/// The best instruction set of this CPU that computes in float32. Work begins with it.
int ck_best_isa(void);
/// 1 if this CPU has CK_AVX512_BF16, whose products with packed weights are of numbers rounded to bfloat16, else 0.
int ck_has_bf16(void);

/// 1 if CK_AVX512_BF16 multiplies faster than CK_AVX512 on this CPU, else 0.
int ck_bf16_is_faster(void);
/// The one the calling thread uses.
int ck_isa(void);
/// From now on, for work that this thread asks for: `isa`, or the most this CPU has if that is less; returns the one in
/// use. Packed weights belong to one instruction set.
int ck_use_isa(int isa);
/// Threads in use; at the start, the CPUs the process may run on.
int ck_threads(void);
void ck_use_threads(int threads);

/// `count` floats, not zeroed, 64-byte aligned. NULL if out of memory. Large freed blocks are kept for reuse.
float *ck_allocate(size_t count);
void ck_free(float *memory);

/// Bytes of large blocks, in use and kept.
size_t ck_memory(void);
/// Of those in use alone.
size_t ck_memory_in_use(void);
/// Kept blocks are given back where they and those in use are more than this; SIZE_MAX at the start. Returns the limit
/// before.
size_t ck_limit_memory(size_t bytes);
/// Gives kept blocks back to the system.
void ck_release_kept(void);

/// How a convolution finds its input in a map that is in memory.
enum ck_form {
  CK_PLAIN = 0,
  CK_POOLED = 1,   // the 2 x 2 maximum of a map (2 in_h, 2 in_w, in_c)
  CK_DOUBLED = 2,  // relu(bilinear x 2 of a map (in_h / 2, in_w / 2, in_c), half-pixel centres, + skip)
};

/// One convolution, planes x k x k: out (out_h, out_w, out_c) <- input planes (in_h, in_w, in_c), zeros outside, then
/// residual, then relu. out_h = ceil(in_h / stride) with padding k / 2. The input is computed from `in` row by row, as
/// it is needed, and is never whole in memory.
struct ck_conv {
  const float *in[3];     // a NULL plane counts as zeros
  int form;               // ck_form, of all planes
  const float *skip;      // (in_h, in_w, in_c) or NULL
  const float *packed;    // by ck_conv_pack
  const float *residual;  // (out_h, out_w, out_c) or NULL; may not be out
  float *out;
  int planes, k, stride;
  int in_h, in_w, in_c;
  int out_h, out_w, out_c;
  int relu;
};
/// Floats of the packed form.
size_t ck_conv_packed_size(int out_c, int in_c, int planes, int k, int stride);
/// packed <- weight (out_c, in_c, planes, k, k), bias (out_c) or NULL.
void ck_conv_pack(
    const float *weight, const float *bias, int out_c, int in_c, int planes, int k, int stride, float *packed);
void ck_conv(const struct ck_conv *conv);

/// a = first; out = second of a, with a as residual; head (h, w, head_c) <- out times head_packed. Row by row: neither a
/// nor, where `second.out` is NULL, out is ever whole in memory.
struct ck_block {
  struct ck_conv first;   // one plane, stride 1; residual and out are not used
  struct ck_conv second;  // one plane, stride 1, as many inputs as outputs; in and residual are not used
  const float *head_packed;  // of a 1 x 1 convolution to head_c outputs, or NULL
  float *head;
  int head_c;
};
void ck_conv_block(const struct ck_block *block);

/// Rows through a linear layer: out (n, out_c) <- residual + in (n, in_c) times what ck_conv_pack packed of
/// (out_c, in_c, 1, 1, 1), stride 1, with its bias.
struct ck_linear {
  const float *in;
  const float *norm_weight, *norm_bias;  // (in_c): LayerNorm (epsilon 1e-6) of every row of `in` first; or NULL
  const float *packed;
  const float *residual;  // (n, out_c) or NULL; may be out
  float *out;
  int in_c, out_c;
};
void ck_linear(const struct ck_linear *linear, int n);

/// The second half of a transformer block: out (n, c) <- in + back(gelu(hidden(LayerNorm(in)))), gelu in the exact form
/// with erf. The hidden layer is never whole in memory.
struct ck_mlp {
  const float *in;
  const float *norm_weight, *norm_bias;  // (c)
  const float *packed_hidden, *packed_back;  // by ck_conv_pack, with their biases
  float *out;  // may be in
  int c, hidden;
};
void ck_mlp(const struct ck_mlp *mlp, int n);

/// Feature-Guided Attention: out (h, w, f) <- fine (h, w, f), guide (h, w, g), unsure (h, w).
struct ck_fga {
  const float *fine, *guide, *unsure;
  /// 1 x 1 convolution of [fine; guide; unsure] to [query (q); channel (f); value (f)].
  const float *packed;
  const float *gate;  // (q)
  float gate_bias;
  const float *gamma;  // (f)
  float *out;
  int h, w, f, g, q;
};
void ck_fga(const struct ck_fga *fga);

/// Attention of the tokens of each window to each other: out (h, w, heads * d) <- qkv (h, w, 3 * heads * d). Tokens
/// outside the grid have q, k, v equal to the bias. With `pooled`, queries are pooled 2 x 2 (maximum), and out is
/// (h / 2, w / 2, heads * d). A window of 0 is the whole grid; its queries are not pooled.
struct ck_attention {
  const float *qkv, *bias;
  float *out;
  int h, w, heads, d, window, pooled;
};
/// 0, or -1 when memory could not be had.
int ck_attend(const struct ck_attention *attention);

/// One transformer block whose attention is by windows, window by window: x = shortcut + projection(attention(
/// LayerNorm(in))), then ck_mlp of it. Nothing but out (h, w, heads * d), or half its sides if `pooled`, leaves a core.
struct ck_window_block {
  const float *in;  // (h, w, c)
  const float *norm_weight, *norm_bias;  // (c)
  const float *packed_qkv, *qkv_bias;    // c to 3 * heads * d; the bias is that of tokens outside, too
  const float *packed_projection;        // heads * d to as many
  const float *packed_shortcut;  // c to heads * d, of the normalised input, pooled as the queries; NULL: the input
  struct ck_mlp mlp;             // its in and out are not used
  float *out;
  int h, w, c, heads, d, window, pooled;
  int together;  // neighbouring windows that are done at a time; ck_window_block sees to it
};
void ck_window_block(const struct ck_window_block *block);

/// out (2h, 2w, c) <- bilinear x 2 of in (h, w, c), half-pixel centres, + skip (2h, 2w, c) or NULL, then relu.
void ck_upsample_add(const float *in, const float *skip, float *out, int h, int w, int c, int relu);
/// out (h/2, w/2, c) <- 2 x 2 maximum of in (h, w, c); odd last rows and columns are dropped.
void ck_max_pool(const float *in, float *out, int h, int w, int c);
/// out (h/2, w/2, c) <- 2 x 2 mean of in (h, w, c).
void ck_average_pool(const float *in, float *out, int h, int w, int c);
/// out (n) <- 1 - mean over the first three channels of |2 sigmoid(logits (n, c)) - 1|.
void ck_unsure(const float *logits, float *out, int n, int c);
/// out (oh, ow) <- sigmoid of channel `channel` of the top left of logits (h, w, c).
void ck_sigmoid_plane(const float *logits, int w, int c, int channel, float *out, int oh, int ow);
/// 1 if none of x (n) is NaN or infinite, else 0.
int ck_all_finite(const float *x, size_t n);
/// x (n), in place.
void ck_sigmoid(float *x, int n);

/// u(seed, index) of training/README.md, "Goldens": -0.5 ..< 0.5 in steps of 2^-24, the same on every machine.
double ck_centred(uint64_t seed, uint64_t index);
/// out (n) <- offset + scale * u(seed, first + i), in double until the last step.
void ck_uniform(uint64_t seed, uint64_t first, double scale, double offset, float *out, size_t n);

#ifdef __cplusplus
}
#endif
