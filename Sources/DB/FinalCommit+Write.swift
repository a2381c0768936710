import Domain

/// The rows that the commit writes.
extension FinalCommit {
  func apply(
    _ diff: SegmentDiff, _ input: SegmentDiff.Input, _ before: Before, _ operation: Int64
  ) throws(DatabaseError) {
    try connection.execute(
      """
      insert into segment (volume_id, segment_id, state, born_operation_id)
      select $1, id, 'live', $3 from unnest($2::bigint[]) id
      on conflict (volume_id, segment_id) do update
      set state = 'live', successor_id = null, retired_operation_id = null,
        born_operation_id = case segment.state when 'provisional' then $3 else segment.born_operation_id end
      """, [.int(volume), .ints(diff.appeared.map(\.signed)), .int(operation)])
    if !before.existing.isEmpty { try archive(diff, input, operation) }
    try retire(diff, input, operation)
    try writeFragments(diff, before, operation)
    try writeEdges(operation)
  }

  /// Moves fragments that go into the history, and those that change their segment into the new one.
  private func archive(
    _ diff: SegmentDiff, _ input: SegmentDiff.Input, _ operation: Int64
  ) throws(DatabaseError) {
    let columns = """
      volume_id, fragment_id, z, label, area_px, min_y, min_x, max_y, max_x, centroid_y, centroid_x, segment_id,
        operation_id
      """
    try connection.execute(
      """
      with gone as (delete from fragment where volume_id = $1 and fragment_id = any($2::bigint[]) returning *)
      insert into fragment_history (\(columns), until_operation_id, reason)
      select \(columns), $3, 'superseded' from gone
      """, [.int(volume), .ints(input.removed.map(\.fragment.signed)), .int(operation)])
    try connection.execute(
      """
      with change as (
        select f.*, c.new_segment from unnest($2::bigint[], $3::bigint[]) c (id, new_segment)
        join fragment f on f.volume_id = $1 and f.fragment_id = c.id
        where f.segment_id <> c.new_segment
      ), kept as (
        insert into fragment_history (\(columns), until_operation_id, reason)
        select \(columns), $4, 'reassigned' from change
      )
      update fragment f set segment_id = c.new_segment, operation_id = $4
      from change c where f.volume_id = $1 and f.fragment_id = c.fragment_id
      """,
      [
        .int(volume), .ints(input.surviving.map(\.fragment.signed)), .ints(diff.survivingSegments.map(\.signed)),
        .int(operation),
      ])
  }

  /// Retires segments, and lets every retired one point at a live one again.
  private func retire(
    _ diff: SegmentDiff, _ input: SegmentDiff.Input, _ operation: Int64
  ) throws(DatabaseError) {
    try redirect(diff, input)
    for retired in diff.retired where retired.successor == nil {
      try connection.execute(
        """
        update segment set state = 'retired', retired_operation_id = $3 where volume_id = $1 and segment_id = $2
        """, [.int(volume), .int(retired.segment.signed), .int(operation)])
    }
    let joined = diff.retired.filter { $0.successor != nil }
    if joined.isEmpty { return }
    let olds = Parameter.ints(joined.map(\.segment.signed))
    let news = Parameter.ints(joined.compactMap(\.successor).map(\.signed))
    try connection.execute(
      """
      update segment s set state = 'retired', successor_id = r.new, retired_operation_id = $4
      from unnest($2::bigint[], $3::bigint[]) r (old, new) where s.volume_id = $1 and s.segment_id = r.old
      """, [.int(volume), olds, news, .int(operation)])
    try connection.execute(
      """
      update segment s set successor_id = r.new
      from unnest($2::bigint[], $3::bigint[]) r (old, new) where s.volume_id = $1 and s.successor_id = r.old
      """, [.int(volume), olds, news])
  }

