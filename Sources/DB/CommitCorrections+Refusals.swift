import Domain

extension CommitCorrections {
  /// A correction that edges may run against.
  struct Obstacle {
    var correction: Int64
    /// Operation of the person.
    var origin: Int64
    /// The fragment of a lock, or the first of two to be kept apart.
    var fragment: FragmentID
    /// The other one; nil for a lock.
    var other: FragmentID?
    /// Their segments before the commit; of a lock, the locked segment.
    var segments: (a: SegmentID, b: SegmentID)
  }

  /// Takes out of the input the edges that run against a correction. Edges are taken in turn: those that people joined,
  /// those that were there, then the commit's by falling score (ties: smaller ids first), and one that would put together
  /// what is to be apart is refused.
  /// - Parameter stored: how many edges at the end of the input were there before.
  mutating func enforce(_ input: inout SegmentDiff.Input, stored: Int) throws(DatabaseError) {
    let joined = Set(joins)
    for edge in input.edges { evaluated.insert(Pair(edge.a, edge.b)) }
    let obstacles = try obstacles(input)
    if obstacles.isEmpty { return }
    locks = obstacles.filter { $0.other == nil }
    var forest = ConstrainedForest(input, obstacles)
    let boundary = input.edges.count - stored
    let order = input.edges.indices.map { index in
      (
        rank: joined.contains(Pair(input.edges[index].a, input.edges[index].b)) ? 0 : index < boundary ? 2 : 1,
        index: index
      )
    }.sorted { left, right in
      let (l, r) = (input.edges[left.index], input.edges[right.index])
      return (left.rank, -l.score, l.a, l.b) < (right.rank, -r.score, r.a, r.b)
    }
    var out = Set<Int>()
    for entry in order {
      let edge = input.edges[entry.index]
      if let obstacle = forest.join(edge.a, edge.b) {
        out.insert(entry.index)
        refused.append((edge, obstacles[obstacle]))
      }
    }
    input.edges = input.edges.enumerated().filter { !out.contains($0.offset) }.map(\.element)
  }

  private func obstacles(_ input: SegmentDiff.Input) throws(DatabaseError) -> [Obstacle] {
    let involved = Set((input.surviving + input.removed + input.contracted).map(\.segment))
    let rows = try record.connection.execute(
      """
      select correction_id, origin_operation_id, fragment_a, fragment_b, segment_a, segment_b from correction
      where volume_id = $1 and until_operation_id is null and decision in ('separate', 'lock')
        and (segment_a = any($2::bigint[]) or segment_b = any($2::bigint[])) order by correction_id
      """, [.int(volume), .ints(involved.sorted().map(\.signed))])
    var obstacles: [Obstacle] = []
    for row in 0..<rows.count {
      let a = SegmentID(signed: try rows.int(row, 4))
      let b = try rows.optionalInt(row, 5).map { SegmentID(signed: $0) }
      obstacles.append(
        Obstacle(
          correction: try rows.int(row, 0), origin: try rows.int(row, 1),
          fragment: FragmentID(signed: try rows.int(row, 2)),
          other: try rows.optionalInt(row, 3).map { FragmentID(signed: $0) }, segments: (a, b ?? a)))
    }
    return obstacles
  }

  /// Records what was refused and is not any more, and brings corrections up to date with the segments.
  func finish(_ diff: SegmentDiff, _ input: SegmentDiff.Input) throws(DatabaseError) {
    try recordRefusals()
    let connection = record.connection
    let changed = Set((input.surviving + input.removed).map(\.segment)).union(diff.retired.map(\.segment))
    try connection.execute(
      "select place_corrections($1::integer, $2::bigint[], $3)",
      [.int(volume), .ints(changed.sorted().map(\.signed)), .int(operation)])
    for event in diff.events where event.kind == .split {
      guard let lock = locks.first(where: { $0.segments.a == event.segment }) else { continue }
      try connection.execute(
        """
        insert into conflict (volume_id, operation_id, kind, correction_id, fragment_a)
        values ($1, $2, 'locked_split', $3, $4)
        """,
        [.int(volume), .int(operation), .int(lock.correction), .int(optional: event.other?.signed)])
    }
    try connection.execute("select close_conflicts($1::integer, $2)", [.int(volume), .int(operation)])
  }

