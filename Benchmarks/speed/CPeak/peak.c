#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <time.h>

#include "CPeak.h"

#if defined(__x86_64__)
#include <immintrin.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// Chains enough to hide any latency, and no more than stay in registers: AVX2 has 16. The loop ends on the clock.
enum { STEPS = 2000 };

#define LOOP(NAME, TARGET, CHAINS, VECTOR, ZERO, STEP, FLOPS, SUM)                \
  static __attribute__((target(TARGET))) double NAME(double seconds, float *out) { \
    VECTOR acc[CHAINS];                                                           \
    _Pragma("clang loop unroll(full)") for (int i = 0; i < CHAINS; i++) acc[i] = ZERO;   \
    const double start = now();                                                   \
    double done = 0, end = start;                                                 \
    while (end - start < seconds) {                                               \
      for (int step = 0; step < STEPS; step++) {                                  \
        _Pragma("clang loop unroll(full)") for (int i = 0; i < CHAINS; i++) acc[i] = STEP; \
        __asm__ volatile("" : "+v"(acc[0]));                                      \
      }                                                                           \
      done += (double)CHAINS * STEPS * FLOPS;                                     \
      end = now();                                                                \
    }                                                                             \
    float total = 0;                                                              \
    _Pragma("clang loop unroll(full)") for (int i = 0; i < CHAINS; i++) total += SUM;    \
    *out = total;                                                                 \
    return done / (end - start);                                                  \
  }

LOOP(avx2, "avx2,fma", 12, __m256, _mm256_set1_ps((float)i), _mm256_fmadd_ps(acc[i], _mm256_set1_ps(0.5f), _mm256_set1_ps(1)), 16,
     acc[i][0])
LOOP(avx512, "avx512f", 20, __m512, _mm512_set1_ps((float)i), _mm512_fmadd_ps(acc[i], _mm512_set1_ps(0.5f), _mm512_set1_ps(1)), 32,
     acc[i][0])
LOOP(bf16, "avx512f,avx512bf16", 20, __m512, _mm512_set1_ps((float)i),
     _mm512_dpbf16_ps(acc[i], (__m512bh)_mm512_set1_epi32(0x3F003F00), (__m512bh)_mm512_set1_epi32(0x3F003F00)), 64, acc[i][0])

struct worker {
  double (*loop)(double, float *);
  double seconds, rate;
  float out;
};
static void *work(void *p) {
  struct worker *w = p;
  w->rate = w->loop(w->seconds, &w->out);
  return NULL;
}

double peak_gflops(int isa, int threads, double seconds) {
  __builtin_cpu_init();
  double (*loop)(double, float *) = NULL;
  if (isa == 1 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) loop = avx2;
  if (isa == 2 && __builtin_cpu_supports("avx512f")) loop = avx512;
  if (isa == 3 && __builtin_cpu_supports("avx512bf16")) loop = bf16;
  if (!loop || threads < 1 || threads > 256) return 0;
  struct worker workers[256];
  pthread_t ids[256];
  int started = 0;
  for (int i = 0; i < threads; i++) {
    workers[i] = (struct worker){.loop = loop, .seconds = seconds};
    if (pthread_create(&ids[i], NULL, work, &workers[i]) != 0) break;
    started++;
  }
  double total = 0;
  for (int i = 0; i < started; i++) {
    pthread_join(ids[i], NULL);
    total += workers[i].rate;
  }
  return started == threads ? total * 1e-9 : 0;
}
#else
double peak_gflops(int isa, int threads, double seconds) { return (void)isa, (void)threads, (void)seconds, 0; }
#endif
