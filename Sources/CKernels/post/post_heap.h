#pragma once
#include <stdint.h>
#include <stdlib.h>

// A heap of offers, the smallest first. An offer is key << 64 | rank << 32 | contact: compared as one number, without a
// branch that a processor would have to guess.
typedef unsigned __int128 post_offer;

typedef struct {
  post_offer *offers;
  size_t count, capacity;
} post_heap;

static inline post_offer post_offer_of(uint64_t key, uint32_t rank, uint32_t contact) {
  return (post_offer)key << 64 | (uint64_t)rank << 32 | contact;
}
static inline uint64_t post_offer_key(post_offer offer) { return (uint64_t)(offer >> 64); }
static inline uint32_t post_offer_rank(post_offer offer) { return (uint32_t)(offer >> 32); }
static inline uint32_t post_offer_contact(post_offer offer) { return (uint32_t)offer; }

// 0, or -1 when there is no memory.
static inline int post_heap_push(post_heap *heap, post_offer offer) {
  if (heap->count == heap->capacity) {
    size_t capacity = heap->capacity ? 2 * heap->capacity : 1024;
    post_offer *offers = realloc(heap->offers, sizeof *offers * capacity);
    if (!offers) return -1;
    heap->offers = offers;
    heap->capacity = capacity;
  }
  size_t i = heap->count++;
  while (i > 0 && offer < heap->offers[(i - 1) / 4]) {
    heap->offers[i] = heap->offers[(i - 1) / 4];
    i = (i - 1) / 4;
  }
  heap->offers[i] = offer;
  return 0;
}

static inline post_offer post_heap_pop(post_heap *heap) {
  post_offer *all = heap->offers, out = all[0], last = all[--heap->count];
  size_t i = 0, n = heap->count;
  for (size_t child; (child = 4 * i + 1) + 3 < n;) {
    size_t left = child + (all[child + 1] < all[child]), right = child + 2 + (all[child + 3] < all[child + 2]);
    size_t best = all[right] < all[left] ? right : left;
    if (last <= all[best]) {
      all[i] = last;
      return out;
    }
    all[i] = all[best];
    i = best;
  }
  for (size_t child; (child = 4 * i + 1) < n;) {
    size_t best = child, end = child + 4 < n ? child + 4 : n;
    for (size_t c = child + 1; c < end; c++) best = all[c] < all[best] ? c : best;
    if (last <= all[best]) break;
    all[i] = all[best];
    i = best;
  }
  all[i] = last;
  return out;
}
