/* A denoise stage in C: the median of 3 x 3 pixels, so many times.
 *
 *   cc -O2 -shared -fPIC -I include -o median.so stages/c/median.c
 */
#include "fgnet_stage.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT uint32_t fgnet_stage_abi(void) { return FGNET_STAGE_ABI; }

static const fgnet_option passes = {
    .size = sizeof passes, .name = "passes", .type = FGNET_INT, .has_default = 1, .default_integer = 1,
    .minimum = 1, .maximum = 8, .summary = "How many times the median of 3 x 3 pixels is taken."};
static const fgnet_option *const options[] = {&passes, NULL};
static const fgnet_description description = {
    .size = sizeof description, .kind = FGNET_DENOISE, .version = "1", .summary = "Median of 3 x 3 pixels, in C.",
    .options = options};

struct fgnet_stage {
  int64_t passes;
};

static int32_t failed(fgnet_error *error, const char *reason) {
  snprintf(error->text, error->capacity, "%s", reason);
  return FGNET_FAILED;
}

EXPORT const fgnet_description *fgnet_stage_describe(void) { return &description; }

EXPORT int32_t fgnet_stage_create(
    const fgnet_settings *settings, fgnet_stage **stage, fgnet_reach *reach, fgnet_error *error) {
  fgnet_stage *made = malloc(sizeof *made);
  if (made == NULL) return failed(error, "no memory");
  made->passes = settings->values[0]->integer;
  reach->halo = made->passes;
  *stage = made;
  return FGNET_OK;
}

EXPORT void fgnet_stage_destroy(fgnet_stage *stage) { free(stage); }

static float median9(float v[9]) {
  for (int i = 0; i < 5; i++)
    for (int j = i + 1; j < 9; j++)
      if (v[j] < v[i]) {
        const float t = v[i];
        v[i] = v[j];
        v[j] = t;
      }
  return v[4];
}

/* Beyond the edge the outermost pixels repeat; what is no number reads as 0. */
static float pixel(const float *image, int64_t height, int64_t width, int64_t y, int64_t x) {
  y = y < 0 ? 0 : y >= height ? height - 1 : y;
  x = x < 0 ? 0 : x >= width ? width - 1 : x;
  const float value = image[y * width + x];
  return isfinite(value) ? value : 0;
}

EXPORT int32_t fgnet_stage_run_denoise(fgnet_stage *stage, const fgnet_denoise_call *call, fgnet_error *error) {
  const int64_t height = call->height, width = call->width;
  const size_t bytes = (size_t)(height * width) * sizeof(float);
  float *from = malloc(bytes);
  if (from == NULL) return failed(error, "no memory for a section");
  memcpy(from, call->image, bytes);
  for (int64_t pass = 0; pass < stage->passes; pass++) {
    for (int64_t y = 0; y < height; y++) {
      if (*call->cancel) {
        free(from);
        return FGNET_CANCELLED;
      }
      for (int64_t x = 0; x < width; x++) {
        float window[9];
        for (int i = 0; i < 9; i++) window[i] = pixel(from, height, width, y + i / 3 - 1, x + i % 3 - 1);
        call->result[y * width + x] = median9(window);
      }
    }
    memcpy(from, call->result, bytes);
  }
  free(from);
  return FGNET_OK;
}
