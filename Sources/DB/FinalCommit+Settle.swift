import Domain

/// Provisional segments.
extension FinalCommit {

  /// Says what became of the provisional segments of these sections, and retires those that have nothing left.
  func settle(
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
