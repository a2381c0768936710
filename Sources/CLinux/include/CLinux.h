// Linux calls that Swift's Glibc does not show (macros, variadic or _GNU_SOURCE functions).
#pragma once
#include <sys/types.h>

/// Names the calling thread (at most 15 bytes are kept).
void clinux_set_thread_name(const char *name);

/// Asks the kernel to send `signal` to the calling process when its parent ends.
int clinux_set_parent_death_signal(int signal);

/// Makes a pipe that child processes do not inherit: `ends[0]` is read from, `ends[1]` written to. -1 and errno on
/// failure.
int clinux_pipe(int ends[2]);
