/// When to start the watcher again after it has ended: soon at first, then after growing pauses.
public struct RestartPolicy: Sendable, Equatable {
  /// Pause after the first end, seconds.
  public var firstPause: Double
  /// Longest pause, seconds.
  public var longestPause: Double
  /// A run of this many seconds counts as healthy and starts the pauses anew.
  public var healthyRun: Double
  private var endings = 0
  private var started: Double?

  public init(firstPause: Double = 0.5, longestPause: Double = 60, healthyRun: Double = 60) {
    self.firstPause = firstPause
    self.longestPause = longestPause
    self.healthyRun = healthyRun
  }

  /// The watcher was started at `now` (monotonic seconds).
  public mutating func didStart(now: Double) { started = now }

  /// The watcher ended, or could not be started, at `now`. Returns when to start it again.
  public mutating func didEnd(now: Double) -> Double {
    if let started, now - started >= healthyRun { endings = 0 }
    started = nil
    var pause = firstPause
    for _ in 0..<endings where pause < longestPause { pause *= 2 }
    endings += 1
    return now + min(pause, longestPause)
  }
}
