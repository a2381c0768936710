import Domain

/// One final commit, inside its transaction. See `Record.commitFinal`.
struct FinalCommit {
  let record: Record
  let volume: Int64
  let run: Int64
  /// In z order.
  let commits: [SectionCommit]
  /// What the operation is called; nil: by what it does.
  var kind: String?

  private var connection: Connection { record.connection }
  private var sections: Parameter { .ints(commits.map { Int64($0.z) }) }

  /// What the sections were before.
  private struct Before {
    /// Final fragments of the sections, by id, with their live segments.
    var existing: [SegmentDiff.Member] = []
    /// Those that the commit does not have.
    var removed: [SegmentDiff.Member] = []
    /// Accepted edges that were deleted and are not in the commit.
    var lostEdges: [SegmentDiff.Edge] = []
    /// Provisional fragments of the sections that are of provisional segments.
    var provisional: [SegmentDiff.Member] = []
  }

  func perform() throws(DatabaseError) -> CommitOutcome {
    for (lower, upper) in zip(commits, commits.dropFirst()) where lower.z == upper.z {
      throw .conflict("section \(lower.z) is given twice in one commit")
    }
    try record.claim(volume)
    for commit in commits { try record.mark(commit, .final, volume: volume, run: run) }
    var before = Before()
    before.provisional = try takeProvisional()
    before.existing = try existingFragments()
    let isRevision = !before.existing.isEmpty
    let operation = try record.begin(
      kind ?? (isRevision ? "revision" : "section_final"), volume: volume, firstZ: commits[0].z,
      z: commits[commits.count - 1].z, run: run)
    if isRevision { try takeReplaced(&before, operation) }
    var corrections = try CommitCorrections(record, volume: volume, operation: operation, commits: commits)
    try corrections?.carry(before.removed)
    try corrections?.loadPairs()
    var input = SegmentDiff.Input(z: commits[0].z)
    let stored = try gather(&input, before, corrections)
    try corrections?.enforce(&input, stored: stored)
    let diff = SegmentDiff(input)
    try apply(diff, input, before, operation)
    try corrections?.finish(diff, input)
    try record.noteSegmentations(commits, .final, volume: volume, run: run, operation: operation)
    let settled = try settle(before.provisional, diff, input, operation)
    let events = diff.events + settled
    try record.copyEvents(events, volume: volume, operation: operation)
    return CommitOutcome(operation: operation, isRevision: isRevision, events: events)
  }

  // MARK: what was there

  private func takeProvisional() throws(DatabaseError) -> [SegmentDiff.Member] {
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

  private func existingFragments() throws(DatabaseError) -> [SegmentDiff.Member] {
    try record.members(
      connection.execute(
        """
        select f.fragment_id, s.live_id from fragment f
        join segment s on s.volume_id = f.volume_id and s.segment_id = f.segment_id
        where f.volume_id = $1 and f.z = any($2::bigint[]) order by f.fragment_id
        """, [.int(volume), sections]))
  }

  /// Moves the edges of the sections, and those of other sections that end in fragments that go, into the history.
  private func takeReplaced(_ before: inout Before, _ operation: Int64) throws(DatabaseError) {
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

  // MARK: the input of the diff

  /// - Returns: how many edges at the end of the input were there before the commit.
  private func gather(
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

  // MARK: writing

  private func apply(
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
      for edge in commit.edges {
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

  // MARK: provisional segments

  /// Says what became of the provisional segments of these sections, and retires those that have nothing left.
  private func settle(
    _ provisional: [SegmentDiff.Member], _ diff: SegmentDiff, _ input: SegmentDiff.Input, _ operation: Int64
  ) throws(DatabaseError) -> [LineageEvent] {
    var events: [LineageEvent] = []
    if !provisional.isEmpty {
      let best = try largestOverlaps(provisional, diff, input)
      events = best.map { LineageEvent(.settled, $0.provisional, other: $0.final, z: $0.z) }
      try connection.execute(
        """
        update segment s set state = 'retired', retired_operation_id = $4, successor_id = nullif(r.final, 0)
        from unnest($2::bigint[], $3::bigint[]) r (id, final)
        where s.volume_id = $1 and s.segment_id = r.id and s.state = 'provisional'
          and not exists (select from fragment f where f.volume_id = $1 and f.segment_id = s.segment_id)
        """,
        [
          .int(volume), .ints(Array(Set(provisional.map(\.segment))).sorted().map(\.signed)),
          .ints(try lastSettled(Array(Set(provisional.map(\.segment))).sorted(), events)), .int(operation),
        ])
    }
    // What still shows a segment that vanished is provisional.
    if diff.retired.contains(where: { $0.successor == nil }) {
      try connection.execute(
        """
        update segment s set state = 'provisional', retired_operation_id = null
        where s.volume_id = $1 and s.state = 'retired' and s.successor_id is null and exists (
          select from fragment f where f.volume_id = $1 and f.segment_id = s.segment_id and f.state = 'provisional')
        """, [.int(volume)])
    }
    return events
  }

  /// For each provisional segment and section, the final segment that shares most pixels; ties go to the smaller id.
  private func largestOverlaps(
    _ provisional: [SegmentDiff.Member], _ diff: SegmentDiff, _ input: SegmentDiff.Input
  ) throws(DatabaseError) -> [(provisional: SegmentID, final: SegmentID, z: SectionNumber)] {
    var segmentOf: [FragmentID: SegmentID] = [:]
    for member in provisional { segmentOf[member.fragment] = member.segment }
    let finals = try finalSegments()
    var best: [(provisional: SegmentID, final: SegmentID, z: SectionNumber)] = []
    for commit in commits {
      var pixels: [SegmentID: [SegmentID: Int]] = [:]
      for overlap in commit.settled {
        guard let from = segmentOf[overlap.provisional] else { continue }
        guard let to = finals[overlap.final] else {
          throw .conflict("fragment \(overlap.final) is said to settle another one, but is not of the commit")
        }
        pixels[from, default: [:]][to, default: 0] += overlap.pixels
      }
      for (from, shares) in pixels.sorted(by: { $0.key < $1.key }) {
        let most = shares.max { ($0.value, $1.key.rawValue) < ($1.value, $0.key.rawValue) }
        if let most { best.append((from, most.key, commit.z)) }
      }
    }
    return best
  }

  private func finalSegments() throws(DatabaseError) -> [FragmentID: SegmentID] {
    var finals: [FragmentID: SegmentID] = [:]
    for member in try existingFragments() { finals[member.fragment] = member.segment }
    return finals
  }

  /// What each provisional segment turned out to be: by this commit, or else by the last one that said so; 0 if none.
  private func lastSettled(_ segments: [SegmentID], _ events: [LineageEvent]) throws(DatabaseError) -> [Int64] {
    var last: [SegmentID: SegmentID] = [:]
    let earlier = try record.members(
      connection.execute(
        """
        select distinct on (l.segment_id) l.segment_id, s.live_id from lineage_event l
        join segment s on s.volume_id = l.volume_id and s.segment_id = l.other_segment_id
        join segment r on r.volume_id = s.volume_id and r.segment_id = s.live_id and r.state = 'live'
        where l.volume_id = $1 and l.segment_id = any($2::bigint[]) and l.event = 'settled'
        order by l.segment_id, l.lineage_id desc
        """, [.int(volume), .ints(segments.map(\.signed))]))
    for member in earlier { last[SegmentID(rawValue: member.fragment.rawValue)] = member.segment }
    for event in events { last[event.segment] = event.other }
    return segments.map { last[$0]?.signed ?? 0 }
  }
}
