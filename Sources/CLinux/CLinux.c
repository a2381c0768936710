#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

int clinux_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int clinux_spawn_close_from(void *file_actions, int first) {
  return posix_spawn_file_actions_addclosefrom_np(file_actions, first);
}

int clinux_swap_files(const char *a, const char *b) {
  return renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
}

void clinux_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

void clinux_return_blocks(int bytes) { mallopt(M_MMAP_THRESHOLD, bytes); }

void clinux_widen_pipe(int end) { fcntl(end, F_SETPIPE_SZ, 1 << 20); }

int clinux_program(const char *beside, char *path, size_t size) {
  ssize_t length = readlink("/proc/self/exe", path, size);
  if (length < 0) return -1;
  if (beside != NULL) {
    while (length > 0 && path[length - 1] != '/') length--;
  } else {
    beside = "";
  }
  if ((size_t)length + strlen(beside) + 1 > size) {
    errno = ENAMETOOLONG;
    return -1;
  }
  strcpy(path + length, beside);
  return 0;
}

uint64_t clinux_file_system(const char *path) {
  struct statfs status;
  int result;
  do result = statfs(path, &status);
  while (result != 0 && errno == EINTR);
  // Some are above 31 bits, and the field is signed.
  return result == 0 ? (uint32_t)status.f_type : 0;
}
