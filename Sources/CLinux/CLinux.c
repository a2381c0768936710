#define _GNU_SOURCE
#include "CLinux.h"

#include <fcntl.h>
#include <malloc.h>
#include <spawn.h>
#include <unistd.h>

int clinux_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int clinux_spawn_close_from(void *file_actions, int first) {
  return posix_spawn_file_actions_addclosefrom_np(file_actions, first);
}

void clinux_return_blocks(int bytes) { mallopt(M_MMAP_THRESHOLD, bytes); }

void clinux_widen_pipe(int end) { fcntl(end, F_SETPIPE_SZ, 1 << 20); }
