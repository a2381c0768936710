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

  /// The corrections that the edges may run against.
  private func obstacles(_ input: SegmentDiff.Input) throws(DatabaseError) -> [Obstacle] {
    if input.surviving.isEmpty && input.removed.isEmpty {
      let meetings = Meetings(input)
      if meetings.segments.isEmpty { return [] }
      if meetings.pairs <= Meetings.fewPairs { return try obstacles(among: meetings) }
    }
    let involved = Set((input.surviving + input.removed + input.contracted).map(\.segment))
    return try read(
      record.connection.execute(
        """
        select correction_id, origin_operation_id, fragment_a, fragment_b, segment_a, segment_b from correction
        where volume_id = $1 and until_operation_id is null and decision in ('separate', 'lock')
          and (segment_a = any($2::bigint[]) or segment_b = any($2::bigint[])) order by correction_id
        """, [.int(volume), .ints(involved.sorted().map(\.signed))]))
  }

  /// A segment that was kept apart from thousands of others costs nothing, unless one of them meets it here.
  private func obstacles(among meetings: Meetings) throws(DatabaseError) -> [Obstacle] {
    try read(
      record.connection.execute(
        """
        with here as materialized (select * from unnest($2::bigint[], $3::bigint[]) h (id, component))
        select c.correction_id, c.origin_operation_id, c.fragment_a, c.fragment_b, c.segment_a, c.segment_b
        from here a
        join here b on b.component = a.component and b.id <> a.id
        cross join lateral (
          select * from correction c where c.volume_id = $1 and c.segment_a = a.id and c.segment_b = b.id
            and c.decision = 'separate' and c.until_operation_id is null offset 0
        ) c
        union all
        select c.correction_id, c.origin_operation_id, c.fragment_a, c.fragment_b, c.segment_a, c.segment_b
        from here a
        cross join lateral (
          select * from correction c where c.volume_id = $1 and c.segment_a = a.id and c.decision = 'lock'
            and c.until_operation_id is null offset 0
        ) c
        order by correction_id
        """, [.int(volume), .ints(meetings.segments.map(\.signed)), .ints(meetings.components.map { Int64($0) })]))
  }

  private func read(_ rows: QueryResult) throws(DatabaseError) -> [Obstacle] {
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
