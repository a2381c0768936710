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

  /// Where two sets of pixels come closest.
  struct Approach: Sendable, Equatable {
    /// Squared distance of pixel centres, in square nanometres.
    var squared: Double
    /// Pairs of pixels at that distance, one for each column where runs lie over each other.
    var pairs: Int
    /// Of the places half way between such pairs, the one nearest to their middle.
    var y: Int
    var x: Int
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
    var midpoints: [(y: Int, x: Int, weight: Int)] = []
    for run in runs {
      var step = max(0, top - run.y, run.y - bottom)
      while true {
        let down = Double(step) * pixel.y
        let across = down * down + height * height
        if across > best { break }
        if run.y - step < top && run.y + step > bottom { break }
        for y in step == 0 ? [run.y] : [run.y - step, run.y + step] where y >= top && y <= bottom {
          for index in rows[y - top]..<rows[y - top + 1] {
            let (gap, x, weight) = Self.gap(run, other.runs[index])
            let squared = across + Double(gap) * pixel.x * (Double(gap) * pixel.x)
            if squared < best {
              best = squared
              midpoints.removeAll(keepingCapacity: true)
            }
            if squared == best { midpoints.append(((run.y + y) / 2, x, weight)) }
          }
        }
        step += 1
      }
    }
    return Self.central(midpoints, squared: best)
  }

  /// Index of the first run of every row `top...bottom`, and one more.
  private func rowStarts(_ top: Int, _ bottom: Int) -> [Int] {
    var starts = [Int](repeating: runs.count, count: bottom - top + 2)
    for index in runs.indices.reversed() { starts[runs[index].y - top] = index }
    for row in (0...(bottom - top)).reversed() where starts[row] == runs.count { starts[row] = starts[row + 1] }
    return starts
  }

  /// Columns between two runs, the column half way, and how many columns the runs share (1 if none).
  private static func gap(_ a: Run, _ b: Run) -> (gap: Int, x: Int, weight: Int) {
    let first = max(a.first, b.first)
    let last = min(a.last, b.last)
    return first <= last ? (0, (first + last) / 2, last - first + 1) : (first - last, (first + last) / 2, 1)
  }

  private static func central(_ points: [(y: Int, x: Int, weight: Int)], squared: Double) -> Approach? {
    let total = points.reduce(0) { $0 + $1.weight }
    guard total > 0 else { return nil }
    let y = points.reduce(0.0) { $0 + Double($1.y * $1.weight) } / Double(total)
    let x = points.reduce(0.0) { $0 + Double($1.x * $1.weight) } / Double(total)
    func distance(_ p: (y: Int, x: Int, weight: Int)) -> Double {
      (Double(p.y) - y) * (Double(p.y) - y) + (Double(p.x) - x) * (Double(p.x) - x)
    }
    guard let chosen = points.min(by: { distance($0) < distance($1) }) else { return nil }
    return Approach(squared: squared, pairs: total, y: chosen.y, x: chosen.x)
  }
}
