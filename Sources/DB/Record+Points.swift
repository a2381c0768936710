public import Domain

/// A fragment as a point of its segment's tree.
public struct SegmentPoint: Sendable, Equatable {
  public var fragment: FragmentID
  /// Section, and the mean row and column of its pixels.
  public var z: SectionNumber
  public var y: Double
  public var x: Double
  /// Pixels.
  public var area: Int64
  /// The next fragment on the way to the segment's first one; nil for that one, and where no edge leads on.
  public var parent: FragmentID?
}

extension Record {
  /// Live segments of a volume that have final fragments, in ascending order.
  /// - Parameter operation: those after that operation; nil for now.
  public func liveSegments(volume: Int64, asOf operation: Int64? = nil) throws(DatabaseError) -> [SegmentID] {
    let rows =
      if let operation {
        try connection.execute(
          "select distinct segment_id from membership_as_of($1::integer, $2) order by segment_id",
          [.int(volume), .int(operation)])
      } else {
        try connection.execute(
          "select segment_id from segment where volume_id = $1 and state = 'live' order by segment_id", [.int(volume)])
      }
    var segments: [SegmentID] = []
    for row in 0..<rows.count { segments.append(SegmentID(signed: try rows.int(row, 0))) }
    return segments
  }

  /// The final fragments of a segment as a tree: of the edges that hold it together those with the highest scores, rooted at its
  /// first fragment. In the order of their ids.
  /// - Parameter operation: as it was after that operation; nil for now.
  /// - Returns: nothing if it is not live.
  public func points(
    volume: Int64, segment: SegmentID, asOf operation: Int64? = nil
  ) throws(DatabaseError) -> [SegmentPoint] {
    let found = try connection.execute(
      """
      select f.fragment_id, f.centroid_y, f.centroid_x, f.area_px
      from fragments_as_of($1::integer, $3::bigint, $2) f where f.final order by f.fragment_id
      """, [.int(volume), .int(segment.signed), .int(optional: operation)])
    var points: [SegmentPoint] = []
    var places: [Int64: Int] = [:]
    for row in 0..<found.count {
      let id = FragmentID(signed: try found.int(row, 0))
      places[id.signed] = row
      points.append(
        SegmentPoint(
          fragment: id, z: id.z, y: try found.double(row, 1), x: try found.double(row, 2), area: try found.int(row, 3)))
    }
    let edges = try edges(volume, leaving: points.map(\.fragment.signed), operation)
    var sets = UnionFind(count: points.count)
    var near = [[Int]](repeating: [], count: points.count)
    for row in 0..<edges.count {
      guard let a = places[try edges.int(row, 0)], let b = places[try edges.int(row, 1)], sets.union(a, b) else {
        continue
      }
      near[a].append(b)
      near[b].append(a)
    }
    for root in points.indices where sets.find(root) == root {
      var reached = [root]
      while let place = reached.popLast() {
        for next in near[place] where next != root && points[next].parent == nil {
          points[next].parent = points[place].fragment
          reached.append(next)
        }
      }
    }
    return points
  }

  /// The edges that hold segments together and leave some fragments, the surest first.
  private func edges(
    _ volume: Int64, leaving fragments: [Int64], _ operation: Int64?
  ) throws(DatabaseError) -> QueryResult {
    if let operation {
      return try connection.execute(
        """
        select e.fragment_a, e.fragment_b from edges_as_of($1::integer, $2::bigint[], $3) e
        order by e.corrected desc, e.score desc, e.fragment_a, e.fragment_b
        """, [.int(volume), .ints(fragments), .int(operation)])
    }
    // One look-up for each fragment, whatever the planner knows of the tables.
    return try connection.execute(
      """
      select e.fragment_a, e.fragment_b from unnest($2::bigint[]) n (id)
      cross join lateral (
        select * from effective_edge e where e.volume_id = $1 and e.fragment_a = n.id offset 0
      ) e
      order by e.corrected desc, e.score desc, e.fragment_a, e.fragment_b
      """, [.int(volume), .ints(fragments)])
  }
}
