import Domain
import Synchronization

/// What a thread that looks at folders was last about, and when: a call on a mount that does not answer never returns, and
/// somebody else has to say so.
final class LifeSign: Sendable {
  private let last = Mutex((path: "", time: monotonicSeconds()))

  /// The thread is about to look at a path; at nothing, if it is empty.
  func give(_ path: String) {
    let now = monotonicSeconds()
    last.withLock { $0 = (path, now) }
  }

  /// The path it has been at for longer than `seconds`; nil while it goes on, or is at nothing.
  func stuck(for seconds: Double) -> String? {
    let now = monotonicSeconds()
    return last.withLock { now - $0.time > seconds && !$0.path.isEmpty ? $0.path : nil }
  }
}
