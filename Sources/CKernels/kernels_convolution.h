// Convolutions of one instruction set; part of kernels_template.h.

enum { MAX_TAPS = 21 };

// The rows of the input that a convolution works on: of every plane the last few, each made once for all the output rows and taps it
// serves. As products take them, with zeros at both ends; or, where they are transformed, as they are, and only those that are computed.
struct rows {
  float *memory;  // (planes, count, size)
  long count;     // rows of a plane that are kept
  long size;      // floats of a row
  long ready;     // rows below this one are there
  float *buffer;  // a row that is computed, before it is padded
  float *blend;   // what computing needs, as much as a row
};

INLINE int is_transformed(const struct ck_conv *c) { return ck_is_transformed(c->out_c, c->in_c, c->k, c->stride); }

static long padded_width(const struct ck_conv *c) { return (c->out_w - 1L) * c->stride + c->k; }

static struct rows make_rows(const struct ck_conv *c, long first_output, long count) {
  struct rows rows = {.count = count};
  const long width = (long)c->in_w * c->in_c;
  if (!is_transformed(c)) {
    rows.size = ((padded_width(c) * c->in_c + PAIR) / PAIR + 31) / 32 * 32;
  } else if (c->form != CK_PLAIN) {
    rows.size = width;
  }
  rows.memory = rows.size ? ck_scratch((size_t)c->planes * count * rows.size) : NULL;
  if (c->form != CK_PLAIN) rows.blend = ck_scratch(width);
  if (c->form != CK_PLAIN && !is_transformed(c)) rows.buffer = ck_scratch(width);
  rows.ready = first_output * c->stride - c->k / 2;
  if (rows.ready < 0) rows.ready = 0;
  return rows;
}

static void free_rows(struct rows *rows) {
  ck_free(rows->memory);
  ck_free(rows->buffer);
  ck_free(rows->blend);
}

// Row `y` of a plane, as the convolution's input: in `row`, if it is computed. blend: as much as a row.
static const float *input_row(const struct ck_conv *c, int plane, long y, float *row, float *blend) {
  const long width = (long)c->in_w * c->in_c;
  const float *in = c->in[plane];
  switch (c->form) {
    case CK_POOLED: max_pool_rows(in + 4 * y * width, row, 2 * c->in_w, c->in_c, 0, 1); return row;
    case CK_DOUBLED:
      double_row(in, c->skip ? c->skip + y * width : NULL, row, blend, c->in_h / 2, c->in_w / 2, c->in_c, 1, y);
      return row;
    default: return in + y * width;
  }
}

static float *row_place(const struct rows *rows, int plane, long y) {
  return rows->memory + (plane * rows->count + y % rows->count) * rows->size;
}

static void pad_row(const struct ck_conv *c, const float *row, element *out) {
  const long channels = c->in_c, pad = c->k / 2, width = padded_width(c);
  const long inside = c->in_w < width - pad ? c->in_w : width - pad;
  memset(out, 0, pad * channels * sizeof *out);
  take(row, out + pad * channels, inside * channels);
  memset(out + (pad + inside) * channels, 0, ((width - pad - inside) * channels + PAIR) * sizeof *out);
}

// Makes the input rows of output row `y` and the one after it that are not there.
static void fill_rows(const struct ck_conv *c, struct rows *rows, long y) {
  const long top = y * c->stride - c->k / 2;
  const long end = top + rows->count < c->in_h ? top + rows->count : c->in_h;
  if (rows->ready < top) rows->ready = top;
  for (; rows->ready < end && rows->size; rows->ready++)
    for (int z = 0; z < c->planes; z++) {
      if (!c->in[z]) continue;
      float *place = row_place(rows, z, rows->ready);
      if (is_transformed(c))
        input_row(c, z, rows->ready, place, rows->blend);
      else
        pad_row(c, input_row(c, z, rows->ready, rows->buffer, rows->blend), (element *)place);
    }
}

// What a convolution writes: two rows next to each other, the second one only where there is one.
struct row_pair {
  float *out;
  const float *residual;  // the same places, or NULL
  int rows;
  int streams;
};

