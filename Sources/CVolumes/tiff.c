#include "Pictures.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>

struct cimages_tiff {
  TIFF *tiff;
  uint32_t page;
  char failure[CIMAGES_MESSAGE];  // first error of the running call
};

static pthread_once_t silenced = PTHREAD_ONCE_INIT;

static void silence(void) {
  TIFFSetErrorHandler(NULL);
  TIFFSetWarningHandler(NULL);
  TIFFSetErrorHandlerExt(NULL);
  TIFFSetWarningHandlerExt(NULL);
}

static int keep_error(TIFF *tiff, void *data, const char *module, const char *format, va_list arguments) {
  (void)tiff;
  (void)module;
  char *failure = data;
  if (failure[0] == 0) {
    vsnprintf(failure, CIMAGES_MESSAGE, format, arguments);
    size_t length = strlen(failure);
    while (length > 0 && (failure[length - 1] == '.' || failure[length - 1] == '\n')) failure[--length] = 0;
  }
  return 1;
}

static int drop_warning(TIFF *tiff, void *data, const char *module, const char *format, va_list arguments) {
  (void)tiff;
  (void)data;
  (void)module;
  (void)format;
  (void)arguments;
  return 1;
}

static int fail(struct cimages_tiff *handle, char *message, const char *otherwise) {
  snprintf(message, CIMAGES_MESSAGE, "%s", handle->failure[0] ? handle->failure : otherwise);
  return -1;
}

static struct cimages_tiff *open_with(const char *path, const char *mode, int64_t memory_limit, char *message) {
  pthread_once(&silenced, silence);
  struct cimages_tiff *handle = calloc(1, sizeof *handle);
  TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
  if (handle == NULL || options == NULL) {
    snprintf(message, CIMAGES_MESSAGE, "out of memory");
    free(handle);
    return NULL;
  }
  TIFFOpenOptionsSetErrorHandlerExtR(options, keep_error, handle->failure);
  TIFFOpenOptionsSetWarningHandlerExtR(options, drop_warning, NULL);
  if (memory_limit > 0) TIFFOpenOptionsSetMaxSingleMemAlloc(options, memory_limit);
  handle->tiff = TIFFOpenExt(path, mode, options);
  TIFFOpenOptionsFree(options);
  if (handle->tiff == NULL) {
    fail(handle, message, "not a TIFF file");
    free(handle);
    return NULL;
  }
  return handle;
}

struct cimages_tiff *cimages_tiff_open(const char *path, int64_t memory_limit, char *message) {
  // "m": read by calls, not by mapping, so that a file cut short meanwhile is an error and not a SIGBUS.
  return open_with(path, "rm", memory_limit, message);
}

void cimages_tiff_close(struct cimages_tiff *handle) {
  if (handle == NULL) return;
  TIFFClose(handle->tiff);
  free(handle);
}

int cimages_tiff_decodes(uint16_t compression) { return TIFFIsCODECConfigured(compression); }

uint32_t cimages_tiff_pages(struct cimages_tiff *handle) { return TIFFNumberOfDirectories(handle->tiff); }

int cimages_tiff_select(struct cimages_tiff *handle, uint32_t index, char *message) {
  handle->failure[0] = 0;
  if (index == handle->page) return 0;
  int done = index == handle->page + 1 ? TIFFReadDirectory(handle->tiff) : TIFFSetDirectory(handle->tiff, index);
  if (!done) return fail(handle, message, "the page cannot be read");
  handle->page = index;
  return 0;
}

int cimages_tiff_select_at(struct cimages_tiff *handle, uint64_t offset, char *message) {
  handle->failure[0] = 0;
  if (!TIFFSetSubDirectory(handle->tiff, offset)) return fail(handle, message, "the page cannot be read");
  return 0;
}

int cimages_tiff_info(struct cimages_tiff *handle, struct cimages_info *info, char *message) {
  TIFF *tiff = handle->tiff;
  handle->failure[0] = 0;
  memset(info, 0, sizeof *info);
  if (!TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &info->width) || !TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &info->height))
    return fail(handle, message, "the page has no width or height");
  TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &info->bits);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &info->samples);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &info->format);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &info->compression);
  // Absent in some cameras' files; the baseline's meaning of one sample is then black is zero.
  if (!TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &info->photometric)) info->photometric = PHOTOMETRIC_MINISBLACK;
  info->pages = TIFFLastDirectory(tiff) ? 1 : 2;
  if (info->width == 0 || info->height == 0) return fail(handle, message, "the page has no pixels");
  info->strip_bytes = TIFFIsTiled(tiff) ? TIFFTileSize64(tiff) : TIFFStripSize64(tiff);
  if (info->strip_bytes == 0) return fail(handle, message, "the size of a strip or tile cannot be told");
  return 0;
}

