/// How many pixels each pair of a true and a found label shares, gathered section by section.
///
/// Both metrics of the field come from it: `variationOfInformation` and `adaptedRandError`.
public struct Contingency: Sendable, Equatable {
  struct Pair: Hashable, Comparable {
    var truth: UInt64
    var found: UInt64
    static func < (a: Self, b: Self) -> Bool { (a.truth, a.found) < (b.truth, b.found) }
  }

  private(set) var counts: [Pair: Int] = [:]
  /// Pixels added, whatever their labels.
  public private(set) var total = 0

  public init() {}

  /// Adds pixels; runs of equal pairs are counted together.
  /// - Precondition: the two have one length.
  public mutating func add<Truth, Found>(truth: [Truth], found: [Found])
  where Truth: FixedWidthInteger & UnsignedInteger, Found: FixedWidthInteger & UnsignedInteger {
    precondition(truth.count == found.count, "\(truth.count) true labels, \(found.count) found ones")
    truth.withUnsafeBufferPointer { truth in
      found.withUnsafeBufferPointer { found in
        var start = 0
        while start < truth.count {
          var end = start + 1
          while end < truth.count && truth[end] == truth[start] && found[end] == found[start] { end += 1 }
          counts[Pair(truth: UInt64(truth[start]), found: UInt64(found[start])), default: 0] += end - start
          start = end
        }
      }
    }
    total += truth.count
  }

  /// Adds one section.
  /// - Precondition: the two have one shape.
  public mutating func add<Truth, Found>(truth: Plane<Truth>, found: Plane<Found>)
  where Truth: FixedWidthInteger & UnsignedInteger, Found: FixedWidthInteger & UnsignedInteger {
    precondition(truth.height == found.height && truth.width == found.width, "the sections differ in shape")
    add(truth: truth.storage, found: found.storage)
  }

  /// Adds one section of 64-bit labels. The same as the general method, compiled for the one type that callers elsewhere use.
  /// - Precondition: the two have one shape.
  public mutating func addSection(truth: Plane<UInt64>, found: Plane<UInt64>) { add(truth: truth, found: found) }

  /// Adds all pixels of another table.
  public mutating func add(_ other: Contingency) {
    for (pair, count) in other.counts { counts[pair, default: 0] += count }
    total += other.total
  }

  /// The table with every found label replaced, as when fragments are joined to segments.
  public func relabelled(_ segment: (UInt64) -> UInt64) -> Contingency {
    var out = Contingency()
    out.total = total
    for (pair, count) in counts { out.counts[Pair(truth: pair.truth, found: segment(pair.found)), default: 0] += count }
    return out
  }

  /// Pixels whose true label is not ignored.
  public func scoredPixels(ignoring: Set<UInt64> = [0]) -> Int {
    counts.reduce(0) { $0 + (ignoring.contains($1.key.truth) ? 0 : $1.value) }
  }

  /// Pairs whose true label is not ignored, ascending, so that sums are the same in every process.
  func kept(ignoring: Set<UInt64>) -> [(pair: Pair, count: Int)] {
    counts.filter { !ignoring.contains($0.key.truth) }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }
}

/// Pixels of the kept part: by pair, by true label, by found label. Each ascends by label.
struct Margins {
  var pairs: [(pair: Contingency.Pair, count: Int)]
  var truth: [UInt64: Int] = [:]
  var found: [UInt64: Int] = [:]
  var total = 0

  init(_ pairs: [(pair: Contingency.Pair, count: Int)]) {
    self.pairs = pairs
    for (pair, count) in pairs {
      truth[pair.truth, default: 0] += count
      found[pair.found, default: 0] += count
      total += count
    }
  }
}