// Output row `y` from rows that are there. `present`: planes that count.
static void conv_row(
    const struct ck_conv *c, const struct rows *rows, const int *present, long y, const float *residual, float *out,
    int streams) {
  const long length = words_of(c->k * c->in_c), top = y * c->stride - c->k / 2;
  const long end = top + c->k < c->in_h ? top + c->k : c->in_h;
  const int total = (c->out_c + VECTOR - 1) / VECTOR;
  int count = 0, which[MAX_TAPS];
  struct tap taps[MAX_TAPS];
  for (int z = 0; z < c->planes; z++) {
    if (!present[z]) continue;
    for (long row = top < 0 ? 0 : top; row < end; row++) {
      taps[count].in = (const element *)row_place(rows, z, row);
      which[count++] = z * c->k + (int)(row - top);
    }
  }
  const float *weights = c->packed + total * VECTOR;
  for (int first = 0; first < total;) {
    const int vectors = ck_block(total - first, MAX_BLOCK), rest = c->out_c - first * VECTOR;
    for (int i = 0; i < count; i++) taps[i].weights = weights + which[i] * length * vectors * VECTOR;
    const struct target to = {
        out + first * VECTOR, residual ? residual + first * VECTOR : NULL, c->out_c,
        rest < vectors * VECTOR ? rest : vectors * VECTOR, c->relu, streams};
    run(taps, count, length, c->stride * c->in_c, c->packed + first * VECTOR, vectors, &to, c->out_w);
    weights += c->planes * c->k * length * vectors * VECTOR;
    first += vectors;
  }
}

// ---- 3 x 3 convolutions in fewer products --------------------------------------------------------------------------

// Winograd's F(2 x 2, 3 x 3) (A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016): a *patch* of 4 x 4
// inputs, transformed, times 16 transformed weights, transformed back, is 2 x 2 outputs: 16 products for each pair of channels in place of
// 36. With d a patch and g the 3 x 3 weights, out = A'(G g G' * B' d B)A, where
//
//      | 1  0 -1  0 |       | 1    0    0  |       | 1  1  1  0 |
// B' = | 0  1  1  0 |   G = | 1/2  1/2 1/2 |  A' = | 0  1 -1 -1 |
//      | 0 -1  1  0 |       | 1/2 -1/2 1/2 |
//      | 0  1  0 -1 |       | 0    0    1  |
//
// No input outside an output's 3 x 3 is ever added to it, not even times 0, and patches begin at even rows and columns. So a part of a map that begins
// at even ones gives the bits of the whole.

enum { PARTS = CK_PARTS, PATCHES = 24 };  // of a patch; in a row, that are done at a time

// Numbers between a part of some patches and the next. A cache holds few lines that lie a multiple of 4096 bytes apart.
INLINE long part_size(long channels) { return PATCHES * channels + 16 * PAIR; }

// parts (16, patches, c) <- B' d B of patches next to each other, the first of which begins at these four rows' first columns.
static void transform(const float *const *row, long patches, long c, element *parts) {
  const long part = part_size(c);
  for (long p = 0; p < patches; p++)
    for (long i = 0; i < c; i += VECTOR) {
      vec b[4][4];
#pragma clang loop unroll(full)
      for (int x = 0; x < 4; x++) {
        const long at = (2 * p + x) * c + i;
        const vec d0 = load(row[0] + at), d1 = load(row[1] + at), d2 = load(row[2] + at), d3 = load(row[3] + at);
        b[0][x] = d0 - d2, b[1][x] = d1 + d2, b[2][x] = d2 - d1, b[3][x] = d1 - d3;
      }
      element *to = parts + p * c + i;
#pragma clang loop unroll(full)
      for (int y = 0; y < 4; y++) {
        take_vector(to + (4 * y + 0) * part, b[y][0] - b[y][2]);
        take_vector(to + (4 * y + 1) * part, b[y][1] + b[y][2]);
        take_vector(to + (4 * y + 2) * part, b[y][2] - b[y][1]);
        take_vector(to + (4 * y + 3) * part, b[y][1] - b[y][3]);
      }
    }
}

// A patch that reaches over the edges: column x of four rows and the three after it, zeros outside. patch: (4, 4, c).
static void transform_edge(const float *const *lines, long x, long w, long c, float *patch, element *parts) {
  const float *row[4];
  for (int y = 0; y < 4; y++) {
    row[y] = patch + 4 * y * c;
    for (long i = 0; i < 4; i++) {
      float *pixel = patch + (4 * y + i) * c;
      if (lines[y] && x + i >= 0 && x + i < w)
        memcpy(pixel, lines[y] + (x + i) * c, c * sizeof *pixel);
      else
        memset(pixel, 0, c * sizeof *pixel);
    }
  }
  transform(row, 1, c, parts);
}

