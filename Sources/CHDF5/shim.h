#pragma once
#include <hdf5.h>

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
static inline void chdf5_silence_this_thread(void) { H5Eset_auto2(H5E_DEFAULT, NULL, NULL); }
