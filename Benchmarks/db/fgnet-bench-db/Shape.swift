import Domain

/// What the made-up history is like.
struct Shape {
  /// Sections.
  var sections: Int
  /// Fragments of each section.
  var columns: Int
  /// Operations of people.
  var edits: Int
  /// Mean number of sections of a piece of a neurite; share of the pieces that the daemon joins to nothing; mean number of
  /// sections until it joins one of the others. With these births, merges and growth for each fragment are about those of real
  /// sections (docs/performance.md).
  let meanLength = 20.0
  let orphans = 0.3
  let meanDelay = 0.7
}

/// Columns of cells in bundles; see `made_b_structure.sql`.
struct Bundles {
  /// First column of each column's bundle.
  private(set) var spine: [Int] = []
  /// Probability that a column's bundle ends at a section.
  private(set) var cut: [Double] = []

  /// The largest bundle has a hundredth of all columns, the n-th the square root of n times fewer.
  init(columns: Int) {
    let largest = max(20, columns / 100)
    var rank = 1
    while spine.count < columns {
      let size = min(max(1, Int(Double(largest) / Double(rank).squareRoot())), columns - spine.count)
      let ending = size * 5 >= largest * 2 ? 0 : 1 / Double(20 + 4 * size)
      let first = spine.count
      spine += Array(repeating: first, count: size)
      cut += Array(repeating: ending, count: size)
      rank += 1
    }
  }
}

/// SplitMix64: the same numbers for the same seed everywhere.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
