import Domain

/// What was there before the commit.
extension FinalCommit {
  func takeProvisional() throws(DatabaseError) -> [SegmentDiff.Member] {
    try record.members(
      connection.execute(
        """
        with gone as (
          delete from fragment where volume_id = $1 and z = any($2::bigint[]) and state = 'provisional'
          returning fragment_id, segment_id
        )
        select g.fragment_id, g.segment_id from gone g
        join segment s on s.volume_id = $1 and s.segment_id = g.segment_id
        where s.state = 'provisional' order by g.fragment_id
        """, [.int(volume), sections]))
  }

  func existingFragments() throws(DatabaseError) -> [SegmentDiff.Member] {
    try record.members(
      connection.execute(
        """
        select f.fragment_id, s.live_id from fragment f
        join segment s on s.volume_id = f.volume_id and s.segment_id = f.segment_id
        where f.volume_id = $1 and f.z = any($2::bigint[]) order by f.fragment_id
        """, [.int(volume), sections]))
  }

  /// Moves the edges of the sections, and those of other sections that end in fragments that go, into the history.
  func takeReplaced(_ before: inout Before, _ operation: Int64) throws(DatabaseError) {
    var kept = Set<FragmentID>()
    for commit in commits { for (_, id) in commit.fragments { kept.insert(id) } }
    before.removed = before.existing.filter { !kept.contains($0.fragment) }
    var accepted = Set<[UInt64]>()
    for commit in commits {
      for edge in commit.edges where edge.accepted { accepted.insert([edge.a.rawValue, edge.b.rawValue]) }
    }
    let gone = try connection.execute(
      """
      with lost as (
        delete from region_edge e where volume_id = $1
          and (z = any($2::bigint[]) or fragment_a = any($3::bigint[]) or fragment_b = any($3::bigint[]))
        returning *
      ), kept as (
        insert into region_edge_history (volume_id, fragment_a, fragment_b, z, kind, contact_area_px, mean_affinity, score,
          accepted, operation_id, until_operation_id)
        select volume_id, fragment_a, fragment_b, z, kind, contact_area_px, mean_affinity, score, accepted, operation_id, $4
        from lost
      )
      select fragment_a, fragment_b from lost where accepted order by 1, 2
      """, [.int(volume), sections, .ints(before.removed.map(\.fragment.signed)), .int(operation)])
    for row in 0..<gone.count {
      let a = FragmentID(signed: try gone.int(row, 0))
      let b = FragmentID(signed: try gone.int(row, 1))
      if !accepted.contains([a.rawValue, b.rawValue]) { before.lostEdges.append(.init(a: a, b: b, score: 0)) }
    }
  }
}
