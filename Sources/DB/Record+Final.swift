import Domain

extension Record {
  /// Makes sections final: their rows replace whatever rows they had, and the segments follow.
  ///
  /// One transaction. Costs what the sections and the segments that lose something cost, not what the volume costs.
  /// - Throws: `.conflict` if a section is not current, or an edge ends in a fragment that is not final.
  @discardableResult
  public func commitFinal(
    volume: Int64, run: Int64, _ commits: [SectionCommit]
  ) throws(DatabaseError) -> CommitOutcome {
    guard !commits.isEmpty else { throw .conflict("a final commit without sections") }
    let commits = commits.sorted { $0.z < $1.z }
    for commit in commits { try validate(commit) }
    return try connection.transaction { () throws(DatabaseError) in
      try FinalCommit(record: self, volume: volume, run: run, commits: commits).perform()
    }
  }

  /// Checks what a mistake of a stage could break.
  func validate(_ commit: SectionCommit) throws(DatabaseError) {
    for (summary, id) in commit.fragments where id.z != commit.z || id.label != summary.label {
      throw .conflict("fragment \(id) is not fragment \(summary.label) of section \(commit.z)")
    }
    for edge in commit.edges where edge.b.z != commit.z || edge.a >= edge.b {
      throw .conflict("edge \(edge.a) - \(edge.b) is not an edge of section \(commit.z)")
    }
  }

  /// Marks a section as segmented.
  func mark(
    _ commit: SectionCommit, _ state: SectionState, volume: Int64, run: Int64
  ) throws(DatabaseError) {
    let changed = try connection.execute(
      """
      update section set state = $3, file = $4, signature = $5, run_id = $6, segmented_at = now()
      where volume_id = $1 and z = $2 and state not in ('superseded', 'missing')
        and ($7::bigint is null or section_id = $7)
      """,
      [
        .int(volume), .int(commit.z), .text(state.rawValue), .text(commit.file), .text(commit.signature), .int(run),
        .int(optional: commit.sectionID),
      ]
    ).affected
    guard changed == 1 else {
      throw .conflict("section \(commit.z) has no current row for these results: it was never taken in, or was revised")
    }
  }

  /// Appends fragments.
  func copyFragments(
    _ rows: [(commit: Int, fragment: Int, segment: SegmentID)], of commits: [SectionCommit], volume: Int64,
    state: StaticString, operation: Int64
  ) throws(DatabaseError) {
    var copy = CopyBuilder(columns: 14, expectedRows: rows.count)
    for row in rows {
      let (summary, id) = commits[row.commit].fragments[row.fragment]
      copy.row()
      copy.int4(Int32(volume))
      copy.int8(id.signed)
      copy.int4(id.z)
      copy.int4(Int32(summary.label))
      copy.int8(Int64(summary.area))
      copy.int4(summary.minY)
      copy.int4(summary.minX)
      copy.int4(summary.maxY)
      copy.int4(summary.maxX)
      copy.float8(summary.centroidY)
      copy.float8(summary.centroidX)
      copy.text(state)
      copy.int8(row.segment.signed)
      copy.int8(operation)
    }
    try connection.copyIn(
      """
      fragment (volume_id, fragment_id, z, label, area_px, min_y, min_x, max_y, max_x, centroid_y, centroid_x, state,
        segment_id, operation_id)
      """, copy)
  }

  /// Appends lineage events, numbered in their order.
  func copyEvents(_ events: [LineageEvent], volume: Int64, operation: Int64) throws(DatabaseError) {
    if events.isEmpty { return }
    var copy = CopyBuilder(columns: 9, expectedRows: events.count)
    for event in events {
      copy.row()
      copy.int8(operation)
      copy.int4(Int32(volume))
      copy.text(event.kind.rawValue)
      copy.int8(event.segment.signed)
      if let other = event.other { copy.int8(other.signed) } else { copy.null() }
      copy.int4(event.z)
      if let cause = event.cause {
        copy.int8(cause.a.signed)
        copy.int8(cause.b.signed)
        copy.float4(cause.score)
      } else {
        for _ in 0..<3 { copy.null() }
      }
    }
    try connection.copyIn(
      """
      lineage_event (operation_id, volume_id, event, segment_id, other_segment_id, z, cause_fragment_a,
        cause_fragment_b, score)
      """, copy)
  }
}
