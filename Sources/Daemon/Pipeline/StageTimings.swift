/// Seconds spent in each stage since the start, for `status`.
final class StageTimings {
  private(set) var seconds: [String: Double] = [:]
  private(set) var calls: [String: Int] = [:]

  func measure<T>(_ stage: String, _ work: () throws -> T) rethrows -> T {
    let clock = ContinuousClock()
    let start = clock.now
    defer {
      let elapsed = clock.now - start
      seconds[stage, default: 0] += Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18
      calls[stage, default: 0] += 1
    }
    return try work()
  }
}