// parts <- patches `from` ... of four rows of w pixels each; NULL is a row outside. zeros: as much as a row.
static void transform_lines(
    const float *const *lines, const float *zeros, long from, long some, long w, long c, float *patch, element *parts) {
  const long last = (w - 1) / 2;
  long begin = from, end = from + some;
  if (begin == 0) {
    transform_edge(lines, -1, w, c, patch, parts);
    begin++;
  }
  if (end == last + 1 && begin < end) {
    end--;
    transform_edge(lines, 2 * end - 1, w, c, patch, parts + (end - from) * c);
  }
  const float *row[4];
  for (int y = 0; y < 4; y++) row[y] = (lines[y] ? lines[y] : zeros) + (2 * begin - 1) * c;
  transform(row, end - begin, c, parts + (begin - from) * c);
}

// One vector of an output.
INLINE void put(const struct target *to, long at, vec v) {
  if (to->residual) v += load(to->residual + at);
  if (to->relu) v = larger(v, splat(0));
  if (to->streams)
    __builtin_nontemporal_store(v, (vec *)(to->out + at));
  else
    store(to->out + at, v);
}

// The outputs A' m A of patches: `rows` rows, `width` floats apart, of `columns` pixels.
static void transform_back(
    const float *products, long patches, int vectors, const struct target *to, long width, int rows, long columns) {
  const long block = vectors * VECTOR, part = part_size(block);
  for (long p = 0; p < patches; p++)
    for (int q = 0; q < vectors; q++) {
      const float *m = products + p * block + q * VECTOR;
      vec left[4], right[4];
#pragma clang loop unroll(full)
      for (int y = 0; y < 4; y++, m += 4 * part) {
        const vec m1 = load(m + part), m2 = load(m + 2 * part);
        left[y] = load(m) + m1 + m2;
        right[y] = m1 - m2 - load(m + 3 * part);
      }
      const long at = 2 * p * to->step + q * VECTOR;
      const int both = 2 * p + 1 < columns;
      put(to, at, left[0] + left[1] + left[2]);
      if (both) put(to, at + to->step, right[0] + right[1] + right[2]);
      if (rows < 2) continue;
      put(to, at + width, left[1] - left[2] - left[3]);
      if (both) put(to, at + width + to->step, right[1] - right[2] - right[3]);
    }
}

// Every part of patches begin ..< end, `some` at a time: products (16, part_size) <- the taps of each part, `count` of them. The bias goes
// with the one part that is added to all four outputs.
INLINE void all_parts(
    const struct tap *taps, int count, long begin, long end, long length, long stride, const float *bias, const float *zeros,
    const int some, const int vectors, float *to) {
  const long block = vectors * VECTOR;
  for (int i = 0; i < PARTS; i++, taps += count, to += part_size(block))
    for (long p = begin; p < end; p += some) {
      vec acc[24];
      products(taps, count, p * stride, length, stride, i == 5 ? bias : zeros, some, vectors, acc);
#pragma clang loop unroll(full)
      for (int k = 0; k < some * vectors; k++) store(to + p * block + k * VECTOR, acc[k]);
    }
}

// One call for all parts, as a part alone is few products. The common widths are constants, as in `block`.
#define PARTS_FUNCTION(SOME, VECTORS)                                                                                 \
  static __attribute__((noinline)) void parts_##VECTORS##_##SOME(                                                     \
      const struct tap *taps, int count, long begin, long end, long length, long stride, const float *bias,           \
      const float *zeros, float *to) {                                                                                \
    switch (stride) {                                                                                                 \
      case 32: all_parts(taps, count, begin, end, length, 32, bias, zeros, SOME, VECTORS, to); break;                 \
      case 48: all_parts(taps, count, begin, end, length, 48, bias, zeros, SOME, VECTORS, to); break;                 \
      case 64: all_parts(taps, count, begin, end, length, 64, bias, zeros, SOME, VECTORS, to); break;                 \
      case 96: all_parts(taps, count, begin, end, length, 96, bias, zeros, SOME, VECTORS, to); break;                 \
      default: all_parts(taps, count, begin, end, length, stride, bias, zeros, SOME, VECTORS, to); break;             \
    }                                                                                                                 \
  }
#define PARTS_FUNCTIONS(SOME, VECTORS) PARTS_FUNCTION(SOME, VECTORS)
#define CALL_PARTS_(SOME, VECTORS, BEGIN, END) \
  if (BEGIN < END) parts_##VECTORS##_##SOME(taps, count, BEGIN, END, length, stride, bias, zeros, to)
