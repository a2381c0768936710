/// Expected run length (Januszewski et al. 2018): how far one gets along a neuron, from a place drawn at random, within one
/// correct segment.
///
/// Each node is looked up in the segmentation. An edge is *omitted* if one of its nodes has no segment (0), *split* if they
/// have different ones, *merged* if they have the same segment and it is a merging one, else *correct*. A merging segment
/// covers more than one skeleton; a skeleton is covered if more than `tolerance` of its nodes lie in the segment. A run is
/// the length of all correct edges of one skeleton in one segment; the expected run length is the sum of squared runs over
/// the total length of all edges.
///
/// A node outside the sections is no error: its edges are left out, and counted.
public struct ExpectedRunLength: Sendable, Equatable {
  /// Nanometres.
  public private(set) var expected = 0.0
  /// What a segmentation without errors would have, nanometres.
  public private(set) var perfect = 0.0
  /// `expected / perfect`, 0...1; 0 if there is no edge to judge by.
  public var normalised: Double { perfect > 0 ? expected / perfect : 0 }
  /// Length of all edges judged, nanometres.
  public private(set) var totalLength = 0.0
  /// Length of the correct ones.
  public private(set) var correctLength = 0.0
  public private(set) var correctEdges = 0
  public private(set) var omittedEdges = 0
  public private(set) var splitEdges = 0
  public private(set) var mergedEdges = 0
  /// Segments that cover more than one skeleton, ascending.
  public private(set) var mergingSegments: [UInt64] = []
  /// Nodes outside the sections, and the edges left out because of them.
  public private(set) var outsideNodes = 0
  public private(set) var outsideEdges = 0

  /// - Parameters:
  ///   - segments: for each skeleton the segment of each node; 0 where there is none, nil outside the sections.
  ///   - tolerance: nodes of a further skeleton that a segment may hold before it counts as merging.
  /// - Precondition: there is an element for each node.
  public init(_ skeletons: [Skeleton], segments: [[UInt64?]], tolerance: Int = 0) {
    precondition(
      skeletons.count == segments.count && zip(skeletons, segments).allSatisfy { $0.nodes.count == $1.count })
    let merging = Self.merging(segments, tolerance)
    mergingSegments = merging.sorted()
    var squaredRuns = 0.0
    var squaredLengths = 0.0
    for (skeleton, found) in zip(skeletons, segments) {
      outsideNodes += found.count { $0 == nil }
      var length = 0.0
      var runs: [UInt64: Double] = [:]
      for edge in skeleton.edges {
        guard let from = found[edge.from], let to = found[edge.to] else {
          outsideEdges += 1
          continue
        }
        let step = skeleton.nodes[edge.from].distance(to: skeleton.nodes[edge.to])
        length += step
        if judge(from, to, merging) { runs[from, default: 0] += step }
      }
      totalLength += length
      squaredLengths += length * length
      // Ascending, so that the sum is the same in every process.
      for run in runs.sorted(by: { $0.key < $1.key }) {
        correctLength += run.value
        squaredRuns += run.value * run.value
      }
    }
    guard totalLength > 0 else { return }
    expected = squaredRuns / totalLength
    perfect = squaredLengths / totalLength
  }

  /// Counts an edge; whether it is correct.
  private mutating func judge(_ from: UInt64, _ to: UInt64, _ merging: Set<UInt64>) -> Bool {
    if from == 0 || to == 0 {
      omittedEdges += 1
    } else if from != to {
      splitEdges += 1
    } else if merging.contains(from) {
      mergedEdges += 1
    } else {
      correctEdges += 1
      return true
    }
    return false
  }

  private static func merging(_ segments: [[UInt64?]], _ tolerance: Int) -> Set<UInt64> {
    var covered: [UInt64: Int] = [:]
    for found in segments {
      var nodes: [UInt64: Int] = [:]
      for segment in found {
        if let segment, segment != 0 { nodes[segment, default: 0] += 1 }
      }
      for (segment, count) in nodes where count > tolerance { covered[segment, default: 0] += 1 }
    }
    return Set(covered.filter { $0.value > 1 }.keys)
  }
}
