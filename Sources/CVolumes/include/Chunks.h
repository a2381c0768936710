// Writing of compressed chunks without HDF5's own filters: the same format, packed by libdeflate, which takes a third of the
// time of zlib.
#pragma once
#include <hdf5.h>

/// Writes a box of a chunked dataset of one to three axes whose filters are shuffle (elements of more than a byte) and
/// deflate. `values` holds the box, last axis fastest, in the machine's order and the dataset's type. The box must cover
/// whole chunks: it begins at multiples of the chunk's sides and ends there or at the dataset's end.
/// Returns 0; -1 when HDF5 refuses; -2 when there is no memory.
int cvolumes_h5_write_box(hid_t dataset, const hsize_t *offset, const hsize_t *size, const void *values);