struct layout {
  uint32_t width, height;
  size_t bytes;         // of a number
  size_t row_bytes;     // of the page
  uint32_t block_rows;  // of a strip or tile
  int tiled;
};

static int layout_of(struct cimages_tiff *handle, struct layout *layout, char *message) {
  struct cimages_info info;
  if (cimages_tiff_info(handle, &info, message) != 0) return -1;
  TIFF *tiff = handle->tiff;
  layout->width = info.width;
  layout->height = info.height;
  layout->bytes = info.bits / 8;
  layout->row_bytes = (size_t)info.width * layout->bytes;
  layout->tiled = TIFFIsTiled(tiff);
  if (info.samples != 1 || layout->bytes == 0 || info.bits % 8 != 0)
    return fail(handle, message, "the page's shape is not what was asked for");
  uint32_t rows = 0;
  if (layout->tiled) {
    TIFFGetField(tiff, TIFFTAG_TILELENGTH, &rows);
    if (rows == 0) return fail(handle, message, "tiles have an unexpected size");
  } else {
    TIFFGetFieldDefaulted(tiff, TIFFTAG_ROWSPERSTRIP, &rows);
    if (rows == 0 || rows > info.height) rows = info.height;
    if ((uint64_t)TIFFScanlineSize64(tiff) != layout->row_bytes)
      return fail(handle, message, "rows have an unexpected size");
  }
  layout->block_rows = rows;
  return 0;
}

static int read_strips(struct cimages_tiff *handle, const struct layout *layout, uint32_t first, uint32_t count,
                       uint8_t *out, char *message) {
  TIFF *tiff = handle->tiff;
  uint32_t rows = layout->block_rows;
  for (uint32_t y = first; y < first + count; y += rows) {
    uint32_t here = first + count - y < rows ? first + count - y : rows;
    tmsize_t wanted = (tmsize_t)(layout->row_bytes * here);
    uint8_t *place = out + layout->row_bytes * (y - first);
    tmsize_t got = TIFFReadEncodedStrip(tiff, TIFFComputeStrip(tiff, y, 0), place, wanted);
    if (got != wanted) return fail(handle, message, "a strip is shorter than its rows");
  }
  return 0;
}

static int read_lines(struct cimages_tiff *handle, const struct layout *layout, uint32_t first, uint32_t count,
                      uint8_t *out, char *message) {
  for (uint32_t y = first; y < first + count; y++) {
    if (TIFFReadScanline(handle->tiff, out + layout->row_bytes * (y - first), y, 0) != 1)
      return fail(handle, message, "a strip is shorter than its rows");
  }
  return 0;
}

static int read_tiles(struct cimages_tiff *handle, const struct layout *layout, uint32_t first, uint32_t count,
                      uint8_t *out, char *message) {
  TIFF *tiff = handle->tiff;
  size_t bytes = layout->bytes;
  uint32_t width = layout->width, tile_width = 0, tile_height = layout->block_rows;
  TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &tile_width);
  uint64_t tile_bytes = TIFFTileSize64(tiff);
  if (tile_width == 0 || tile_bytes != (uint64_t)tile_width * tile_height * bytes)
    return fail(handle, message, "tiles have an unexpected size");
  uint16_t compression = COMPRESSION_NONE;
  TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &compression);
  int uncompressed = compression == COMPRESSION_NONE;
  uint8_t *tile = malloc(tile_bytes);
  if (tile == NULL) return fail(handle, message, "out of memory for a tile");
  int status = 0;
  for (uint32_t y = first; y < first + count && status == 0; y += tile_height) {
    for (uint32_t x = 0; x < width && status == 0; x += tile_width) {
      // Of a page with strips and a tile's height libtiff (4.5.0) does not know the size of a tile, and reads all of its bytes.
      if (uncompressed && TIFFGetStrileByteCount(tiff, TIFFComputeTile(tiff, x, y, 0, 0)) > tile_bytes) {
        status = fail(handle, message, "a tile has more bytes than its pixels");
        break;
      }
      tmsize_t got = TIFFReadEncodedTile(tiff, TIFFComputeTile(tiff, x, y, 0, 0), tile, (tmsize_t)tile_bytes);
      if (got != (tmsize_t)tile_bytes) {
        status = fail(handle, message, "a tile is shorter than its pixels");
        break;
      }
      uint32_t rows = first + count - y < tile_height ? first + count - y : tile_height;
      uint32_t columns = width - x < tile_width ? width - x : tile_width;
      for (uint32_t row = 0; row < rows; row++)
        memcpy(out + ((size_t)(y - first + row) * width + x) * bytes, tile + (size_t)row * tile_width * bytes,
               columns * bytes);
    }
  }
  free(tile);
  return status;
}

