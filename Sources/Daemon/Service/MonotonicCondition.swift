import Domain
import Glibc

/// A lock with a condition whose waits are by a clock that nobody sets: `NSCondition` waits by the wall clock, and for an hour
/// longer when that is set back by an hour.
///
/// Unchecked: it is made for use from several threads.
final class MonotonicCondition: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  init() {
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  func withLock<T>(_ body: () throws -> T) rethrows -> T {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body()
  }

  /// Wakes everyone who waits. To be called within `withLock`.
  func broadcast() { pthread_cond_broadcast(condition) }

  /// Waits within `withLock` for a broadcast.
  /// - Returns: false when it is `end` by `monotonicSeconds()` before there is one.
  func wait(until end: Double) -> Bool {
    var time = timespec()
    time.tv_sec = Int(end.rounded(.down))
    time.tv_nsec = Int((end - end.rounded(.down)) * 1e9)
    return pthread_cond_timedwait(condition, mutex, &time) != ETIMEDOUT
  }
}
