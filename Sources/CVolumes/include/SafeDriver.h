// An HDF5 file driver for writing that survives a full disk. HDF5 1.10 cannot close a file whose last blocks it cannot
// write: it leaks the file (and the space of it) or crashes. With this driver HDF5 never hears of a failed write:
// the first errno is kept, the file is emptied, later writes are dropped, and the caller asks before it trusts the file.
#pragma once
#include <hdf5.h>

/// Creates a file through the driver. `access` is a file access list (its driver is set here). Negative on failure;
/// `error_number` is then the errno of a failed open or write, or 0.
hid_t cvolumes_h5_create(const char *path, hid_t creation, hid_t access, int *error_number);

/// errno of the first failed write, 0 when all went well. `file` was made by `cvolumes_h5_create`.
int cvolumes_h5_write_error(hid_t file);

/// Closes the file. Returns the errno of the first write that failed up to and with the close, or 0.
int cvolumes_h5_close(hid_t file);
