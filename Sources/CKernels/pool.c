#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include "table.h"

// A pool of threads that sleep between jobs. One job runs at a time; the caller works too.
enum { MAX_THREADS = 256 };

static pthread_mutex_t callers = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t begun = PTHREAD_COND_INITIALIZER, ended = PTHREAD_COND_INITIALIZER;
static int workers, wanted;  // wanted: threads in use, the caller included; 0 until first asked for

static struct {
  void (*task)(const void *, long, long);
  const void *context;
  const struct ck_table *table;
  long count, chunk;
  int threads;
  atomic_long next;
  long serial;   // of the job; a worker takes part in each job once
  int invited;   // workers that may take part
  int busy;
} job;

// Of what is left, half of an even share: few pieces, and small ones at the end, so that all threads end together however much of a core each gets
// (C. Polychronopoulos and D. Kuck, "Guided self-scheduling", 1987).
static void work(void) {
  for (;;) {
    long first = atomic_load(&job.next), last;
    do {
      if (first >= job.count) return;
      const long chunks = (job.count - first) / (2L * job.threads * job.chunk);
      last = first + (chunks > 1 ? chunks : 1) * job.chunk;
      if (last > job.count) last = job.count;
    } while (!atomic_compare_exchange_weak(&job.next, &first, last));
    job.task(job.context, first, last);
  }
}

static void *worker(void *argument) {
  const int index = (int)(intptr_t)argument;
  long seen = 0;
  pthread_mutex_lock(&lock);
  for (;;) {
    while (job.serial == seen || index >= job.invited) {
      seen = job.serial;
      pthread_cond_wait(&begun, &lock);
    }
    seen = job.serial;
    job.busy++;
    ck_use_table(job.table);
    pthread_mutex_unlock(&lock);
    work();
    pthread_mutex_lock(&lock);
    if (--job.busy == 0) pthread_cond_signal(&ended);
  }
  return NULL;
}

static int available(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  const long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? (int)online : 1;
}

static int bounded(int threads) { return threads < 1 ? 1 : threads > MAX_THREADS ? MAX_THREADS : threads; }

int ck_threads(void) {
  pthread_mutex_lock(&lock);
  if (wanted == 0) wanted = bounded(available());
  const int threads = wanted;
  pthread_mutex_unlock(&lock);
  return threads;
}

void ck_use_threads(int threads) {
  pthread_mutex_lock(&lock);
  wanted = bounded(threads);
  pthread_mutex_unlock(&lock);
}

void ck_parallel(long count, long chunk, void (*task)(const void *, long, long), const void *context) {
  if (count <= 0) return;
  const int threads = ck_threads();
  if (threads == 1 || count <= chunk) {
    task(context, 0, count);
    return;
  }
  pthread_mutex_lock(&callers);
  pthread_mutex_lock(&lock);
  while (workers < threads - 1) {
    pthread_t thread;
    // Fewer threads than asked for is slower, not wrong.
    if (pthread_create(&thread, NULL, worker, (void *)(intptr_t)workers) != 0) break;
    pthread_detach(thread);
    workers++;
  }
  job.task = task, job.context = context, job.table = ck_table_in_use();
  job.count = count, job.chunk = chunk, job.threads = threads;
  atomic_store(&job.next, 0);
  job.serial++;
  job.invited = threads - 1;
  pthread_cond_broadcast(&begun);
  pthread_mutex_unlock(&lock);
  work();
  pthread_mutex_lock(&lock);
  job.invited = 0;  // late risers find nothing to do
  while (job.busy > 0) pthread_cond_wait(&ended, &lock);
  pthread_mutex_unlock(&lock);
  pthread_mutex_unlock(&callers);
}