  private func recordRefusals() throws(DatabaseError) {
    let connection = record.connection
    let sections = Set(commits.map(\.z))
    let now = Set(refused.map { Pair($0.edge.a, $0.edge.b) })
    let ended = refusals.filter { pair, _ in
      !now.contains(pair) && (evaluated.contains(pair) || sections.contains(pair.b.z))
    }.map(\.value).sorted()
    try connection.execute(
      "update correction set until_operation_id = $2 where correction_id = any($1::bigint[])",
      [.ints(ended), .int(operation)])
    for (edge, obstacle) in refused where refusals[Pair(edge.a, edge.b)] == nil {
      let pair = Pair(edge.a, edge.b)
      try connection.execute(
        "select add_correction($1::integer, 'refuse', $2, $3, $4, $5)",
        [.int(volume), .int(pair.a.signed), .int(pair.b.signed), .int(obstacle.origin), .int(operation)])
      try connection.execute(
        """
        insert into conflict (volume_id, operation_id, kind, correction_id, fragment_a, fragment_b, score)
        values ($1, $2, 'refused', $3, $4, $5, $6)
        """,
        [
          .int(volume), .int(operation), .int(obstacle.correction), .int(pair.a.signed), .int(pair.b.signed),
          .double(Double(edge.score)),
        ])
    }
  }
}

/// Disjoint sets of fragments that grow only as far as the corrections allow.
struct ConstrainedForest {
  private var sets: UnionFind
  private var indexOfNode: [UInt64: Int] = [:]
  /// Node of a fragment whose segment is contracted.
  private var contracted: [FragmentID: UInt64] = [:]
  /// Ends of separations in each set, by representative: twice the obstacle's place, plus 1 for the second end.
  private var ends: [Int: Set<Int>] = [:]
  /// Segments of before in each set, by representative; kept only if one is locked.
  private var formers: [Int: Set<SegmentID>] = [:]
  private var lockOf: [SegmentID: Int] = [:]

  init(_ input: SegmentDiff.Input, _ obstacles: [CommitCorrections.Obstacle]) {
    for member in input.contracted { contracted[member.fragment] = member.segment.rawValue }
    let own = input.surviving.map(\.fragment) + input.added
    let nodes = own.map(\.rawValue) + input.contracted.map(\.segment.rawValue)
    for id in nodes where indexOfNode[id] == nil { indexOfNode[id] = indexOfNode.count }
    sets = UnionFind(count: indexOfNode.count)
    let ownIDs = Set(own)
    for (place, obstacle) in obstacles.enumerated() {
      guard let other = obstacle.other else {
        if lockOf[obstacle.segments.a] == nil { lockOf[obstacle.segments.a] = place }
        continue
      }
      for (side, end) in [(obstacle.fragment, obstacle.segments.a), (other, obstacle.segments.b)].enumerated() {
        let id = ownIDs.contains(end.0) ? end.0.rawValue : end.1.rawValue
        if let node = indexOfNode[id] { ends[node, default: []].insert(2 * place + side) }
      }
    }
    if lockOf.isEmpty { return }
    for member in input.surviving { insert(member.segment, at: member.fragment.rawValue) }
    for member in input.contracted { insert(member.segment, at: member.segment.rawValue) }
    // A new fragment that a lock was carried to stands for the locked segment.
    for obstacle in obstacles where obstacle.other == nil && ownIDs.contains(obstacle.fragment) {
      insert(obstacle.segments.a, at: obstacle.fragment.rawValue)
    }
  }

  private mutating func insert(_ former: SegmentID, at id: UInt64) {
    if let node = indexOfNode[id] { formers[node, default: []].insert(former) }
  }

  private func node(_ fragment: FragmentID) -> Int {
    guard let node = indexOfNode[contracted[fragment] ?? fragment.rawValue] else {
      preconditionFailure("edge to fragment \(fragment), which was not given")
    }
    return node
  }

  /// Joins the sets of two fragments.
  /// - Returns: nil, or the place of the obstacle because of which they stay apart.
  mutating func join(_ a: FragmentID, _ b: FragmentID) -> Int? {
    let (left, right) = (sets.find(node(a)), sets.find(node(b)))
    if left == right { return nil }
    let (leftEnds, rightEnds) = (ends[left] ?? [], ends[right] ?? [])
    let (few, many) = leftEnds.count < rightEnds.count ? (leftEnds, rightEnds) : (rightEnds, leftEnds)
    var obstacle = few.filter { many.contains($0 ^ 1) }.map { $0 / 2 }.min()
    let inside = (formers[left] ?? []).union(formers[right] ?? [])
    if obstacle == nil, inside.count > 1, !(formers[left] ?? []).isEmpty, !(formers[right] ?? []).isEmpty {
      obstacle = inside.compactMap { lockOf[$0] }.min()
    }
    if let obstacle { return obstacle }
    sets.union(left, right)
    let root = sets.find(left)
    for old in [left, right] where old != root {
      ends[old] = nil
      formers[old] = nil
    }
    ends[root] = leftEnds.union(rightEnds)
    if !inside.isEmpty { formers[root] = inside }
    return nil
  }
}
