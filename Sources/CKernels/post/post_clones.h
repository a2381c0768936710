#pragma once
// Code for several instruction sets, of which the best that the processor has is taken. One machine must equal another, so there are no fused
// multiply-adds in some clones only.
#pragma STDC FP_CONTRACT OFF

#if defined(__x86_64__)
#define CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CLONES
#endif
