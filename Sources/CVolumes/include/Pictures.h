// libtiff and libpng behind calls that Swift can use: their errors leave by setjmp, varargs and process-wide handlers.
// Every function returns 0 or fills `message` with one sentence without a final full stop.
#pragma once
#include <stddef.h>
#include <stdint.h>

#define CIMAGES_MESSAGE 256

/// What a picture file says of itself, before any pixel is decoded.
struct cimages_info {
  uint32_t width;
  uint32_t height;
  uint16_t bits;       // per sample
  uint16_t samples;    // per pixel
  uint16_t format;     // TIFF SampleFormat: 1 unsigned, 2 signed, 3 float; 1 for PNG
  uint16_t photometric;  // TIFF: 0 white is zero, 1 black is zero, 2 RGB, 3 palette; PNG: 1, 2 or 3
  uint16_t compression;  // TIFF tag value; 0 for PNG
  uint32_t pages;      // 1 for PNG
  uint64_t strip_bytes;  // TIFF: decoded bytes of one strip or tile
};

/// An open TIFF file; calls on one handle must not overlap.
struct cimages_tiff;

/// Opens a TIFF file at its first page. NULL with `message` on failure. `memory_limit` bounds every allocation.
struct cimages_tiff *cimages_tiff_open(const char *path, int64_t memory_limit, char *message);
void cimages_tiff_close(struct cimages_tiff *tiff);
/// Whether the library reads a compression (the value of the tag).
int cimages_tiff_decodes(uint16_t compression);
/// Number of pages; walks the chain of directories.
uint32_t cimages_tiff_pages(struct cimages_tiff *tiff);
/// Goes to page `index` (from 0). The next page in order is cheap.
int cimages_tiff_select(struct cimages_tiff *tiff, uint32_t index, char *message);
/// Goes to the page whose directory is at byte `offset` of the file, without a walk through those before it. Not to be mixed with
/// `cimages_tiff_select` on one handle.
int cimages_tiff_select_at(struct cimages_tiff *tiff, uint64_t offset, char *message);
/// Describes the current page (`pages` is 1 or 2, 2 meaning more than one).
int cimages_tiff_info(struct cimages_tiff *tiff, struct cimages_info *info, char *message);
/// Decodes the current page, one sample a pixel, into `out` as `width * height` elements of `bits / 8` bytes in the
/// machine's order. `out_bytes` must be exactly that.
int cimages_tiff_read(struct cimages_tiff *tiff, void *out, size_t out_bytes, char *message);
/// Rows of the current page to be read at a time, at most about `bytes` of them: whole strips, unless they are larger, or whole rows of
/// tiles, even if they are larger. 0 with `message` on failure.
uint32_t cimages_tiff_band(struct cimages_tiff *tiff, size_t bytes, char *message);
/// As `cimages_tiff_read`, `count` rows from row `first` on. For bands from the first row to the last, each of
/// `cimages_tiff_band` rows but the last.
int cimages_tiff_read_rows(struct cimages_tiff *tiff, uint32_t first, uint32_t count, void *out, size_t out_bytes,
                           char *message);

/// Writes one grey page, strips of about 64 KiB; `bits` 8 or 16; `deflate` 0 for no compression.
/// `error_number` is the errno of a failed call or 0.
int cimages_tiff_write(const char *path, const void *pixels, uint32_t height, uint32_t width, int bits, int deflate,
                       int *error_number, char *message);

int cimages_png_info(const char *path, struct cimages_info *info, char *message);
/// Decodes a greyscale PNG into `width * height` elements of 1 byte (depths up to 8, scaled to 8 when `expand`)
/// or 2 bytes (depth 16). `out_bytes` must be exactly that.
int cimages_png_read(const char *path, int expand, void *out, size_t out_bytes, char *message);
/// Writes a PNG whose bytes depend on the pixels only. `samples` 1 (grey) or 3 (RGB); `bits` 8 or 16.
int cimages_png_write(const char *path, const void *pixels, uint32_t height, uint32_t width, int samples, int bits,
                      int *error_number, char *message);
