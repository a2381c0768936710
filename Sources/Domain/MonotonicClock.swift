import Glibc

/// Seconds of the clock that nobody sets (CLOCK_MONOTONIC), from an arbitrary moment on.
public func monotonicSeconds() -> Double {
  var now = timespec()
  clock_gettime(CLOCK_MONOTONIC, &now)
  return Double(now.tv_sec) + Double(now.tv_nsec) * 1e-9
}
