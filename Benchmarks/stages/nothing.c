/* A denoise stage that does nothing: what is measured is the way to it and back. */
#include "fgnet_stage.h"

#include <stddef.h>
#include <string.h>

static const fgnet_description description = {
    .size = sizeof description, .kind = FGNET_DENOISE, .version = "1", .summary = "", .options = NULL};

uint32_t fgnet_stage_abi(void) { return FGNET_STAGE_ABI; }
const fgnet_description *fgnet_stage_describe(void) { return &description; }
int32_t fgnet_stage_create(const fgnet_settings *settings, fgnet_stage **stage, fgnet_reach *reach, fgnet_error *error) {
  (void)settings;
  (void)reach;
  (void)error;
  *stage = (fgnet_stage *)&description;
  return FGNET_OK;
}
void fgnet_stage_destroy(fgnet_stage *stage) { (void)stage; }
int32_t fgnet_stage_run_denoise(fgnet_stage *stage, const fgnet_denoise_call *call, fgnet_error *error) {
  (void)stage;
  (void)error;
  memcpy(call->result, call->image, sizeof(float) * (size_t)(call->height * call->width));
  return FGNET_OK;
}
