#include <stdlib.h>
#include <string.h>

#include "post_clones.h"
#include "post_kernels.h"
#include "post_planes.h"

// A queue for each boundary level, in pieces from one pool: memory is what waits at a time, not one entry for each pixel.

enum { LEVELS = 511, WORDS = (LEVELS + 63) / 64, PIECE = 1022, POOL = 256, AHEAD = 6 };

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
  // In the head, in the tail. Without items the end is PIECE, so that one look tells whether there is room.
  uint16_t first[LEVELS], end[LEVELS];
  uint64_t filled[WORDS];
  int lowest;  // words below are empty
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

// Room for one more, where the last piece of a level has none. 0: there is no memory.
static __attribute__((noinline)) int makeRoom(queues *q, unsigned level) {
  const int isEmpty = !(q->filled[level / 64] >> (level % 64) & 1);
  piece *more = isEmpty && q->head[level] ? q->head[level] : newPiece(q);
  if (!more) {
    q->failed = 1;
    return 0;
  }
  if (isEmpty) {
    q->head[level] = more;
    q->first[level] = 0;
    q->filled[level / 64] |= 1ull << (level % 64);
    if ((int)(level / 64) < q->lowest) q->lowest = (int)(level / 64);
  } else {
    q->tail[level]->next = more;
  }
  q->tail[level] = more;
  q->end[level] = 0;
  return 1;
}

static inline void push(queues *q, unsigned level, uint32_t p) {
  if (q->end[level] == PIECE && !makeRoom(q, level)) return;
  q->tail[level]->items[q->end[level]++] = p;
}

// The oldest of the lowest level; -1 when there is none. ahead: one that may be popped AHEAD pops later.
static inline int64_t pop(queues *q, uint32_t *ahead) {
  int word = q->lowest;
  while (word < WORDS && !q->filled[word]) word++;
  q->lowest = word;
  if (word == WORDS) return -1;
  unsigned level = (unsigned)word * 64 + (unsigned)__builtin_ctzll(q->filled[word]);
  piece *head = q->head[level];
  unsigned at = q->first[level]++;
  uint32_t p = head->items[at];
  unsigned end = head == q->tail[level] ? q->end[level] : PIECE;
  *ahead = head->items[at + AHEAD < end ? at + AHEAD : at];
  if (head == q->tail[level]) {
    // An empty queue keeps its piece.
    if (q->first[level] == q->end[level]) {
      q->filled[word] &= q->filled[word] - 1;
      q->end[level] = PIECE;
    }
  } else if (q->first[level] == PIECE) {
    q->head[level] = head->next;
    q->first[level] = 0;
    head->next = q->spare;
    q->spare = head;
  }
  return p;
}

// While it is flooded, a pixel of the labels' plane is its label, or its level and WAITING: one look says all. EDGE beside it: some neighbours are missing.
static const uint32_t WAITING = 1u << 31, EDGE = 1u << 30;

CLONES static void begin_row(uint32_t *restrict row, const uint16_t *restrict level, size_t width) {
  for (size_t x = 0; x < width; x++) row[x] = row[x] ? row[x] : WAITING | level[x];
}

// reaches (width) <- 1 where a pixel that has its label has a neighbour that waits. above, below: the row itself where there is none.
CLONES static void find_reaching(
    const uint32_t *row, const uint32_t *above, const uint32_t *below, uint8_t *restrict reaches, size_t width) {
  for (size_t x = 0; x < width; x++) reaches[x] = (uint8_t)(((above[x] | below[x]) & ~row[x]) >> 31);
  for (size_t x = 1; x < width; x++) reaches[x] |= (uint8_t)((row[x - 1] & ~row[x]) >> 31);
  for (size_t x = 1; x < width; x++) reaches[x - 1] |= (uint8_t)((row[x] & ~row[x - 1]) >> 31);
}

CLONES static void end_plane(uint32_t *labels, size_t n) {
  for (size_t i = 0; i < n; i++) labels[i] = labels[i] & WAITING ? 0 : labels[i] & ~EDGE;
}

static inline void visit(queues *q, uint32_t *labels, size_t p, uint32_t label) {
  uint32_t was = labels[p];
  if (!(was & WAITING)) return;
  labels[p] = (was & EDGE) | label;
  push(q, was & ~(WAITING | EDGE), (uint32_t)p);
}

// Every pixel enters a queue at most once, so this is linear in the pixels. A level below the present one may still be
// entered behind a ridge and is then served first, as in a priority queue.
int post_flood(const uint8_t *y, const uint8_t *x, uint32_t *labels, size_t height, size_t width) {
  size_t n = height * width;
  if (n == 0) return 0;
  queues *q = calloc(1, sizeof(queues));
  uint16_t *level = malloc(width * (sizeof *level + 1));
  if (!q || !level) {
    free(q);
    free(level);
    return -1;
  }
  uint8_t *reaches = (uint8_t *)(level + width);
  for (unsigned l = 0; l < LEVELS; l++) q->end[l] = PIECE;
  for (size_t r = 0; r < height; r++) {
    uint32_t *row = labels + r * width;
    post_level_row(y, x, level, r, height, width);
    begin_row(row, level, width);
    row[0] |= EDGE, row[width - 1] |= EDGE;
    if (r == 0 || r == height - 1)
      for (size_t i = 1; i + 1 < width; i++) row[i] |= EDGE;
  }
  // Pixels that reach nothing need not wait for it.
  for (size_t r = 0; r < height && !q->failed; r++) {
    const uint32_t *row = labels + r * width;
    find_reaching(row, r ? row - width : row, r + 1 < height ? row + width : row, reaches, width);
    const uint8_t *at = memchr(reaches, 1, width);
    if (!at) continue;
    post_level_row(y, x, level, r, height, width);
    for (; at; at = memchr(at + 1, 1, (size_t)(reaches + width - at - 1)))
      push(q, level[at - reaches], (uint32_t)(r * width + (size_t)(at - reaches)));
  }
  uint32_t ahead;
  for (int64_t next; !q->failed && (next = pop(q, &ahead)) >= 0;) {
    size_t p = (size_t)next;
    __builtin_prefetch(labels + ahead - width);
    __builtin_prefetch(labels + ahead + width);
    uint32_t label = labels[p] & ~EDGE;
    if (labels[p] & EDGE) {
      neighbours around = neighboursOf(p, height, width);
      for (int k = 0; k < around.count; k++) visit(q, labels, around.position[k], label);
    } else {
      visit(q, labels, p - width, label);
      visit(q, labels, p - 1, label);
      visit(q, labels, p + 1, label);
      visit(q, labels, p + width, label);
    }
  }
  end_plane(labels, n);
  int status = q->failed ? -1 : 0;
  while (q->pools) {
    pool *next = q->pools->next;
    free(q->pools);
    q->pools = next;
  }
  free(q);
  free(level);
  return status;
}
