/// Counts of the 8-bit affinities over a contact, sparse: bins ascend and no count is 0.
public struct AffinityHistogram: Sendable, Equatable {
  public var bins: [UInt8]
  public var counts: [UInt32]
  public init(bins: [UInt8] = [], counts: [UInt32] = []) {
    self.bins = bins
    self.counts = counts
  }
  /// Number of affinities counted: the contact area in pixel pairs.
  public var total: Int { counts.reduce(0) { $0 + Int($1) } }
  /// Mean affinity, 0...1.
  public var mean: Double {
    var sum = 0
    var n = 0
    for (bin, count) in zip(bins, counts) {
      sum += Int(bin) * Int(count)
      n += Int(count)
    }
    return n == 0 ? 0 : Double(sum) / (255 * Double(n))
  }
}

/// An edge of the region graph. `a` < `b`; within one section both have its z, between sections `a` is in the lower one.
public struct RegionEdge: Sendable, Equatable {
  public var a: FragmentID
  public var b: FragmentID
  public var histogram: AffinityHistogram
  public init(a: FragmentID, b: FragmentID, histogram: AffinityHistogram) {
    self.a = a
    self.b = b
    self.histogram = histogram
  }
}

/// Everything agglomeration needs of one section: its fragments and the edges *of the section*: those within it and those to
/// the previous present section. Edges are sorted by (a, b).
public struct SectionGraph: Sendable, Equatable {
  public var z: SectionNumber
  /// Ascending.
  public var fragments: [FragmentID]
  /// Pixels of each fragment.
  public var areas: [Int]
  public var edges: [RegionEdge]
  public init(z: SectionNumber, fragments: [FragmentID], areas: [Int], edges: [RegionEdge]) {
    self.z = z
    self.fragments = fragments
    self.areas = areas
    self.edges = edges
  }
}

/// The decision on one edge of a section.
public struct EdgeDecision: Sendable, Equatable {
  public var accepted: Bool
  /// The score (0...1, 1 = surely one neuron) of the cluster pair at the moment the two ends were joined, or of the
  /// last state of the edge if they were not.
  public var score: Float
  public init(accepted: Bool, score: Float) {
    self.accepted = accepted
    self.score = score
  }
}
