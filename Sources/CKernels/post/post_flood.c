#include <stdlib.h>
#include <string.h>

#include "post_kernels.h"
#include "post_planes.h"

// A queue for each boundary level, in pieces from one pool: memory is what waits at a time, not one entry for each pixel.

enum { LEVELS = 511, WORDS = (LEVELS + 63) / 64, PIECE = 1022, POOL = 256 };

typedef struct piece {
  struct piece *next;
  uint32_t items[PIECE];
} piece;

typedef struct pool {
  struct pool *next;
  piece pieces[POOL];
} pool;

typedef struct {
  piece *head[LEVELS], *tail[LEVELS];
  uint16_t first[LEVELS], end[LEVELS]; // in the head, in the tail
  uint64_t filled[WORDS];
  piece *spare;
  pool *pools;
  int failed;
} queues;

static piece *newPiece(queues *q) {
  if (!q->spare) {
    pool *more = malloc(sizeof(pool));
    if (!more) return NULL;
    more->next = q->pools;
    q->pools = more;
    for (int i = 0; i < POOL; i++) {
      more->pieces[i].next = q->spare;
      q->spare = more->pieces + i;
    }
  }
  piece *got = q->spare;
  q->spare = got->next;
  got->next = NULL;
  return got;
}

static inline void push(queues *q, unsigned level, uint32_t p) {
  if (!(q->filled[level / 64] >> (level % 64) & 1)) {
    if (!q->head[level] && !(q->head[level] = newPiece(q))) {
      q->failed = 1;
      return;
    }
    q->tail[level] = q->head[level];
    q->first[level] = q->end[level] = 0;
    q->filled[level / 64] |= 1ull << (level % 64);
  } else if (q->end[level] == PIECE) {
    piece *more = newPiece(q);
    if (!more) {
      q->failed = 1;
      return;
    }
    q->tail[level]->next = more;
    q->tail[level] = more;
    q->end[level] = 0;
  }
  q->tail[level]->items[q->end[level]++] = p;
}

// The oldest of the lowest level; -1 when there is none.
static inline int64_t pop(queues *q) {
  int word = 0;
  while (word < WORDS && !q->filled[word]) word++;
  if (word == WORDS) return -1;
  unsigned level = (unsigned)word * 64 + (unsigned)__builtin_ctzll(q->filled[word]);
  piece *head = q->head[level];
  uint32_t p = head->items[q->first[level]++];
  if (head == q->tail[level]) {
    // An empty queue keeps its piece.
    if (q->first[level] == q->end[level]) q->filled[word] &= q->filled[word] - 1;
  } else if (q->first[level] == PIECE) {
    q->head[level] = head->next;
    q->first[level] = 0;
    head->next = q->spare;
    q->spare = head;
  }
  return p;
}

// Every pixel enters a queue at most once, so this is linear in the pixels. A level below the present one may still be
// entered behind a ridge and is then served first, as in a priority queue.
int post_flood(const uint8_t *y, const uint8_t *x, uint32_t *labels, size_t height, size_t width) {
  size_t n = height * width;
  queues *q = calloc(1, sizeof(queues));
  if (!q) return -1;
  for (size_t i = 0; i < n && !q->failed; i++) {
    if (!labels[i]) continue;
    neighbours around = neighboursOf(i, height, width);
    // Pixels that reach nothing need not wait for it.
    int reaches = 0;
    for (int k = 0; k < around.count; k++) reaches |= !labels[around.position[k]];
    if (reaches) push(q, levelAt(y, x, i, height, width), (uint32_t)i);
  }
  for (int64_t p; !q->failed && (p = pop(q)) >= 0;) {
    uint32_t label = labels[p];
    neighbours around = neighboursOf((size_t)p, height, width);
    for (int k = 0; k < around.count; k++) {
      size_t to = around.position[k];
      if (labels[to]) continue;
      labels[to] = label;
      push(q, levelAt(y, x, to, height, width), (uint32_t)to);
    }
  }
  int status = q->failed ? -1 : 0;
  while (q->pools) {
    pool *next = q->pools->next;
    free(q->pools);
    q->pools = next;
  }
  free(q);
  return status;
}
