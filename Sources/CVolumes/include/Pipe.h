// What glibc declares for _GNU_SOURCE only.
#pragma once

/// A pipe, reading end first, that programs started meanwhile by other threads do not inherit. Returns 0, or -1 with errno.
int cvolumes_pipe(int *ends);
