#pragma once
// Image filters, watershed, region graph and agglomeration. Planes are row by row, x fastest.
// Functions returning int give 0, or -1 when memory could not be had.
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Filters of an image (H, W), in its place. Pixels beyond the edge repeat the edge; a pixel that is not finite reads as 0. Where there was
// no memory the image is of no use any more.
int post_median(float *image, size_t height, size_t width, int radius);
// Non-local means; patch <= 5. strength is h: weights are exp(-(mean squared patch difference) / h^2).
int post_nlm(float *image, size_t height, size_t width, int patch, int search, float strength);
// Contrast-limited adaptive equalisation; values are clipped to 0...1.
int post_clahe(float *image, size_t height, size_t width, size_t tile, float clip);

// Resampling.
// How the pixels of one axis become others: output i is the sum over t < taps of
// weights[t * outputs + i] * input[start[i] + t]; start[i] + taps <= inputs.
typedef struct {
  size_t inputs, outputs, taps;
  const int32_t *start;  // (outputs)
  const float *weights;  // (taps, outputs)
} post_resampling;
// dst (y.outputs, x.outputs) <- src (y.inputs, x.inputs)
int post_resample(const float *src, float *dst, const post_resampling *y, const post_resampling *x);

// Watershed.
// level (H, W) = 510 - (y + x); the first row and column, which have one affinity only, count that one twice.
void post_boundary_levels(const uint8_t *y, const uint8_t *x, uint16_t *level, size_t height, size_t width);
// Squared Euclidean distance to the nearest pixel with level >= limit; INT32_MAX throughout if there is none.
int post_distance(const uint16_t *level, uint16_t limit, int32_t *distance, size_t height, size_t width);
// Distance (not squared) in 1/64 pixel, smoothed by a Gaussian of sigma pixels. Integers only after the square root.
int post_smooth(const int32_t *distance, int32_t *smoothed, size_t height, size_t width, double sigma);
// Labels 1...count the seeds among pixels with distance > 0, 0 elsewhere: 4-connected regional maxima of surface
// (radius 0), or 4-connected components of the pixels that are the largest of their square window (radius > 0).
int post_seeds(
    const int32_t *surface, const int32_t *distance, int radius, uint32_t *labels, uint32_t *count, size_t height,
    size_t width);
// What post_boundary_levels, post_distance, post_smooth (sigma > 0) and post_seeds give together; radius > 0. Needs no
// planes but the labels'.
int post_seeds_by_rows(
    const uint8_t *y, const uint8_t *x, uint16_t limit, double sigma, int radius, uint32_t *labels, uint32_t *count,
    size_t height, size_t width);
// Seeded watershed, 4-connected, on the boundary levels of affinities y and x: pixels of lowest level first, first come
// first served within a level. Labels are below 2^30. Beside them it needs 4 bytes for each pixel that waits at a time.
int post_flood(const uint8_t *y, const uint8_t *x, uint32_t *labels, size_t height, size_t width);
// Sets labels with fewer than minimum pixels to 0; if that would leave none and keep_one is set, the largest stays.
int post_remove_small(uint32_t *labels, size_t pixels, uint32_t count, uint64_t minimum, int keep_one);
// Renumbers 1...count in raster order of first pixels. Returns the new count, or -1.
int64_t post_renumber(uint32_t *labels, size_t pixels, uint32_t count);

// Region graph.
// Pairs of labels that touch, a << 32 | b, ascending. Pair i has the affinities bins[k], counts[k] times each, for
// start[i] <= k < start[i + 1]; bins ascend.
typedef struct {
  size_t pairs, entries, pairCapacity, entryCapacity;
  uint64_t *pair, *start; // NULL: no pairs
  uint8_t *bins;
  uint32_t *counts;
} post_contacts;
// Contacts of a section that comes some rows at a time. NULL: no memory.
typedef struct post_collector post_collector;
post_collector *post_collector_make(void);
void post_collector_free(post_collector *collector);
// A fragment's pixels; zero at first; box is half open.
typedef struct {
  uint64_t area, sum_y, sum_x;
  uint32_t min_y, min_x, max_y, max_x;
} post_summary;
// Pairs of 4-neighbours with different labels, both not 0; a < b. Rows first ..< first + height of a section; above: the
// row above them; NULL at the top. Adds to summaries, one for each label 1...fragments. -2: a label is larger.
int post_collect_within(
    post_collector *collector, const uint32_t *labels, const uint32_t *above, const uint8_t *y, const uint8_t *x,
    size_t first, size_t height, size_t width, post_summary *summaries, size_t fragments);
// Pairs of pixels above each other, both labels not 0; a is of `below`. Affinities are read through table[256].
// -2: a label of `below` is larger than fragments.
int post_collect_between(
    post_collector *collector, const uint32_t *below, const uint32_t *labels, const uint8_t *z, const uint8_t *table,
    size_t pixels, size_t fragments);
// All that was collected. It is the collector's, until something is collected for another section or the collector goes.
int post_collector_finish(post_collector *collector, post_contacts *contacts);
// Agglomeration.
typedef struct {
  int use_quantile;  // else the mean
  int quantile;      // per cent
  int init_with_max; // an edge starts with its largest affinity only
  double threshold;  // clusters are joined while their score is above
  uint64_t dust_size;
  double dust_threshold; // instead of threshold, where one cluster has fewer than dust_size pixels
} post_agglomerate_options;
// Nodes are numbered as their ids ascend; a[i] < b[i] < nodes. Edge i has the histogram entries
// start[i] ..< start[i + 1]. accepted[i]: both ends are in one cluster. score[i]: as joined, or as last seen.
int post_agglomerate(
    size_t nodes, const uint64_t *areas, size_t edges, const uint32_t *a, const uint32_t *b, const uint64_t *start,
    const uint8_t *bins, const uint32_t *counts, const post_agglomerate_options *options, uint8_t *accepted,
    float *score);

#ifdef __cplusplus
}
#endif
