import Domain

extension Record {
  /// Shows a section before it is final: its rows replace its provisional rows.
  ///
  /// Each connected piece joins the segment below that its accepted edges name (a live one before a provisional one,
  /// then the smallest id) and never joins two segments; otherwise it is a provisional segment of its own. Edges are
  /// used, not stored; ends that are not there any more are ignored.
  /// - Returns: false, and nothing changed, if the section has final rows: those stay visible until final ones
  ///   replace them.
  @discardableResult
  public func commitProvisional(volume: Int64, run: Int64, _ commit: SectionCommit) throws(DatabaseError) -> Bool {
    try validate(commit)
    return try connection.transaction { () throws(DatabaseError) in
      try claim(volume)
      let isFinal = try connection.execute(
        "select exists (select from fragment where volume_id = $1 and z = $2 and state = 'final')",
        [.int(volume), .int(commit.z)]
      ).bool(0, 0)
      if isFinal { return false }
      try mark(commit, .provisional, volume: volume, run: run)
      let operation = try begin("section_provisional", volume: volume, firstZ: commit.z, z: commit.z, run: run)
      let gone = try connection.execute(
        """
        with gone as (delete from fragment where volume_id = $1 and z = $2 returning segment_id)
        select distinct segment_id from gone order by 1
        """, [.int(volume), .int(commit.z)])
      var left: [Int64] = []
      for row in 0..<gone.count { left.append(try gone.int(row, 0)) }
      let segments = try provisionalSegments(commit, volume: volume)
      try connection.execute(
        """
        insert into segment (volume_id, segment_id, state, born_operation_id)
        select $1, id, 'provisional', $3 from unnest($2::bigint[]) id
        on conflict (volume_id, segment_id) do update
        set state = 'provisional', successor_id = null, retired_operation_id = null
        where segment.state = 'retired'
        """, [.int(volume), .ints(segments.made.map(\.signed)), .int(operation)])
      let rows = segments.ofFragment.enumerated().map { (commit: 0, fragment: $0.offset, segment: $0.element) }
      try copyFragments(rows, of: [commit], volume: volume, state: "provisional", operation: operation)
      try noteSegmentations([commit], .provisional, volume: volume, run: run, operation: operation)
      try connection.execute(
        """
        update segment s set state = 'retired', retired_operation_id = $3
        where s.volume_id = $1 and s.segment_id = any($2::bigint[]) and s.state = 'provisional'
          and not exists (select from fragment f where f.volume_id = $1 and f.segment_id = s.segment_id)
        """, [.int(volume), .ints(left), .int(operation)])
      return true
    }
  }

  /// The segment of each fragment of a provisional section, and those that are to be made.
  private func provisionalSegments(
    _ commit: SectionCommit, volume: Int64
  ) throws(DatabaseError) -> (ofFragment: [SegmentID], made: [SegmentID]) {
    var place: [FragmentID: Int] = [:]
    for (index, fragment) in commit.fragments.enumerated() { place[fragment.id] = index }
    let accepted = commit.edges.filter(\.accepted)
    let below = Set(accepted.map(\.a).filter { place[$0] == nil }).sorted()
    let found = try connection.execute(
      """
      select f.fragment_id, r.segment_id, r.state = 'live' from fragment f
      join segment s on s.volume_id = f.volume_id and s.segment_id = f.segment_id
      join segment r on r.volume_id = s.volume_id and r.segment_id = s.live_id
      where f.volume_id = $1 and f.fragment_id = any($2::bigint[])
      """, [.int(volume), .ints(below.map(\.signed))])
    var anchors: [FragmentID: (isLive: Bool, segment: SegmentID)] = [:]
    for row in 0..<found.count {
      anchors[FragmentID(signed: try found.int(row, 0))] = (
        try found.bool(row, 2), SegmentID(signed: try found.int(row, 1))
      )
    }
    var sets = UnionFind(count: commit.fragments.count)
    for edge in accepted {
      if let a = place[edge.a], let b = place[edge.b] { sets.union(a, b) }
    }
    var chosen: [Int: (isLive: Bool, segment: SegmentID)] = [:]
    for edge in accepted {
      guard let anchor = anchors[edge.a], let b = place[edge.b] else { continue }
      let root = sets.find(b)
      if let other = chosen[root], (other.isLive ? 0 : 1, other.segment) <= (anchor.isLive ? 0 : 1, anchor.segment) {
        continue
      }
      chosen[root] = anchor
    }
    return name(commit, &sets, chosen)
  }

  private func name(
    _ commit: SectionCommit, _ sets: inout UnionFind, _ chosen: [Int: (isLive: Bool, segment: SegmentID)]
  ) -> (ofFragment: [SegmentID], made: [SegmentID]) {
    var smallest: [Int: FragmentID] = [:]
    for (index, fragment) in commit.fragments.enumerated() where chosen[sets.find(index)] == nil {
      let root = sets.find(index)
      smallest[root] = min(smallest[root] ?? fragment.id, fragment.id)
    }
    let made = smallest.values.map { SegmentID(rawValue: $0.rawValue) }.sorted()
    let ofFragment = commit.fragments.indices.map { index in
      let root = sets.find(index)
      return chosen[root]?.segment ?? SegmentID(rawValue: (smallest[root] ?? commit.fragments[index].id).rawValue)
    }
    return (ofFragment, made)
  }
}
