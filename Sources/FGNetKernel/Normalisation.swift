/// "clipped-mean-std" of docs/model.md: mean and standard deviation of a section's intensities, clipped to their 0.5 %
/// and 99.5 % quantiles (linear between ranks, as numpy has it). Sums in double and in raster order: the same on every
/// machine.
struct Normalisation: Equatable {
  let mean: Double
  let deviation: Double

  /// Goes over all pixels of a section in raster order, some at a time.
  typealias Passes = ((UnsafeBufferPointer<Float>) -> Void) throws -> Void

  /// - Parameter pixels: not empty. Nil when one is NaN or infinite.
  init?(_ pixels: [Float]) {
    let made = try? Self.read { look in pixels.withUnsafeBufferPointer(look) }
    guard let made else { return nil }
    self = made
  }

  /// Of a section that is read in parts. Nil when a pixel is NaN or infinite.
  /// - Parameter passes: the same pixels each time; not none.
  /// - Throws: what `passes` throws.
  static func read(_ passes: Passes) throws -> Normalisation? {
    guard let ranks = try Ranks(passes) else { return nil }
    let quantiles = try ranks.quantiles([0.005, 0.995], passes)
    let (low, high) = (quantiles[0], quantiles[1])
    var sum = 0.0
    try passes { pixels in
      for pixel in pixels { sum += min(max(Double(pixel), low), high) }
    }
    let mean = sum / Double(ranks.count)
    var squares = 0.0
    try passes { pixels in
      for pixel in pixels {
        let distance = min(max(Double(pixel), low), high) - mean
        squares += distance * distance
      }
    }
    return Normalisation(mean: mean, deviation: (squares / Double(ranks.count)).squareRoot())
  }

  private init(mean: Double, deviation: Double) {
    self.mean = mean
    self.deviation = deviation
  }

  /// n = (x - mean) * scale + offset in one step per pixel.
  var scale: Float { Float(1 / max(deviation, 1e-4)) }
}

/// Order statistics of many numbers, by counting: the high 16 bits of each first, then the low 16 bits of those that
/// share the high bits with a rank sought.
private struct Ranks {
  let count: Int
  private let counts: [Int]

  /// Nil when a number is NaN or infinite.
  init?(_ passes: Normalisation.Passes) throws {
    var counts = [Int](repeating: 0, count: 1 << 16)
    var finite = true
    var total = 0
    try passes { pixels in
      total += pixels.count
      counts.withUnsafeMutableBufferPointer { counts in
        for pixel in pixels {
          if !pixel.isFinite { finite = false }
          counts[Int(Self.ordered(pixel) >> 16)] += 1
        }
      }
    }
    precondition(total > 0, "no numbers to rank")
    guard finite else { return nil }
    self.counts = counts
    count = total
  }

  /// Bits that ascend as the numbers do.
  private static func ordered(_ value: Float) -> UInt32 {
    let bits = value.bitPattern
    return bits >> 31 == 0 ? bits | 0x8000_0000 : ~bits
  }

  private static func number(_ ordered: UInt32) -> Double {
    Double(Float(bitPattern: ordered >> 31 == 1 ? ordered & 0x7FFF_FFFF : ~ordered))
  }

  /// Linear between ranks; one pass for all.
  func quantiles(_ shares: [Double], _ passes: Normalisation.Passes) throws -> [Double] {
    let places = shares.map { $0 * Double(count - 1) }
    let ranks = places.flatMap { [Int($0), min(Int($0) + 1, count - 1)] }
    let elements = try elements(ranks, passes)
    return places.indices.map { i in
      let (lower, upper) = (elements[2 * i], elements[2 * i + 1])
      return lower + (upper - lower) * (places[i] - places[i].rounded(.down))
    }
  }

  /// The elements of these ranks in ascending order.
  private func elements(_ ranks: [Int], _ passes: Normalisation.Passes) throws -> [Double] {
    let found = ranks.map(high)
    let groups = Set(found.map(\.high)).sorted()
    // Which table counts the low bits of numbers with these high bits.
    var table = [Int](repeating: -1, count: 1 << 16)
    for (index, high) in groups.enumerated() { table[high] = index << 16 }
    var low = [Int](repeating: 0, count: groups.count << 16)
    try passes { pixels in
      low.withUnsafeMutableBufferPointer { low in
        table.withUnsafeBufferPointer { table in
          for pixel in pixels {
            let bits = Self.ordered(pixel)
            let start = table[Int(bits >> 16)]
            if start >= 0 { low[start + Int(bits & 0xFFFF)] += 1 }
          }
        }
      }
    }
    return zip(ranks, found).map { rank, found in
      var before = found.before
      var last = 0
      while before + low[table[found.high] + last] <= rank {
        before += low[table[found.high] + last]
        last += 1
      }
      return Self.number(UInt32(found.high) << 16 | UInt32(last))
    }
  }

  /// The high bits of the element of a rank, and how many elements have lower ones.
  private func high(_ rank: Int) -> (high: Int, before: Int) {
    var before = 0
    var high = 0
    while before + counts[high] <= rank {
      before += counts[high]
      high += 1
    }
    return (high, before)
  }
}

/// The place in 0 ..< size that reflection without repeating the border gives for any place; 0 when there is one only.
func reflected(_ place: Int, _ size: Int) -> Int {
  guard size > 1 else { return 0 }
  let period = 2 * (size - 1)
  let folded = ((place % period) + period) % period
  return folded < size ? folded : period - folded
}
