// Linux calls that Swift's Glibc does not show (macros, variadic or _GNU_SOURCE functions).
#pragma once
#include <stddef.h>
#include <stdint.h>

/// Makes a pipe that child processes do not inherit: `ends[0]` is read from, `ends[1]` written to. -1 and errno on
/// failure.
int clinux_pipe(int ends[2]);

/// For `posix_spawn`: the child closes every file from `first` on. An errno on failure.
int clinux_spawn_close_from(void *file_actions, int first);

/// Each of two files gets the other's name, at once. -1 and errno on failure: EINVAL where the file system cannot.
int clinux_swap_files(const char *a, const char *b);

/// The name of the calling thread, and of those it makes, in `top -H` and in /proc; at most 15 bytes.
void clinux_name_thread(const char *name);

/// From now on memory of `bytes` and more comes from the system and goes back to it when freed. Left to itself, glibc takes
/// what is below 32 MiB from a heap, where holes between large blocks stay in memory.
void clinux_return_blocks(int bytes);

/// A program to be started with nothing but what is named here.
typedef struct {
  /// Absolute.
  const char *path;
  /// Both end in a null pointer.
  char *const *arguments;
  char *const *environment;
  /// Its working directory.
  const char *directory;
  /// Its standard input, output and errors. No other file stays open.
  int input, output, errors;
  /// Bytes of its own that it may have (RLIMIT_DATA, each process of it); 0: no limit.
  unsigned long long memory;
  /// Becomes this user first, without other groups, if `changes_user`.
  int changes_user;
  unsigned user, group;
} clinux_launch;

/// What became of a start.
typedef struct {
  /// -1 where none was made.
  int process;
  /// 0, or an errno. A process that was made has then ended, and is to be waited for.
  int error;
  /// What failed, for people.
  const char *step;
} clinux_started;

/// Starts a program in a process group of its own, without new privileges and core files. It is killed when this process ends,
/// however it ends. From the first call on, this process ignores SIGPIPE. Safe from any thread.
clinux_started clinux_start(const clinux_launch *program);

/// Makes a pipe as large as the system gives; for large transfers.
void clinux_widen_pipe(int end);

/// Path of the running program, or, unless `beside` is NULL, of the file of that name in the same folder. -1 and errno on failure,
/// ENAMETOOLONG where `size` does not suffice.
int clinux_program(const char *beside, char *path, size_t size);

/// Type of the file system that holds `path`, by the numbers of statfs(2); 0 and errno on failure.
uint64_t clinux_file_system(const char *path);