#define CALL_PARTS(SOME, VECTORS, BEGIN, END) CALL_PARTS_(SOME, VECTORS, BEGIN, END)
#define RUN_PARTS(VECTORS, SOME) {                                            \
    const long most = all / SOME * SOME, more = most + (all - most) / 4 * 4;  \
    CALL_PARTS(SOME, VECTORS, 0, most);                                       \
    CALL_PARTS(4, VECTORS, most, more);                                       \
    CALL_PARTS(1, VECTORS, more, all);                                        \
    break;                                                                    \
  }

PARTS_FUNCTIONS(BLOCK1, 1)
PARTS_FUNCTIONS(4, 1)
PARTS_FUNCTIONS(1, 1)
PARTS_FUNCTIONS(BLOCK2, 2)
PARTS_FUNCTIONS(4, 2)
PARTS_FUNCTIONS(1, 2)
#if MAX_BLOCK == 3
PARTS_FUNCTIONS(BLOCK3, 3)
PARTS_FUNCTIONS(4, 3)
PARTS_FUNCTIONS(1, 3)
#endif

// `all` patches next to each other, one block of output channels.
static void run_parts(
    const struct tap *taps, int count, long length, long stride, const float *bias, const float *zeros, int vectors,
    float *to, long all) {
  switch (vectors) {
    case 1: RUN_PARTS(1, BLOCK1)
    case 2: RUN_PARTS(2, BLOCK2)
#if MAX_BLOCK == 3
    case 3: RUN_PARTS(3, BLOCK3)
#endif
  }
}

// Memory of a transformed convolution.
struct patches {
  float *zeros;     // a row of the input that is not there, or no bias
  float *edge;      // a patch over an edge
  element *parts;   // (planes, part_size of in_c * 16)
  float *products;  // (part_size of a block * 16)
};

static struct patches make_patches(const struct ck_conv *c) {
  struct patches s = {NULL, NULL, NULL, NULL};
  if (!is_transformed(c)) return s;
  const size_t zeros = (size_t)c->in_w * c->in_c + MAX_BLOCK * VECTOR;
  s.zeros = ck_scratch(zeros);
  memset(s.zeros, 0, zeros * sizeof *s.zeros);
  s.edge = ck_scratch(PARTS * c->in_c);
  s.parts = element_scratch(PARTS * c->planes * part_size(c->in_c));
  s.products = ck_scratch(PARTS * part_size(MAX_BLOCK * VECTOR));
  return s;
}

static void free_patches(struct patches *s) {
  ck_free(s->zeros);
  ck_free(s->edge);
  ck_free((float *)s->parts);
  ck_free(s->products);
}

// Rows y - 1 to y + 2 of each plane of the input; NULL is a row outside, or of a plane that does not count.
struct lines {
  const float *of[3][4];
};

// A pair of output rows, the first one even, from these.
static void transformed_pair(
    const struct ck_conv *c, const struct lines *lines, const struct patches *s, const struct row_pair *to) {
  const int total = c->out_c / VECTOR;
  const long length = words_of(c->in_c), part = part_size(c->in_c), all = (c->out_w + 1L) / 2;
  for (long from = 0; from < all; from += PATCHES) {
    const long some = all - from < PATCHES ? all - from : PATCHES;
    for (int z = 0; z < c->planes; z++)
      if (lines->of[z][1])
        transform_lines(lines->of[z], s->zeros, from, some, c->in_w, c->in_c, s->edge, s->parts + z * PARTS * part);
    const float *weights = c->packed + total * VECTOR;
    for (int first = 0; first < total;) {
      const int vectors = ck_block(total - first, MAX_BLOCK);
      const long block = vectors * VECTOR;
      struct tap taps[3 * PARTS];
      int count = 0;
      for (int i = 0; i < PARTS; i++)
        for (int z = 0; z < c->planes; z++, weights += length * block)
          if (lines->of[z][1]) taps[count++] = (struct tap){s->parts + (z * PARTS + i) * part, weights};
      run_parts(
          taps, count / PARTS, length, c->in_c, c->packed + first * VECTOR, s->zeros, vectors, s->products, some);
      const long at = 2 * from * c->out_c + first * VECTOR;
      const struct target target = {
          to->out + at, to->residual ? to->residual + at : NULL, c->out_c, (int)block, c->relu, to->streams};
      transform_back(
          s->products, some, vectors, &target, (long)c->out_w * c->out_c, to->rows, c->out_w - 2 * from);
      first += vectors;
    }
  }
}

// ---- whole maps ----------------------------------------------------------------------------------------------------