uint32_t cimages_tiff_band(struct cimages_tiff *handle, size_t bytes, char *message) {
  struct layout layout;
  if (layout_of(handle, &layout, message) != 0) return 0;
  uint64_t rows = bytes / layout.row_bytes;
  // A strip that is larger is read row by row.
  if (layout.tiled && rows < layout.block_rows) rows = layout.block_rows;
  if (rows >= layout.block_rows) rows = rows / layout.block_rows * layout.block_rows;
  return rows == 0 ? 1 : rows > layout.height ? layout.height : (uint32_t)rows;
}

int cimages_tiff_read_rows(struct cimages_tiff *handle, uint32_t first, uint32_t count, void *out, size_t out_bytes,
                           char *message) {
  struct layout layout;
  if (layout_of(handle, &layout, message) != 0) return -1;
  if (first > layout.height || count > layout.height - first || out_bytes != layout.row_bytes * count)
    return fail(handle, message, "the page's shape is not what was asked for");
  if (layout.tiled) return read_tiles(handle, &layout, first, count, out, message);
  // Rows of a part of a strip can be had one by one only.
  if (first % layout.block_rows != 0 || (count < layout.block_rows && first + count < layout.height))
    return read_lines(handle, &layout, first, count, out, message);
  return read_strips(handle, &layout, first, count, out, message);
}

int cimages_tiff_read(struct cimages_tiff *handle, void *out, size_t out_bytes, char *message) {
  struct cimages_info info;
  if (cimages_tiff_info(handle, &info, message) != 0) return -1;
  return cimages_tiff_read_rows(handle, 0, info.height, out, out_bytes, message);
}

int cimages_tiff_write(const char *path, const void *pixels, uint32_t height, uint32_t width, int bits, int deflate,
                       int *error_number, char *message) {
  *error_number = 0;
  errno = 0;
  size_t row_bytes = (size_t)width * (size_t)(bits / 8);
  uint32_t rows = row_bytes >= 65536 ? 1 : (uint32_t)(65536 / row_bytes);
  if (rows > height) rows = height;
  // Bytes in the machine's order; "8" makes a BigTIFF where 32-bit offsets might not reach.
  struct cimages_tiff *handle = open_with(path, row_bytes * height > 4000000000u ? "w8" : "w", 0, message);
  if (handle == NULL) {
    *error_number = errno;
    return -1;
  }
  TIFF *tiff = handle->tiff;
  TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, width);
  TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, height);
  TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, bits);
  TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
  TIFFSetField(tiff, TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_UINT);
  TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
  TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
  TIFFSetField(tiff, TIFFTAG_COMPRESSION, deflate ? COMPRESSION_ADOBE_DEFLATE : COMPRESSION_NONE);
  TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, rows);
  uint8_t *strip = malloc(row_bytes * rows);  // libtiff may change the buffer it encodes
  int status = strip == NULL ? fail(handle, message, "out of memory for a strip") : 0;
  for (uint32_t y = 0; y < height && status == 0; y += rows) {
    size_t bytes = row_bytes * (height - y < rows ? height - y : rows);
    memcpy(strip, (const uint8_t *)pixels + row_bytes * y, bytes);
    if (TIFFWriteEncodedStrip(tiff, y / rows, strip, (tmsize_t)bytes) < 0)
      status = fail(handle, message, "a strip cannot be written");
  }
  if (status == 0 && !TIFFWriteDirectory(tiff)) status = fail(handle, message, "the directory cannot be written");
  if (status != 0) *error_number = errno;
  free(strip);
  cimages_tiff_close(handle);
  return status;
}
