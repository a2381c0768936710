// libpq, and what the private cluster needs that Swift cannot express: fork is not available there.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libpq-fe.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static inline void cpostgres_ignore_notice(void *arg, const PGresult *result) {
  (void)arg;
  (void)result;
}

/// Keeps server notices off standard error.
static inline void cpostgres_silence_notices(PGconn *connection) {
  PQsetNoticeReceiver(connection, cpostgres_ignore_notice, NULL);
}

/// glibc 2.34; unistd.h shows it with _GNU_SOURCE only.
extern pid_t _Fork(void);

/// Starts a program in a session of its own with `output` as its standard output and error.
/// With `drop`, it runs with that user, group and supplementary groups. Returns its pid, or -1 with errno set.
/// An exit status of 126 means that the privileges could not be dropped, 127 that the program could not be started.
static inline pid_t cpostgres_spawn(const char *path, char *const argv[], char *const envp[], int output, int drop,
                                    uid_t uid, gid_t gid, const gid_t *groups, size_t group_count) {
  sigset_t all, before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  // Not fork(): that first runs the handlers of libraries, and OpenBLAS's, which stops its threads, deadlocks when two
  // threads fork. For the same reason the privileges go by plain system calls: glibc's would look for other threads.
  pid_t pid = _Fork();
  if (pid == 0) {
    struct sigaction plain = {0};
    plain.sa_handler = SIG_DFL;
    for (int s = 1; s < 32; s++) {
      if (s != SIGKILL && s != SIGSTOP) sigaction(s, &plain, NULL);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    int nothing = open("/dev/null", O_RDONLY);
    if (nothing >= 0) dup2(nothing, 0);
    dup2(output, 1);
    dup2(output, 2);
    syscall(SYS_close_range, 3u, ~0u, 0u);
    if (drop && (syscall(SYS_setgroups, group_count, groups) != 0 || syscall(SYS_setgid, gid) != 0 ||
                 syscall(SYS_setuid, uid) != 0)) {
      _exit(126);
    }
    if (chdir("/") != 0) _exit(126);
    execve(path, argv, envp);
    _exit(127);
  }
  int failure = errno;
  sigprocmask(SIG_SETMASK, &before, NULL);
  errno = failure;
  return pid;
}
