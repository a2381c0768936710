#define _GNU_SOURCE
#include "SafeDriver.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
  H5FD_t base;  // first: HDF5 sees only this
  int descriptor;
  int error;
  haddr_t allocated;  // end of what HDF5 has allocated
  haddr_t end;        // end of what was written
} safe_file;

static _Thread_local int open_error;
static _Thread_local int close_error;

static H5FD_t *safe_open(const char *path, unsigned flags, hid_t access, haddr_t largest) {
  (void)access;
  (void)largest;
  int mode = O_CLOEXEC | ((flags & H5F_ACC_RDWR) ? O_RDWR : O_RDONLY) | ((flags & H5F_ACC_CREAT) ? O_CREAT : 0) |
             ((flags & H5F_ACC_TRUNC) ? O_TRUNC : 0) | ((flags & H5F_ACC_EXCL) ? O_EXCL : 0);
  open_error = 0;
  int descriptor = open(path, mode, 0666);
  struct stat status;
  if (descriptor < 0 || fstat(descriptor, &status) != 0) {
    open_error = errno;
    if (descriptor >= 0) close(descriptor);
    return NULL;
  }
  safe_file *file = calloc(1, sizeof *file);
  if (file == NULL) {
    open_error = ENOMEM;
    close(descriptor);
    return NULL;
  }
  file->descriptor = descriptor;
  file->end = (haddr_t)status.st_size;
  return &file->base;
}

static void failed(safe_file *file, int error) {
  if (file->error != 0) return;
  file->error = error;
  // The space is wanted back at once; if this fails too, the removal of the file gives it back.
  if (ftruncate(file->descriptor, 0) != 0) return;
}

static herr_t safe_close(H5FD_t *base) {
  safe_file *file = (safe_file *)base;
  if (close(file->descriptor) != 0 && file->error == 0) file->error = errno;
  close_error = file->error;
  free(file);
  return 0;
}

static herr_t safe_query(const H5FD_t *base, unsigned long *flags) {
  (void)base;
  *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
           H5FD_FEAT_AGGREGATE_SMALLDATA | H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
  return 0;
}

static haddr_t safe_allocated(const H5FD_t *base, H5FD_mem_t type) {
  (void)type;
  return ((const safe_file *)base)->allocated;
}

static herr_t safe_set_allocated(H5FD_t *base, H5FD_mem_t type, haddr_t address) {
  (void)type;
  ((safe_file *)base)->allocated = address;
  return 0;
}

static haddr_t safe_end(const H5FD_t *base, H5FD_mem_t type) {
  (void)type;
  return ((const safe_file *)base)->end;
}

static herr_t safe_handle(H5FD_t *base, hid_t access, void **handle) {
  (void)access;
  *handle = base;
  return 0;
}

static herr_t safe_read(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t size, void *buffer) {
  (void)type;
  (void)transfer;
  safe_file *file = (safe_file *)base;
  size_t done = 0;
  while (done < size) {
    ssize_t got = pread(file->descriptor, (char *)buffer + done, size - done, (off_t)(address + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      failed(file, errno);
      return -1;
    }
    if (got == 0) {
      memset((char *)buffer + done, 0, size - done);
      break;
    }
    done += (size_t)got;
  }
  return 0;
}

static herr_t safe_write(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t size,
                         const void *buffer) {
  (void)type;
  (void)transfer;
  safe_file *file = (safe_file *)base;
  size_t done = 0;
  while (done < size && file->error == 0) {
    ssize_t put = pwrite(file->descriptor, (const char *)buffer + done, size - done, (off_t)(address + done));
    if (put > 0)
      done += (size_t)put;
    else if (put == 0 || errno != EINTR)
      failed(file, put == 0 ? ENOSPC : errno);
  }
  if (address + size > file->end) file->end = address + size;
  return 0;
}

static herr_t safe_truncate(H5FD_t *base, hid_t transfer, hbool_t closing) {
  (void)transfer;
  (void)closing;
  safe_file *file = (safe_file *)base;
  if (file->allocated != file->end) {
    if (file->error == 0 && ftruncate(file->descriptor, (off_t)file->allocated) != 0) failed(file, errno);
    file->end = file->allocated;
  }
  return 0;
}

static const H5FD_class_t driver_class = {
#if H5_VERSION_GE(1, 13, 0)
    .version = H5FD_CLASS_VERSION,
    .value = 512,
#endif
    .name = "fgnet-safe",
    .maxaddr = ((haddr_t)1 << 62),
    .fc_degree = H5F_CLOSE_STRONG,
    .open = safe_open,
    .close = safe_close,
    .query = safe_query,
    .get_eoa = safe_allocated,
    .set_eoa = safe_set_allocated,
    .get_eof = safe_end,
    .get_handle = safe_handle,
    .read = safe_read,
    .write = safe_write,
    .truncate = safe_truncate,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

static pthread_once_t registered = PTHREAD_ONCE_INIT;
static hid_t driver = -1;

static void do_register(void) { driver = H5FDregister(&driver_class); }

hid_t cvolumes_h5_create(const char *path, hid_t creation, hid_t access, int *error_number) {
  *error_number = 0;
  pthread_once(&registered, do_register);
  if (driver < 0 || H5Pset_driver(access, driver, NULL) < 0) return -1;
  open_error = 0;
  hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, creation, access);
  if (file < 0) *error_number = open_error;
  return file;
}

int cvolumes_h5_write_error(hid_t file) {
  void *handle = NULL;
  if (H5Fget_vfd_handle(file, H5P_DEFAULT, &handle) < 0 || handle == NULL) return EIO;
  return ((const safe_file *)handle)->error;
}

int cvolumes_h5_close(hid_t file) {
  close_error = 0;
  if (H5Fclose(file) < 0) return close_error != 0 ? close_error : EIO;
  return close_error;
}
