/// Counts of the 8-bit affinities over a contact, sparse: bins ascend and no count is 0.
public struct AffinityHistogram: Sendable, Equatable {
  public let bins: ArraySlice<UInt8>
  public let counts: ArraySlice<UInt32>
  public init(bins: ArraySlice<UInt8>, counts: ArraySlice<UInt32>) {
    self.bins = bins
    self.counts = counts
  }
  public init(bins: [UInt8] = [], counts: [UInt32] = []) { self.init(bins: bins[...], counts: counts[...]) }
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
  public let a: FragmentID
  public let b: FragmentID
  public let histogram: AffinityHistogram
  public init(a: FragmentID, b: FragmentID, histogram: AffinityHistogram) {
    self.a = a
    self.b = b
    self.histogram = histogram
  }
}

/// Edges of the region graph, their histograms end to end: a section's thousands need no memory of their own each.
public struct RegionEdges: Sendable, Equatable, RandomAccessCollection {
  public private(set) var a: [FragmentID] = []
  public private(set) var b: [FragmentID] = []
  /// Edge i has the entries start[i] ..< start[i + 1] of `bins` and `counts`.
  public private(set) var start = [0]
  public private(set) var bins: [UInt8] = []
  public private(set) var counts: [UInt32] = []
  /// Largest affinity of each edge, 0 without any: all that some scores look at, without a walk through the histograms.
  public private(set) var largest: [UInt8] = []

  public init() {}

  public init(_ edges: [RegionEdge]) {
    for edge in edges {
      precondition(edge.histogram.bins.count == edge.histogram.counts.count, "a histogram's lists differ")
      a.append(edge.a)
      b.append(edge.b)
      bins += edge.histogram.bins
      counts += edge.histogram.counts
      start.append(bins.count)
      largest.append(edge.histogram.bins.last ?? 0)
    }
  }

  /// nil if the lists do not fit each other.
  public init?(a: [FragmentID], b: [FragmentID], start: [Int], bins: [UInt8], counts: [UInt32]) {
    guard a.count == b.count, start.count == a.count + 1, start[0] == 0, start[a.count] == bins.count,
      bins.count == counts.count, zip(start, start.dropFirst()).allSatisfy({ $0 <= $1 })
    else { return nil }
    self.a = a
    self.b = b
    self.start = start
    self.bins = bins
    self.counts = counts
    largest = a.indices.map { start[$0] < start[$0 + 1] ? bins[start[$0 + 1] - 1] : 0 }
  }

  public mutating func append(contentsOf other: RegionEdges) {
    let entries = bins.count
    a += other.a
    b += other.b
    bins += other.bins
    counts += other.counts
    largest += other.largest
    start.reserveCapacity(a.count + 1)
    for end in other.start.dropFirst() { start.append(entries + end) }
  }

  public var startIndex: Int { 0 }
  public var endIndex: Int { a.count }
  public subscript(index: Int) -> RegionEdge {
    let entries = start[index]..<start[index + 1]
    return RegionEdge(
      a: a[index], b: b[index], histogram: AffinityHistogram(bins: bins[entries], counts: counts[entries]))
  }
}

/// Everything agglomeration needs of one section: its fragments and the edges *of the section*: those within it and those to
/// the previous present section. Edges are sorted by (a, b).
public struct SectionGraph: Sendable, Equatable {
  public let z: SectionNumber
  /// Ascending.
  public let fragments: [FragmentID]
  /// Pixels of each fragment.
  public let areas: [Int]
  public let edges: RegionEdges
  /// Shared by the copies of one graph. Another graph has another, even if it is equal.
  public let identity = Identity()

  public init(z: SectionNumber, fragments: [FragmentID], areas: [Int], edges: RegionEdges) {
    self.z = z
    self.fragments = fragments
    self.areas = areas
    self.edges = edges
  }

  public init(z: SectionNumber, fragments: [FragmentID], areas: [Int], edges: [RegionEdge]) {
    self.init(z: z, fragments: fragments, areas: areas, edges: RegionEdges(edges))
  }

  public static func == (one: Self, other: Self) -> Bool {
    one.z == other.z && one.fragments == other.fragments && one.areas == other.areas && one.edges == other.edges
  }

  /// Tells whether two graphs are copies of one, without looking at them.
  public final class Identity: Sendable, Equatable {
    public static func == (one: Identity, other: Identity) -> Bool { one === other }
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
