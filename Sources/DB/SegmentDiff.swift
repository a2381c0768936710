public import Domain

/// What a batch of final sections does to the segments: the components over accepted edges, before and after.
///
/// Segments that only gain something are *contracted*: one node stands for the whole segment, so the work does not
/// depend on its size. Segments that lose fragments or edges are given in full (`surviving`, `removed`).
/// Pure: no database, and the result depends only on the sets given, not on their order.
public struct SegmentDiff: Sendable, Equatable {
  /// A fragment that exists before the batch, and its live segment.
  public struct Member: Sendable, Equatable {
    public var fragment: FragmentID
    public var segment: SegmentID
    public init(fragment: FragmentID, segment: SegmentID) {
      self.fragment = fragment
      self.segment = segment
    }
  }

  /// An accepted edge.
  public struct Edge: Sendable, Equatable {
    public var a: FragmentID
    public var b: FragmentID
    public var score: Float
    public init(a: FragmentID, b: FragmentID, score: Float) {
      self.a = a
      self.b = b
      self.score = score
    }
  }

  public struct Input: Sendable {
    /// Fragments that stay, of segments that lose something.
    public var surviving: [Member] = []
    /// Fragments that go; their segments are among those of `surviving`, or vanish.
    public var removed: [Member] = []
    /// Fragments that stay, of segments that lose nothing, and that an edge refers to.
    public var contracted: [Member] = []
    public var added: [FragmentID] = []
    /// Accepted edges: all of the batch, and the stored ones between `surviving`. Ends are among the above.
    public var edges: [Edge] = []
    /// Section blamed for events that have none of their own: the lowest of the batch.
    public var z: SectionNumber
    public init(z: SectionNumber) { self.z = z }
  }

  /// Segment of each of `Input.surviving`.
  public private(set) var survivingSegments: [SegmentID] = []
  /// Segment of each of `Input.added`.
  public private(set) var addedSegments: [SegmentID] = []
  /// Segments that were not live before and are now, ascending.
  public private(set) var appeared: [SegmentID] = []
  /// Segments that were live before and are not now, ascending, with what they became part of.
  public private(set) var retired: [Retirement] = []
  /// In the order in which they are to be recorded.
  public private(set) var events: [LineageEvent] = []
  /// Segment of every node, for `segment(ofNode:)`.
  private var nodes: [UInt64] = []
  private var segmentOfNode: [SegmentID] = []

  public struct Retirement: Sendable, Equatable {
    public var segment: SegmentID
    public var successor: SegmentID?
    public init(segment: SegmentID, successor: SegmentID?) {
      self.segment = segment
      self.successor = successor
    }
  }

  public init(_ input: Input) {
    var builder = SegmentDiffBuilder(input)
    builder.build()
    nodes = builder.nodes
    segmentOfNode = builder.component.map { SegmentID(rawValue: builder.nodes[$0]) }
    survivingSegments = builder.survivingNodes.map { segmentOfNode[$0] }
    addedSegments = builder.addedNodes.map { segmentOfNode[$0] }
    appeared = builder.appeared
    retired = builder.retired
    events = builder.events
  }

  /// The segment that now holds a fragment of `surviving` or `added`, or a contracted segment by its id.
  public func segment(ofNode id: UInt64) -> SegmentID? {
    var low = 0
    var high = nodes.count
    while low < high {
      let middle = (low + high) / 2
      if nodes[middle] < id { low = middle + 1 } else { high = middle }
    }
    return low < nodes.count && nodes[low] == id ? segmentOfNode[low] : nil
  }
}

/// A change of a segment, before it has a number.
public struct LineageEvent: Sendable, Equatable {
  public enum Kind: String, Sendable { case born, grown, merged, split, revised, settled }
  public var kind: Kind
  public var segment: SegmentID
  public var other: SegmentID?
  public var z: SectionNumber
  /// The edge that joined the two, if one did.
  public var cause: SegmentDiff.Edge?
  public init(
    _ kind: Kind, _ segment: SegmentID, other: SegmentID? = nil, z: SectionNumber, cause: SegmentDiff.Edge? = nil
  ) {
    self.kind = kind
    self.segment = segment
    self.other = other
    self.z = z
    self.cause = cause
  }
}
