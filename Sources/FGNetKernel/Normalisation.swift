/// "clipped-mean-std" of docs/model.md: mean and standard deviation of a section's intensities, clipped to their 0.5 %
/// and 99.5 % quantiles (linear between ranks, as numpy has it). Sums in double and in raster order: the same on every
/// machine.
struct Normalisation: Equatable {
  let mean: Double
  let deviation: Double

  /// - Parameter pixels: not empty. Nil when one is NaN or infinite.
  init?(_ pixels: [Float]) {
    precondition(!pixels.isEmpty)
    let ranks = Ranks(pixels)
    guard let ranks else { return nil }
    let (low, high) = (ranks.quantile(0.005), ranks.quantile(0.995))
    let sums = pixels.withUnsafeBufferPointer { pixels -> (Double, Double) in
      var sum = 0.0
      for pixel in pixels { sum += min(max(Double(pixel), low), high) }
      let mean = sum / Double(pixels.count)
      var squares = 0.0
      for pixel in pixels {
        let distance = min(max(Double(pixel), low), high) - mean
        squares += distance * distance
      }
      return (mean, squares)
    }
    mean = sums.0
    deviation = (sums.1 / Double(pixels.count)).squareRoot()
  }

  /// n = (x - mean) * scale + offset in one step per pixel.
  var scale: Float { Float(1 / max(deviation, 1e-4)) }
}

/// Order statistics of many numbers, by counting: the high 16 bits of each first, then the low 16 bits of those that
/// share the high bits with the rank sought.
private struct Ranks {
  private let pixels: [Float]
  private let counts: [Int]

  init?(_ pixels: [Float]) {
    self.pixels = pixels
    var counts = [Int](repeating: 0, count: 1 << 16)
    let finite = pixels.withUnsafeBufferPointer { pixels in
      counts.withUnsafeMutableBufferPointer { counts in
        for pixel in pixels {
          guard pixel.isFinite else { return false }
          counts[Int(Self.ordered(pixel) >> 16)] += 1
        }
        return true
      }
    }
    guard finite else { return nil }
    self.counts = counts
  }

  /// Bits that ascend as the numbers do.
  private static func ordered(_ value: Float) -> UInt32 {
    let bits = value.bitPattern
    return bits >> 31 == 0 ? bits | 0x8000_0000 : ~bits
  }

  private static func number(_ ordered: UInt32) -> Float {
    Float(bitPattern: ordered >> 31 == 1 ? ordered & 0x7FFF_FFFF : ~ordered)
  }

  func quantile(_ q: Double) -> Double {
    let place = q * Double(pixels.count - 1)
    let rank = Int(place.rounded(.down))
    let lower = element(rank)
    guard rank + 1 < pixels.count else { return lower }
    return lower + (element(rank + 1) - lower) * (place - Double(rank))
  }

  /// The element of this rank in ascending order.
  private func element(_ rank: Int) -> Double {
    var before = 0
    var high = 0
    while before + counts[high] <= rank {
      before += counts[high]
      high += 1
    }
    var low = [Int](repeating: 0, count: 1 << 16)
    for pixel in pixels {
      let bits = Self.ordered(pixel)
      if Int(bits >> 16) == high { low[Int(bits & 0xFFFF)] += 1 }
    }
    var last = 0
    while before + low[last] <= rank {
      before += low[last]
      last += 1
    }
    return Double(Self.number(UInt32(high) << 16 | UInt32(last)))
  }
}

/// The place in 0 ..< size that reflection without repeating the border gives for any place; 0 when there is one only.
func reflected(_ place: Int, _ size: Int) -> Int {
  guard size > 1 else { return 0 }
  let period = 2 * (size - 1)
  let folded = ((place % period) + period) % period
  return folded < size ? folded : period - folded
}
