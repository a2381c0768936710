/// Growing pauses between attempts while something outside is broken, up to 30 s.
struct Pause {
  let shortest: Double
  private(set) var seconds = 0.0

  init(shortest: Double) { self.shortest = shortest }

  mutating func failed() { seconds = min(30, max(shortest, seconds * 2)) }
  mutating func succeeded() { seconds = 0 }
}
