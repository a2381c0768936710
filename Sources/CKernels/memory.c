#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "CKernels.h"

// Planes of a section are tens of megabytes and the same few sizes come again for every section. Memory fresh from the
// system costs a page fault per 4 KiB, as much time as the network itself, so large blocks are kept for reuse: in use and
// kept together, never more than half above what was in use at the worst moment, nor above the limit. (With nothing above it, the layers of
// one width would push out the blocks of another, section after section.)

struct block {
  size_t bytes;  // of the block, this header included
  struct block *next;
};

enum { HEADER = 64 };
static const size_t large = 1 << 20, huge = 2 << 20;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct block *kept;  // newest first
static size_t kept_bytes, used_bytes, worst_bytes, most_bytes = SIZE_MAX;

// The kept block of this size; the oldest kept ones are given back until the rest and a new one fit. Under the lock.
static struct block *reuse(size_t bytes, struct block **surplus) {
  for (struct block **at = &kept; *at; at = &(*at)->next)
    if ((*at)->bytes == bytes) {
      struct block *found = *at;
      *at = found->next;
      kept_bytes -= bytes;
      return found;
    }
  const size_t enough = worst_bytes + worst_bytes / 2, most = enough < most_bytes ? enough : most_bytes;
  while (kept && used_bytes + kept_bytes > most) {
    struct block **at = &kept;
    while ((*at)->next) at = &(*at)->next;
    struct block *oldest = *at;
    *at = NULL;
    kept_bytes -= oldest->bytes;
    oldest->next = *surplus;
    *surplus = oldest;
  }
  return NULL;
}

static void free_all(struct block *list) {
  while (list) {
    struct block *next = list->next;
    free(list);
    list = next;
  }
}

float *ck_allocate(size_t count) {
  if (count > (SIZE_MAX - 2 * HEADER) / sizeof(float)) return NULL;
  const size_t bytes = (count * sizeof(float) + HEADER + 63) / 64 * 64;
  struct block *block = NULL, *surplus = NULL;
  if (bytes >= large) {
    pthread_mutex_lock(&lock);
    used_bytes += bytes;
    if (used_bytes > worst_bytes) worst_bytes = used_bytes;
    block = reuse(bytes, &surplus);
    pthread_mutex_unlock(&lock);
    free_all(surplus);
  }
  if (!block) {
    void *memory = NULL;
    const size_t alignment = bytes >= 2 * huge ? huge : 64;
    if (posix_memalign(&memory, alignment, bytes) != 0) {
      if (bytes >= large) {
        pthread_mutex_lock(&lock);
        used_bytes -= bytes;
        pthread_mutex_unlock(&lock);
      }
      return NULL;
    }
    // Whole huge pages only: the rest of a last one would be memory for nothing.
    if (alignment == huge) madvise(memory, bytes / huge * huge, MADV_HUGEPAGE);
    block = memory;
    block->bytes = bytes;
  }
  return (float *)((char *)block + HEADER);
}

void ck_free(float *memory) {
  if (!memory) return;
  struct block *block = (struct block *)((char *)memory - HEADER);
  if (block->bytes < large) {
    free(block);
    return;
  }
  pthread_mutex_lock(&lock);
  used_bytes -= block->bytes;
  kept_bytes += block->bytes;
  block->next = kept;
  kept = block;
  pthread_mutex_unlock(&lock);
}

size_t ck_limit_memory(size_t bytes) {
  pthread_mutex_lock(&lock);
  const size_t before = most_bytes;
  most_bytes = bytes;
  pthread_mutex_unlock(&lock);
  return before;
}

size_t ck_memory(void) {
  pthread_mutex_lock(&lock);
  const size_t bytes = used_bytes + kept_bytes;
  pthread_mutex_unlock(&lock);
  return bytes;
}

size_t ck_memory_in_use(void) {
  pthread_mutex_lock(&lock);
  const size_t bytes = used_bytes;
  pthread_mutex_unlock(&lock);
  return bytes;
}

void ck_release_kept(void) {
  pthread_mutex_lock(&lock);
  struct block *list = kept;
  kept = NULL;
  kept_bytes = 0;
  worst_bytes = used_bytes;
  pthread_mutex_unlock(&lock);
  free_all(list);
}
