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

/// Path of the running program, or, unless `beside` is NULL, of the file of that name in the same folder. -1 and errno on failure,
/// ENAMETOOLONG where `size` does not suffice.
int clinux_program(const char *beside, char *path, size_t size);

/// Type of the file system that holds `path`, by the numbers of statfs(2); 0 and errno on failure.
uint64_t clinux_file_system(const char *path);
