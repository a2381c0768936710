// HDF5's constants are macros over globals, which Swift either does not import or rejects as shared mutable state.
#pragma once
#include <hdf5.h>
#include <stdio.h>
#include <string.h>

static inline hid_t chdf5_default(void) { return H5P_DEFAULT; }
static inline hid_t chdf5_all(void) { return H5S_ALL; }
static inline unsigned chdf5_readonly(void) { return H5F_ACC_RDONLY; }
static inline unsigned chdf5_truncate(void) { return H5F_ACC_TRUNC; }
static inline hid_t chdf5_class_file_access(void) { return H5P_FILE_ACCESS; }
static inline hid_t chdf5_class_dataset_create(void) { return H5P_DATASET_CREATE; }
static inline hid_t chdf5_class_dataset_access(void) { return H5P_DATASET_ACCESS; }
static inline hid_t chdf5_class_file_create(void) { return H5P_FILE_CREATE; }
static inline hid_t chdf5_class_group_create(void) { return H5P_GROUP_CREATE; }
static inline hid_t chdf5_u8(void) { return H5T_NATIVE_UINT8; }
static inline hid_t chdf5_i8(void) { return H5T_NATIVE_INT8; }
static inline hid_t chdf5_i16(void) { return H5T_NATIVE_INT16; }
static inline hid_t chdf5_u16(void) { return H5T_NATIVE_UINT16; }
static inline hid_t chdf5_u32(void) { return H5T_NATIVE_UINT32; }
static inline hid_t chdf5_u64(void) { return H5T_NATIVE_UINT64; }
static inline hid_t chdf5_i32(void) { return H5T_NATIVE_INT32; }
static inline hid_t chdf5_i64(void) { return H5T_NATIVE_INT64; }
static inline hid_t chdf5_f32(void) { return H5T_NATIVE_FLOAT; }
static inline hid_t chdf5_f64(void) { return H5T_NATIVE_DOUBLE; }
static inline hid_t chdf5_c_string(void) { return H5T_C_S1; }
static inline hsize_t chdf5_unlimited(void) { return H5S_UNLIMITED; }

/// Turns off the printing of errors for the calling thread (the error stack is per thread, and so is this switch).
static inline void chdf5_silence(void) { H5Eset_auto2(H5E_DEFAULT, NULL, NULL); }

struct chdf5_error {
  char text[512];
  int number;  // errno of a failed system call, 0 when there was none
};

static inline herr_t chdf5_visit_error(unsigned n, const H5E_error2_t *error, void *data) {
  struct chdf5_error *kept = (struct chdf5_error *)data;
  if (error->desc == NULL) return 0;
  // Walking from the innermost call outwards: the first description is the cause.
  if (n == 0) snprintf(kept->text, sizeof kept->text, "%s", error->desc);
  const char *found = strstr(error->desc, "errno = ");
  if (found != NULL && kept->number == 0) sscanf(found, "errno = %d", &kept->number);
  return 0;
}

/// The innermost message of the calling thread's error stack; must be read before the next HDF5 call clears it.
static inline struct chdf5_error chdf5_last_error(void) {
  struct chdf5_error kept = {{0}, 0};
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, chdf5_visit_error, &kept);
  return kept;
}

// Weights files (FGNetKernel). HDF5's macros are not visible from Swift, and its globals are rejected by Swift 6.
static inline hid_t chdf5_open_for_reading(const char *path) { return H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT); }
static inline hid_t chdf5_create_truncating(const char *path) {
  return H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
}
static inline hid_t chdf5_open_dataset(hid_t parent, const char *name) { return H5Dopen2(parent, name, H5P_DEFAULT); }
static inline hid_t chdf5_open_group(hid_t parent, const char *name) { return H5Gopen2(parent, name, H5P_DEFAULT); }
static inline herr_t chdf5_read_floats(hid_t dataset, float *values) {
  return H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
}
static inline hid_t chdf5_create_floats(hid_t parent, const char *name, hid_t space) {
  return H5Dcreate2(parent, name, H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
}
static inline herr_t chdf5_write_floats(hid_t dataset, const float *values) {
  return H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
}
static inline herr_t chdf5_read_int64s_of_attribute(hid_t attribute, int64_t *values) {
  return H5Aread(attribute, H5T_NATIVE_INT64, values);
}
static inline herr_t chdf5_read_doubles_of_attribute(hid_t attribute, double *values) {
  return H5Aread(attribute, H5T_NATIVE_DOUBLE, values);
}
static inline hid_t chdf5_string_type(size_t size) {
  hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, size);
  H5Tset_cset(type, H5T_CSET_UTF8);
  return type;
}
static inline hid_t chdf5_create_attribute(hid_t object, const char *name, hid_t type, hid_t space) {
  return H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
}
static inline ssize_t chdf5_link_name(hid_t group, hsize_t index, char *name, size_t size) {
  return H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, index, name, size, H5P_DEFAULT);
}
