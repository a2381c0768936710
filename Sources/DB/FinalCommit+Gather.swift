import Domain

/// What the diff is computed from.
extension FinalCommit {
  /// - Returns: how many edges at the end of the input were there before the commit.
  func gather(
    _ input: inout SegmentDiff.Input, _ before: Before, _ corrections: CommitCorrections?
  ) throws(DatabaseError) -> Int {
    var segmentOf: [FragmentID: SegmentID] = [:]
    for member in before.existing { segmentOf[member.fragment] = member.segment }
    var batch = Set<FragmentID>()
    for commit in commits {
      for (_, id) in commit.fragments {
        if segmentOf[id] == nil { input.added.append(id) }
        guard batch.insert(id).inserted else { throw .conflict("fragment \(id) is given twice in one commit") }
      }
      for edge in commit.edges where edge.accepted && corrections?.separated.contains(.init(edge.a, edge.b)) != true {
        input.edges.append(.init(a: edge.a, b: edge.b, score: edge.score))
      }
    }
    let joins = corrections?.joins ?? []
    for pair in joins { input.edges.append(.init(a: pair.a, b: pair.b, score: 1)) }
    try lookUp(outsideEnds(batch, before, joins), &segmentOf)

    var losing = Set(before.removed.map(\.segment))
    for edge in before.lostEdges { for end in [edge.a, edge.b] { if let s = segmentOf[end] { losing.insert(s) } } }
    let removed = Set(before.removed.map(\.fragment))
    input.removed = before.removed
    var stored: [SegmentDiff.Edge] = []
    if !losing.isEmpty {
      let expanded = losing.sorted()
      input.surviving = try members(of: expanded).filter { !removed.contains($0.fragment) }
      stored = try storedEdges(of: expanded, corrected: corrections != nil)
      let known = Set(joins)
      if !known.isEmpty { stored.removeAll { known.contains(.init($0.a, $0.b)) } }
      input.edges += stored
    }
    var contracted: [SegmentDiff.Member] = []
    for edge in input.edges {
      for end in [edge.a, edge.b] {
        if let segment = segmentOf[end], !losing.contains(segment), !removed.contains(end) {
          contracted.append(.init(fragment: end, segment: segment))
        }
      }
    }
    input.contracted = contracted
    return stored.count
  }

  /// Ends of edges that are neither in the commit nor among the sections' existing fragments.
  private func outsideEnds(
    _ batch: Set<FragmentID>, _ before: Before, _ joins: [CommitCorrections.Pair]
  ) throws(DatabaseError) -> Set<FragmentID> {
    var inside = batch
    for member in before.existing { inside.insert(member.fragment) }
    let removed = Set(before.removed.map(\.fragment))
    var outside = Set<FragmentID>()
    for commit in commits {
      for edge in commit.edges {
        guard batch.contains(edge.b), !removed.contains(edge.a) else {
          throw .conflict("edge \(edge.a) - \(edge.b) of section \(commit.z) ends in a fragment that is not there")
        }
        if !inside.contains(edge.a) { outside.insert(edge.a) }
      }
    }
    for edge in before.lostEdges { for end in [edge.a, edge.b] where !inside.contains(end) { outside.insert(end) } }
    for pair in joins { for end in [pair.a, pair.b] where !inside.contains(end) { outside.insert(end) } }
    return outside
  }

  private func lookUp(
    _ fragments: Set<FragmentID>, _ segmentOf: inout [FragmentID: SegmentID]
  ) throws(DatabaseError) {
    if fragments.isEmpty { return }
    // One look-up by both keys for each fragment. As a plain join, the planner of a table without statistics (a new
    // volume) goes through all segments there are, so that commits took longer with every section.
    let found = try record.members(
      connection.execute(
        """
        select found.fragment_id, found.live_id from unnest($2::bigint[]) wanted (id)
        cross join lateral (
          select f.fragment_id, s.live_id from fragment f
          join segment s on s.volume_id = f.volume_id and s.segment_id = f.segment_id
          where f.volume_id = $1 and f.fragment_id = wanted.id and f.state = 'final' limit 1
        ) found
        """, [.int(volume), .ints(fragments.sorted().map(\.signed))]))
    guard found.count == fragments.count else {
      throw .conflict("\(fragments.count - found.count) edges' fragments of other sections are not final")
    }
    for member in found { segmentOf[member.fragment] = member.segment }
  }

  private func members(of segments: [SegmentID]) throws(DatabaseError) -> [SegmentDiff.Member] {
    try record.members(
      connection.execute(
        """
        select f.fragment_id, s.live_id from segment s
        join fragment f on f.volume_id = s.volume_id and f.segment_id = s.segment_id
        where s.volume_id = $1 and s.live_id = any($2::bigint[]) and f.state = 'final' order by f.fragment_id
        """, [.int(volume), .ints(segments.map(\.signed))]))
  }

  private func storedEdges(of segments: [SegmentID], corrected: Bool) throws(DatabaseError) -> [SegmentDiff.Edge] {
    let result = try connection.execute(
      corrected
        ? """
        select e.fragment_a, e.fragment_b, e.score from segment s
        join fragment f on f.volume_id = s.volume_id and f.segment_id = s.segment_id and f.state = 'final'
        cross join lateral (
          select e.fragment_a, e.fragment_b, e.score from effective_edge e
          where e.volume_id = f.volume_id and e.fragment_a = f.fragment_id offset 0
        ) e
        where s.volume_id = $1 and s.live_id = any($2::bigint[]) order by 1, 2
        """
        : """
        select e.fragment_a, e.fragment_b, e.score from segment s
        join fragment f on f.volume_id = s.volume_id and f.segment_id = s.segment_id
        join region_edge e on e.volume_id = f.volume_id and e.fragment_a = f.fragment_id
        where s.volume_id = $1 and s.live_id = any($2::bigint[]) and e.accepted order by 1, 2
        """, [.int(volume), .ints(segments.map(\.signed))])
    var edges: [SegmentDiff.Edge] = []
    for row in 0..<result.count {
      edges.append(
        .init(
          a: FragmentID(signed: try result.int(row, 0)), b: FragmentID(signed: try result.int(row, 1)),
          score: Float(try result.double(row, 2))))
    }
    return edges
  }
}