// Output row `y`, which is even, and the one after it from the convolution's own input.
static void conv_pair(
    const struct ck_conv *c, struct rows *rows, const struct patches *patches, long y, const struct row_pair *to) {
  fill_rows(c, rows, y);
  const long width = (long)c->out_w * c->out_c;
  if (!is_transformed(c)) {
    const int present[3] = {c->in[0] != NULL, c->in[1] != NULL, c->in[2] != NULL};
    for (long i = 0; i < to->rows; i++)
      conv_row(
          c, rows, present, y + i, to->residual ? to->residual + i * width : NULL, to->out + i * width, to->streams);
    return;
  }
  struct lines lines = {};
  for (int z = 0; z < c->planes; z++)
    for (long i = 0; i < 4; i++) {
      const long at = y - 1 + i;
      if (c->in[z] && at >= 0 && at < c->in_h)
        lines.of[z][i] = rows->size ? row_place(rows, z, at) : c->in[z] + at * c->in_w * c->in_c;
    }
  transformed_pair(c, &lines, patches, to);
}

// Whether a map is written past the caches: it is larger than they are, and whole vectors are stored.
static int streams(const float *out, long h, long w, long channels) {
  return h * w * channels >= 4L << 20 && channels % VECTOR == 0 && (uintptr_t)out % sizeof(vec) == 0;
}

// What was streamed is seen by whoever is told that the work is done.
INLINE void drain(int streaming) {
  if (streaming) atomic_thread_fence(memory_order_seq_cst);
}

static void conv_rows(const struct ck_conv *c, long first, long last) {
  // A pair of rows sees the taps of one row and a step more.
  struct rows rows = make_rows(c, first, c->k + c->stride);
  struct patches patches = make_patches(c);
  const long width = (long)c->out_w * c->out_c;
  const int streaming = streams(c->out, c->out_h, c->out_w, c->out_c);
  for (long y = first; y < last; y += 2) {
    const struct row_pair to = {
        c->out + y * width, c->residual ? c->residual + y * width : NULL, last - y < 2 ? 1 : 2, streaming};
    conv_pair(c, &rows, &patches, y, &to);
  }
  drain(streaming);
  free_patches(&patches);
  free_rows(&rows);
}

// The rows of the first convolution are those of the second as soon as they are there: the map between is never
// whole in memory.
static void block_rows(const struct ck_block *b, long first, long last) {
  const struct ck_conv *c0 = &b->first, *c1 = &b->second;
  struct ck_conv second = b->second;
  const long width = (long)c1->out_w * c1->out_c, h = c1->out_h, reach = c1->k / 2;
  // Pairs of rows of the first are made as soon as the second sees one of them. So many are kept that a pair is whole and in one piece.
  const long ahead = (reach + 1) / 2 * 2, kept = ahead + 2 + ahead;
  long ready = first > reach ? (first - reach) / 2 * 2 : 0;
  // The first convolution's rows as floats: the second one's residual, and its input, padded where that is not transformed.
  const struct rows between = {.memory = ck_scratch((kept + 2) * width), .count = kept, .size = width};
  second.in[0] = between.memory;
  struct rows outer = make_rows(c0, ready, c0->k + 1), inner = make_rows(&second, first, kept);
  const int padded = inner.size > 0;
  if (!padded) inner = between;
  inner.ready = h;  // by the loop below, not by conv_pair
  struct patches outer_patches = make_patches(c0), inner_patches = make_patches(c1);
  const int streaming = c1->out && !b->head && streams(c1->out, h, c1->out_w, c1->out_c);
  for (long y = first; y < last; y += 2) {
    for (; ready <= y + 1 + reach && ready < h; ready += 2) {
      const struct row_pair to = {row_place(&between, 0, ready), NULL, h - ready < 2 ? 1 : 2, 0};
      conv_pair(c0, &outer, &outer_patches, ready, &to);
      for (long i = 0; i < to.rows && padded; i++)
        pad_row(c1, to.out + i * width, (element *)row_place(&inner, 0, ready + i));
    }
    float *out = c1->out ? c1->out + y * width : between.memory + kept * width;
    const struct row_pair to = {out, row_place(&between, 0, y), last - y < 2 ? 1 : 2, streaming};
    conv_pair(&second, &inner, &inner_patches, y, &to);
    if (b->head) {
      const struct ck_linear head = {
          .in = out, .packed = b->head_packed, .out = b->head + y * c1->out_w * b->head_c, .in_c = c1->out_c,
          .out_c = b->head_c};
      linear_rows(&head, 0, (long)to.rows * c1->out_w);
    }
  }
  drain(streaming);
  free_patches(&outer_patches);
  free_patches(&inner_patches);
  free_rows(&outer);
  if (padded) free_rows(&inner);
  ck_free(between.memory);
}
