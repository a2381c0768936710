/// Pixels of one section, as runs along x.
struct PixelRuns: Sendable {
  /// Pixels `first...last` of row `y`.
  struct Run: Sendable {
    var y: Int
    var first: Int
    var last: Int
  }

  /// In raster order.
  private(set) var runs: [Run] = []

  var isEmpty: Bool { runs.isEmpty }

  /// - Precondition: the run lies behind all others in raster order.
  mutating func append(y: Int, first: Int, last: Int) { runs.append(Run(y: y, first: first, last: last)) }

  /// A pixel.
  struct Pixel: Sendable, Equatable {
    var y: Int
    var x: Int
  }

  /// Where two sets of pixels come closest.
  struct Approach: Sendable, Equatable {
    /// Squared distance of pixel centres, in square nanometres.
    var squared: Double
    /// Pairs of pixels at that distance, one for each column where runs lie over each other.
    var pairs: Int
    /// Of such pairs, the one nearest to the middle of all: its pixel of this set, and of the other.
    var from: Pixel
    var to: Pixel
  }

  private struct Pair {
    var from: Pixel
    var to: Pixel
    var columns: Int
  }

  /// - Parameters:
  ///   - height: distance in z between the two sets, nanometres.
  ///   - limit: what is farther apart than this (squared) is of no interest.
  /// - Returns: nil if nothing is within the limit.
  func approach(
    to other: PixelRuns, height: Double, pixel: (y: Double, x: Double), within limit: Double
  ) -> Approach? {
    guard let top = other.runs.first?.y, let bottom = other.runs.last?.y else { return nil }
    let rows = other.rowStarts(top, bottom)
    var best = limit
    var pairs: [Pair] = []
    for run in runs {
      var step = max(0, top - run.y, run.y - bottom)
      while true {
        let down = Double(step) * pixel.y
        let across = down * down + height * height
        if across > best { break }
        if run.y - step < top && run.y + step > bottom { break }
        for y in step == 0 ? [run.y] : [run.y - step, run.y + step] where y >= top && y <= bottom {
          for index in rows[y - top]..<rows[y - top + 1] {
            let pair = Self.pair(run, other.runs[index])
            let gap = Double(pair.to.x - pair.from.x) * pixel.x
            let squared = across + gap * gap
            if squared < best {
              best = squared
              pairs.removeAll(keepingCapacity: true)
            }
            if squared == best { pairs.append(pair) }
          }
        }
        step += 1
      }
    }
    return Self.central(pairs, squared: best)
  }

  /// Index of the first run of every row `top...bottom`, and one more.
  private func rowStarts(_ top: Int, _ bottom: Int) -> [Int] {
    var starts = [Int](repeating: runs.count, count: bottom - top + 2)
    for index in runs.indices.reversed() { starts[runs[index].y - top] = index }
    for row in (0...(bottom - top)).reversed() where starts[row] == runs.count { starts[row] = starts[row + 1] }
    return starts
  }

  /// The closest pixels of two runs: the middle ones of the columns they share, or the ends that face each other.
  private static func pair(_ a: Run, _ b: Run) -> Pair {
    let first = max(a.first, b.first)
    let last = min(a.last, b.last)
    if first <= last {
      let x = (first + last) / 2
      return Pair(from: Pixel(y: a.y, x: x), to: Pixel(y: b.y, x: x), columns: last - first + 1)
    }
    let (one, other) = a.last < b.first ? (a.last, b.first) : (a.first, b.last)
    return Pair(from: Pixel(y: a.y, x: one), to: Pixel(y: b.y, x: other), columns: 1)
  }

  private static func central(_ pairs: [Pair], squared: Double) -> Approach? {
    // Twice the place half way, in whole numbers.
    func middle(_ pair: Pair) -> (y: Int, x: Int) { (pair.from.y + pair.to.y, pair.from.x + pair.to.x) }
    let total = pairs.reduce(0) { $0 + $1.columns }
    guard total > 0 else { return nil }
    let y = pairs.reduce(0.0) { $0 + Double(middle($1).y * $1.columns) } / Double(total)
    let x = pairs.reduce(0.0) { $0 + Double(middle($1).x * $1.columns) } / Double(total)
    func distance(_ pair: Pair) -> Double {
      let (dy, dx) = (Double(middle(pair).y) - y, Double(middle(pair).x) - x)
      return dy * dy + dx * dx
    }
    guard let chosen = pairs.min(by: { distance($0) < distance($1) }) else { return nil }
    return Approach(squared: squared, pairs: total, from: chosen.from, to: chosen.to)
  }
}
