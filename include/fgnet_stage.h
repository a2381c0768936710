/* A stage of fgnetd as a shared object. The contract, in words: docs/writing-a-stage.md.
 *
 * A library holds one stage of one kind. It exports, with C linkage:
 *
 *   fgnet_stage_abi, which is called before anything else,
 *   fgnet_stage_describe, fgnet_stage_create, fgnet_stage_destroy,
 *   and the one of fgnet_stage_run_denoise, _affinity, _watershed, _agglomerate that is of its kind.
 *
 * Every struct begins with its size in bytes as whoever filled it in knows it. Later versions add members at the end only: a
 * library MUST NOT read a member that lies beyond `size`, and the daemon does not read what a library's structs do not have.
 *
 * Pointers are valid during the call they are given in, unless said otherwise. Arrays are in C order, x fastest, without
 * padding. No call MUST throw, exit, or change signals, the locale, the floating-point mode or the working directory. A library lives in
 * the daemon's process: one that crashes ends the daemon, one that hangs is ended with it by the watchdog. What may crash
 * belongs into a program (stages/python/fgnet_stage.py shows the protocol).
 */
#ifndef FGNET_STAGE_H
#define FGNET_STAGE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of everything here. The daemon refuses a library of another one. */
#define FGNET_STAGE_ABI 1

enum { FGNET_DENOISE = 0, FGNET_AFFINITY = 1, FGNET_WATERSHED = 2, FGNET_AGGLOMERATE = 3 };

/* What an option takes. BOOL and INT are in `integer` of a value, NUMBER in `number`, the others in `text`. */
enum { FGNET_BOOL = 0, FGNET_INT = 1, FGNET_NUMBER = 2, FGNET_CHOICE = 3, FGNET_PATH = 4, FGNET_TEXT = 5 };

/* What a call returns. */
enum {
  FGNET_OK = 0,
  /* The reason is in the error text: a sentence. */
  FGNET_FAILED = 1,
  /* The call ended early because `cancel` was set. */
  FGNET_CANCELLED = 2
};

/* Where a call leaves a reason: UTF-8, ended by a zero, at most `capacity` bytes with it. */
typedef struct {
  uint64_t size;
  char *text;
  uint64_t capacity;
} fgnet_error;

/* An option that the configuration may set. `name` is letters, digits and `_`. */
typedef struct {
  uint64_t size;
  const char *name;
  int32_t type;
  /* Whether it has a default; if not, it must be given. The default is as in fgnet_value. */
  int32_t has_default;
  int64_t default_integer;
  double default_number;
  const char *default_text;
  /* Of INT and NUMBER: both ends are allowed. */
  double minimum, maximum;
  /* Of CHOICE: ends in a null pointer. */
  const char *const *choices;
  /* What it does, with its unit. */
  const char *summary;
} fgnet_option;

/* What a stage is. Valid, and the same, as long as the library is loaded. */
typedef struct {
  uint64_t size;
  int32_t kind;
  /* Raise it whenever results change for equal options: it names what the stage has made. */
  const char *version;
  const char *summary;
  /* Ends in a null pointer; a null pointer for none. */
  const fgnet_option *const *options;
} fgnet_description;

/* An option as it is in force. */
typedef struct {
  uint64_t size;
  const char *name;
  int32_t type;
  int64_t integer;
  double number;
  const char *text;
} fgnet_value;

/* What a stage is made for. The values are one for each described option, checked against the description. */
typedef struct {
  uint64_t size;
  const fgnet_value *const *values;
  uint64_t value_count;
  const char *volume;
  /* Nanometres. */
  double voxel_z_nm, voxel_y_nm, voxel_x_nm;
} fgnet_settings;

/* How far results look; filled in by create. */
typedef struct {
  uint64_t size;
  /* Of DENOISE and AFFINITY: pixels around a pixel that its result depends on; -1: all of the section. 0 to 4096. */
  int64_t halo;
  /* Of AFFINITY: sections on each side. 0 to 16. */
  int64_t context;
  /* Of AGGLOMERATE: sections below the decided one (0 to 64) and above (0 to 16). */
  int64_t look_behind, look_ahead;
} fgnet_reach;

/* One stage made from one set of options. The daemon makes one call at a time on it, not always from the same thread. */
typedef struct fgnet_stage fgnet_stage;

/* Set to another value than 0, at any time and by another thread, when nobody wants the result any more. A call that takes longer than a second MUST
 * look at it at least once a second and then return FGNET_CANCELLED. */