  /// Segments retired earlier into one that lost something follow their own first fragment, where it still exists.
  private func redirect(_ diff: SegmentDiff, _ input: SegmentDiff.Input) throws(DatabaseError) {
    let losing = Set(input.surviving.map(\.segment) + input.removed.map(\.segment)).sorted()
    if losing.isEmpty { return }
    let earlier = try record.members(
      connection.execute(
        """
        select segment_id, successor_id from segment where volume_id = $1 and successor_id = any($2::bigint[])
        order by segment_id
        """, [.int(volume), .ints(losing.map(\.signed))]))
    var heirs: [SegmentID: SegmentID] = [:]
    for retired in diff.retired { heirs[retired.segment] = retired.successor ?? retired.segment }
    var olds: [Int64] = []
    var news: [Int64] = []
    let vanished = Set(diff.retired.filter { $0.successor == nil }.map(\.segment))
    for member in earlier {
      let now = diff.segment(ofNode: member.fragment.rawValue) ?? heirs[member.segment] ?? member.segment
      guard now != member.segment || vanished.contains(now) else { continue }
      olds.append(member.fragment.signed)
      news.append(vanished.contains(now) ? 0 : now.signed)
    }
    if olds.isEmpty { return }
    try connection.execute(
      """
      update segment s set successor_id = nullif(r.new, 0)
      from unnest($2::bigint[], $3::bigint[]) r (old, new) where s.volume_id = $1 and s.segment_id = r.old
      """, [.int(volume), .ints(olds), .ints(news)])
  }

  private func writeFragments(_ diff: SegmentDiff, _ before: Before, _ operation: Int64) throws(DatabaseError) {
    let existing = Set(before.existing.map(\.fragment))
    var rows: [(commit: Int, fragment: Int, segment: SegmentID)] = []
    for (index, commit) in commits.enumerated() {
      for (place, fragment) in commit.fragments.enumerated() where !existing.contains(fragment.id) {
        rows.append((index, place, diff.addedSegments[rows.count]))
      }
    }
    try record.copyFragments(rows, of: commits, volume: volume, state: "final", operation: operation)
  }

  private func writeEdges(_ operation: Int64) throws(DatabaseError) {
    var copy = CopyBuilder(columns: 10, expectedRows: commits.reduce(0) { $0 + $1.edges.count })
    for commit in commits {
      // In the primary key's order, in which its index takes them fastest.
      let ends = commit.edges.map { (later: $0.b.rawValue, earlier: $0.a.rawValue) }
      for index in ends.indices.sorted(by: { ends[$0] < ends[$1] }) {
        let edge = commit.edges[index]
        copy.row()
        copy.int4(Int32(volume))
        copy.int8(edge.a.signed)
        copy.int8(edge.b.signed)
        copy.int4(commit.z)
        copy.text(edge.a.z == edge.b.z ? "within" as StaticString : "between")
        copy.int4(Int32(clamping: edge.contactArea))
        copy.float4(edge.meanAffinity)
        copy.float4(edge.score)
        copy.bool(edge.accepted)
        copy.int8(operation)
      }
    }
    try connection.copyIn(
      """
      region_edge (volume_id, fragment_a, fragment_b, z, kind, contact_area_px, mean_affinity, score, accepted,
        operation_id)
      """, copy)
  }

  /// Summaries of contacts (`contact_block`) do not count any more in the blocks of sections that get edges; in a revision, nor in
  /// those that had some. Fragments that change their segment see to it by themselves (trigger `forget_renamed`).
  func forgetContacts(isRevision: Bool) throws(DatabaseError) {
    var blocks = Set<Int64>()
    for commit in commits {
      var last = Int64(commit.z >> 5)
      blocks.insert(last)
      for edge in commit.edges where Int64(edge.a.z >> 5) != last {
        last = Int64(edge.a.z >> 5)
        blocks.insert(last)
      }
    }
    try connection.execute(
      "select forget_contacts($1::integer, $2::bigint[]::integer[], $3)",
      [.int(volume), .ints(blocks.sorted()), .bool(isRevision)])
  }
}
