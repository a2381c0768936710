#pragma once
/// Multiply-adds per second, in 10^9 operations of two each, that all `threads` reach together on numbers in registers:
/// what no kernel can pass. `isa` as in CKernels.h. 0 where the CPU has it not.
double peak_gflops(int isa, int threads, double seconds);
