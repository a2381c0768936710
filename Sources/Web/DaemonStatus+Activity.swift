extension DaemonStatus {
  /// How busy each stage has been lately, and whether the daemon keeps up.
  package struct Activity: Codable, Sendable, Equatable {
    package struct Stage: Codable, Sendable, Equatable {
      package var name: String
      /// Stages of one thread follow each other; threads work beside each other.
      package var thread: String
      /// At work since the start.
      package var seconds: Double
      /// Of the window's time, 0...1.
      package var share: Double

      package init(name: String, thread: String, seconds: Double, share: Double) {
        self.name = name
        self.thread = thread
        self.seconds = seconds
        self.share = share
      }
    }

    /// How long "lately" is: ten minutes, or since the start.
    package var windowSeconds: Double
    /// In the order a section goes through.
    package var stages: [Stage]
    package var sectionsPerHour: Double
    /// Files and sections without results now, and when the window began.
    package var waiting: Int
    package var waitingBefore: Int
    /// The largest stage of the thread that is at work at least half of the time and most; nil if there is none, and the daemon
    /// waits for sections.
    package var bottleneck: String?
    /// Hardly more wait than did when the window began.
    package var keepsUp: Bool

    package init(windowSeconds: Double, stages: [Stage], sectionsPerHour: Double, waiting: Int, waitingBefore: Int) {
      self.windowSeconds = windowSeconds
      self.stages = stages
      self.sectionsPerHour = sectionsPerHour
      self.waiting = waiting
      self.waitingBefore = waitingBefore
      // A section that has just come is no trend.
      keepsUp = waiting <= waitingBefore + 1
      bottleneck = Self.bottleneck(stages)
    }

    private static func bottleneck(_ stages: [Stage]) -> String? {
      var threads: [String: Double] = [:]
      for stage in stages { threads[stage.thread, default: 0] += stage.share }
      guard let most = stages.max(by: { (threads[$0.thread] ?? 0) < (threads[$1.thread] ?? 0) })?.thread,
        threads[most] ?? 0 >= 0.5
      else { return nil }
      return stages.filter { $0.thread == most }.max { $0.share < $1.share }?.name
    }
  }
}
