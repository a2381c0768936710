#include "Pictures.h"

#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct failure {
  jmp_buf back;
  char *message;
  int number;
};

static void on_error(png_structp png, png_const_charp text) {
  struct failure *failure = png_get_error_ptr(png);
  failure->number = errno;
  snprintf(failure->message, CIMAGES_MESSAGE, "%s", text);
  longjmp(failure->back, 1);
}

static void on_warning(png_structp png, png_const_charp text) {
  (void)png;
  (void)text;
}

/// Reads the header; with `out` also the pixels, grey only.
static int read_png(const char *path, int expand, struct cimages_info *info, uint8_t *out, size_t out_bytes,
                    char *message) {
  FILE *file = fopen(path, "rbe");
  if (file == NULL) {
    snprintf(message, CIMAGES_MESSAGE, "cannot be opened: %s", strerror(errno));
    return -1;
  }
  struct failure failure = {.message = message};
  png_infop png_info = NULL;
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &failure, on_error, on_warning);
  if (png != NULL) png_info = png_create_info_struct(png);
  if (png == NULL || png_info == NULL) {
    png_destroy_read_struct(&png, NULL, NULL);
    fclose(file);
    snprintf(message, CIMAGES_MESSAGE, "out of memory");
    return -1;
  }
  if (setjmp(failure.back) != 0) {
    png_destroy_read_struct(&png, &png_info, NULL);
    fclose(file);
    return -1;
  }
  png_init_io(png, file);
  png_set_user_limits(png, 65536, 65536);
  png_set_chunk_malloc_max(png, 8 << 20);
  png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_WARN_DISCARD);
  png_read_info(png, png_info);
  memset(info, 0, sizeof *info);
  info->width = png_get_image_width(png, png_info);
  info->height = png_get_image_height(png, png_info);
  info->bits = png_get_bit_depth(png, png_info);
  info->samples = png_get_channels(png, png_info);
  info->format = 1;
  info->pages = 1;
  int colour = png_get_color_type(png, png_info);
  info->photometric = colour == PNG_COLOR_TYPE_PALETTE ? 3 : (colour & PNG_COLOR_MASK_COLOR) ? 2 : 1;
  if (out != NULL) {
    if (colour != PNG_COLOR_TYPE_GRAY) png_error(png, "not a grey picture");
    if (info->bits < 8) {
      if (expand)
        png_set_expand_gray_1_2_4_to_8(png);
      else
        png_set_packing(png);
    }
    if (info->bits == 16) png_set_swap(png);  // PNG is big-endian, the machine is not
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, png_info);
    size_t row_bytes = (size_t)info->width * (info->bits == 16 ? 2 : 1);
    if (png_get_rowbytes(png, png_info) != row_bytes || out_bytes != row_bytes * info->height)
      png_error(png, "the picture's shape is not what was asked for");
    for (int pass = 0; pass < passes; pass++)
      for (uint32_t y = 0; y < info->height; y++) png_read_row(png, out + row_bytes * y, NULL);
    png_read_end(png, NULL);
  }
  png_destroy_read_struct(&png, &png_info, NULL);
  fclose(file);
  return 0;
}

int cimages_png_info(const char *path, struct cimages_info *info, char *message) {
  return read_png(path, 0, info, NULL, 0, message);
}

int cimages_png_read(const char *path, int expand, void *out, size_t out_bytes, char *message) {
  struct cimages_info info;
  return read_png(path, expand, &info, out, out_bytes, message);
}

int cimages_png_write(const char *path, const void *pixels, uint32_t height, uint32_t width, int samples, int bits,
                      int *error_number, char *message) {
  *error_number = 0;
  FILE *file = fopen(path, "wbe");
  if (file == NULL) {
    *error_number = errno;
    snprintf(message, CIMAGES_MESSAGE, "%s", strerror(errno));
    return -1;
  }
  struct failure failure = {.message = message};
  png_infop png_info = NULL;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &failure, on_error, on_warning);
  if (png != NULL) png_info = png_create_info_struct(png);
  if (png == NULL || png_info == NULL) {
    png_destroy_write_struct(&png, NULL);
    fclose(file);
    snprintf(message, CIMAGES_MESSAGE, "out of memory");
    return -1;
  }
  if (setjmp(failure.back) != 0) {
    png_destroy_write_struct(&png, &png_info);
    fclose(file);
    *error_number = failure.number;
    return -1;
  }
  png_init_io(png, file);
  png_set_user_limits(png, 65536, 65536);
  png_set_compression_level(png, 6);
  png_set_filter(png, 0, PNG_FILTER_SUB);
  png_set_IHDR(png, png_info, width, height, bits, samples == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, png_info);
  if (bits == 16) png_set_swap(png);
  size_t row_bytes = (size_t)width * (size_t)samples * (size_t)(bits / 8);
  for (uint32_t y = 0; y < height; y++) png_write_row(png, (const uint8_t *)pixels + row_bytes * y);
  png_write_end(png, NULL);
  png_destroy_write_struct(&png, &png_info);
  if (fclose(file) != 0) {
    *error_number = errno;
    snprintf(message, CIMAGES_MESSAGE, "%s", strerror(errno));
    return -1;
  }
  return 0;
}
