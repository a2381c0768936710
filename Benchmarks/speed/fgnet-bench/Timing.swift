/// Seconds of each of `rounds` calls, which are told their numbers from 0.
func timed(_ rounds: Int, _ work: (Int) throws -> Void) rethrows -> [Double] {
  try (0..<rounds).map { round in
    let start = ContinuousClock.now
    try work(round)
    return seconds(ContinuousClock.now - start)
  }
}

func seconds(_ time: Duration) -> Double {
  Double(time.components.seconds) + Double(time.components.attoseconds) * 1e-18
}