typedef const volatile int32_t *fgnet_cancel;

/* One section: `result` (height, width) <- `image` (height, width), both 0 to 1. */
typedef struct {
  uint64_t size;
  fgnet_cancel cancel;
  int64_t height, width;
  const float *image;
  float *result;
} fgnet_denoise_call;

/* `affinities` (3, height, width; in the order z, y, x; value / 255) of `images[index]`. Sections are neighbours in the stack; z tells their
 * numbers, which may have gaps. Fewer than `context` on a side: the stack ends there. */
typedef struct {
  uint64_t size;
  fgnet_cancel cancel;
  int64_t height, width;
  int64_t count, index;
  const int32_t *z;
  const float *const *images;
  uint8_t *affinities;
} fgnet_affinity_call;

/* `labels` (height, width) <- `affinities` (3, height, width; z, y, x): 0 is none, fragments have any labels from 1 to 8388607. */
typedef struct {
  uint64_t size;
  fgnet_cancel cancel;
  int64_t height, width;
  const uint8_t *affinities;
  uint32_t *labels;
} fgnet_watershed_call;

/* Decisions on the edges of sections decided_first ..< decided_first + decided_count of a window of `sections`.
 *
 * Section s has the fragments fragment_start[s] ..< fragment_start[s + 1] (ids ascend) and the edges edge_start[s] ..< edge_start[s + 1]: those
 * within it, and those to the section before it. Edge e joins the ids a[e] < b[e] and has the histogram entries
 * histogram_start[e] ..< histogram_start[e + 1]: counts[i] pixel pairs have the affinity bins[i] / 255.
 * Decision d is that on edge edge_start[decided_first] + d: accepted 0 or 1, score 0 to 1. */
typedef struct {
  uint64_t size;
  fgnet_cancel cancel;
  int64_t sections, decided_first, decided_count;
  const int32_t *z;
  const int64_t *fragment_start;
  const uint64_t *fragments;
  const int64_t *areas;
  const int64_t *edge_start;
  const uint64_t *a, *b;
  const int64_t *histogram_start;
  const uint8_t *bins;
  const uint32_t *counts;
  int64_t decisions;
  uint8_t *accepted;
  float *scores;
} fgnet_agglomerate_call;

/* The functions of a library. */
/* MUST return FGNET_STAGE_ABI and do nothing else: it is all that every version has. */
uint32_t fgnet_stage_abi(void);
const fgnet_description *fgnet_stage_describe(void);
/* On FGNET_OK `*stage` is a stage, and `reach` filled in. */
int32_t fgnet_stage_create(const fgnet_settings *settings, fgnet_stage **stage, fgnet_reach *reach, fgnet_error *error);
void fgnet_stage_destroy(fgnet_stage *stage);
/* Equal inputs and options MUST give equal results, bit for bit, on one machine. */
int32_t fgnet_stage_run_denoise(fgnet_stage *stage, const fgnet_denoise_call *call, fgnet_error *error);
int32_t fgnet_stage_run_affinity(fgnet_stage *stage, const fgnet_affinity_call *call, fgnet_error *error);
int32_t fgnet_stage_run_watershed(fgnet_stage *stage, const fgnet_watershed_call *call, fgnet_error *error);
int32_t fgnet_stage_run_agglomerate(fgnet_stage *stage, const fgnet_agglomerate_call *call, fgnet_error *error);

/* The same as types, for whoever looks them up. */
typedef uint32_t (*fgnet_abi_function)(void);
typedef const fgnet_description *(*fgnet_describe_function)(void);
typedef int32_t (*fgnet_create_function)(const fgnet_settings *, fgnet_stage **, fgnet_reach *, fgnet_error *);
typedef void (*fgnet_destroy_function)(fgnet_stage *);
typedef int32_t (*fgnet_run_denoise_function)(fgnet_stage *, const fgnet_denoise_call *, fgnet_error *);
typedef int32_t (*fgnet_run_affinity_function)(fgnet_stage *, const fgnet_affinity_call *, fgnet_error *);
typedef int32_t (*fgnet_run_watershed_function)(fgnet_stage *, const fgnet_watershed_call *, fgnet_error *);
typedef int32_t (*fgnet_run_agglomerate_function)(fgnet_stage *, const fgnet_agglomerate_call *, fgnet_error *);

#ifdef __cplusplus
}
#endif

#endif
