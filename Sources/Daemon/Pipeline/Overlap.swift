import Domain

/// How two labelings of one section lie on each other.
struct Overlap {
  struct Count: Equatable {
    var a: UInt32
    var b: UInt32
    var pixels: Int
  }

  private var pixels: [UInt64: Int] = [:]

  /// Pixels of each pair of labels that are not 0, sorted by (a, b).
  /// - Precondition: the planes have one shape.
  static func count(_ a: Plane<UInt32>, _ b: Plane<UInt32>) -> [Count] {
    precondition(a.height == b.height && a.width == b.width)
    var overlap = Overlap()
    overlap.add(a.storage, b.storage)
    return overlap.counts
  }

  /// Adds the same pixels of both.
  /// - Precondition: as many.
  mutating func add(_ a: [UInt32], _ b: [UInt32]) {
    precondition(a.count == b.count)
    var last: UInt64 = 0
    var run = 0
    for index in a.indices {
      let key = UInt64(a[index]) << 32 | UInt64(b[index])
      if key == last {
        run += 1
      } else {
        if run > 0 { pixels[last, default: 0] += run }
        last = key
        run = 1
      }
    }
    if run > 0 { pixels[last, default: 0] += run }
  }

  /// Of each pair of labels that are not 0, sorted by (a, b).
  var counts: [Count] {
    pixels.keys.sorted().compactMap { key in
      let pair = Count(a: UInt32(key >> 32), b: UInt32(truncatingIfNeeded: key), pixels: pixels[key] ?? 0)
      return pair.a == 0 || pair.b == 0 ? nil : pair
    }
  }
}
