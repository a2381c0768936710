/// What the layers tell while they work: multiply-adds done and, for tests and benchmarks, outputs and times.
final class Meter {
  private(set) var operations = 0
  /// The place of the stack that is being evaluated.
  var place = 0
  /// Called with a module's key, the place of the stack, and the output.
  var trace: ((String, Int, Tensor) -> Void)?
  /// Called with what was computed, its multiply-adds, and the time it took.
  var profile: ((String, Int, Duration) -> Void)?

  /// Counts work that is `multiplyAdds` large, and times it if anyone wants to know.
  func measure<Result, Failure: Error>(
    _ what: @autoclosure () -> String, _ multiplyAdds: Int, _ work: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    operations += multiplyAdds
    guard let profile else { return try work() }
    let start = ContinuousClock.now
    defer { profile(what(), multiplyAdds, ContinuousClock.now - start) }
    return try work()
  }

  var traces: Bool { trace != nil }
  func report(_ key: String, _ output: Tensor) { trace?(key, place, output) }
}
