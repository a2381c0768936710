// Starting programs that are watched over.
//
// The system kills a program with the *thread* that started it (PR_SET_PDEATHSIG). Threads of work come and go, so one thread
// that stays as long as the process does starts them all.
#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int has_thread;
static int is_done;
static const clinux_launch *wanted;
static clinux_started result;

static int limit(int what, unsigned long long bytes) {
  const struct rlimit both = {bytes, bytes};
  return setrlimit(what, &both);
}

// In the child, which shares the parent's memory until it runs the program: system calls only. The user is changed by bare ones,
// as the C library's would change all threads of the parent.
static void become(const clinux_launch *program, pid_t parent, clinux_started *told) {
  struct sigaction normal = {.sa_handler = SIG_DFL};
  for (int number = 1; number < NSIG; number++) sigaction(number, &normal, NULL);
  told->step = "own process group";
  if (setpgid(0, 0) != 0) goto failed;
  told->step = "user";
  if (program->changes_user &&
      (syscall(SYS_setgroups, 0, NULL) != 0 || syscall(SYS_setgid, program->group) != 0 ||
       syscall(SYS_setuid, program->user) != 0))
    goto failed;
  // After the user: a change of it undoes this.
  told->step = "end with the daemon";
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) goto failed;
  if (getppid() != parent) _exit(127);
  told->step = "no new privileges";
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) goto failed;
  told->step = "memory limit";
  if (program->memory > 0 && limit(RLIMIT_DATA, program->memory) != 0) goto failed;
  limit(RLIMIT_CORE, 0);
  told->step = "folder";
  if (chdir(program->directory) != 0) goto failed;
  told->step = "pipes";
  if (dup2(program->input, 0) < 0 || dup2(program->output, 1) < 0 || dup2(program->errors, 2) < 0) goto failed;
  if (syscall(SYS_close_range, 3u, ~0u, 0u) != 0) goto failed;
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  told->step = "program";
  execve(program->path, program->arguments, program->environment);
failed:
  told->error = errno;
  _exit(127);
}

static clinux_started start(const clinux_launch *program) {
  // Written by the child.
  static clinux_started told;
  told = (clinux_started){0, 0, ""};
  const pid_t parent = getpid();
  const pid_t child = vfork();
  if (child == 0) become(program, parent, &told);
  told.process = child;
  if (child < 0) {
    told.error = errno;
    told.step = "process";
  }
  return told;
}

static void *serve(void *unused) {
  (void)unused;
  pthread_mutex_lock(&lock);
  for (;;) {
    while (wanted == NULL) pthread_cond_wait(&changed, &lock);
    result = start(wanted);
    wanted = NULL;
    is_done = 1;
    pthread_cond_broadcast(&changed);
  }
  return NULL;
}

// With the lock held. The thread takes no signals, and what it starts has none of its own until it is another program.
static int ensure_thread(void) {
  if (has_thread) return 0;
  // A program that ends while it is written to must not end the daemon.
  struct sigaction pipe_action;
  if (sigaction(SIGPIPE, NULL, &pipe_action) == 0 && pipe_action.sa_handler == SIG_DFL) signal(SIGPIPE, SIG_IGN);
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int failed = pthread_create(&thread, NULL, serve, NULL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (failed != 0) return failed;
  pthread_detach(thread);
  has_thread = 1;
  return 0;
}

clinux_started clinux_start(const clinux_launch *program) {
  static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&turn);
  pthread_mutex_lock(&lock);
  clinux_started started = {-1, 0, "thread"};
  started.error = ensure_thread();
  if (started.error == 0) {
    is_done = 0;
    wanted = program;
    pthread_cond_broadcast(&changed);
    while (!is_done) pthread_cond_wait(&changed, &lock);
    started = result;
  }
  pthread_mutex_unlock(&lock);
  pthread_mutex_unlock(&turn);
  return started;
}
