public import Domain

extension Record {
  /// Where a volume stands: sections by state, the last operation, files set aside.
  public func status(_ volume: Int64) throws(DatabaseError) -> VolumeStatus {
    let counts = try connection.execute(
      "select state, count(*) from section where volume_id = $1 and state <> 'superseded' group by state",
      [.int(volume)])
    var sections: [SectionState: Int] = [:]
    for row in 0..<counts.count {
      if let state = SectionState(rawValue: try counts.text(row, 0)) { sections[state] = Int(try counts.int(row, 1)) }
    }
    let last = try connection.execute(
      """
      select operation_id, kind, first_z, z, run_id, at from operation where volume_id = $1
      order by operation_id desc limit 1
      """, [.int(volume)])
    var operation: OperationRow?
    if last.count == 1 {
      operation = OperationRow(
        id: try last.int(0, 0), kind: try last.text(0, 1), firstZ: try last.optionalInt(0, 2).map { SectionNumber($0) },
        z: try last.optionalInt(0, 3).map { SectionNumber($0) }, runID: try last.optionalInt(0, 4),
        at: try last.text(0, 5))
    }
    let open = try connection.execute("select count(*) from quarantine where resolved_at is null").int(0, 0)
    return VolumeStatus(sections: sections, lastOperation: operation, openQuarantine: Int(open))
  }

  /// Current sections with a warning: the lowest `limit` of them, and how many there are.
  public func warnings(_ volume: Int64, limit: Int) throws(DatabaseError) -> (lowest: [SectionWarning], count: Int) {
    let result = try connection.execute(
      """
      select z, note, count(*) over () from section
      where volume_id = $1 and state <> 'superseded' and note is not null order by z limit $2
      """, [.int(volume), .int(limit)])
    var lowest: [SectionWarning] = []
    for row in 0..<result.count {
      lowest.append(SectionWarning(z: SectionNumber(try result.int(row, 0)), text: try result.text(row, 1)))
    }
    return (lowest, lowest.isEmpty ? 0 : Int(try result.int(0, 2)))
  }

  /// Segment of every fragment of a section, by fragment: what a label image needs to become a segment image.
  /// - Parameter operation: the state after that operation (final fragments only); nil for now, provisional included.
  public func membership(
    volume: Int64, z: SectionNumber? = nil, asOf operation: Int64? = nil
  ) throws(DatabaseError) -> [SegmentDiff.Member] {
    let result: QueryResult
    if let operation {
      // Ids order by z, so a section is a range of ids.
      result = try connection.execute(
        """
        select fragment_id, segment_id from membership_as_of($1, $2)
        where $3::bigint is null or fragment_id >> 45 = $3 + 131072 order by fragment_id
        """, [.int(volume), .int(operation), .int(optional: z.map { Int64($0) })])
    } else {
      result = try connection.execute(
        """
        select f.fragment_id, s.live_id from fragment f
        join segment s on s.volume_id = f.volume_id and s.segment_id = f.segment_id
        where f.volume_id = $1 and ($2::integer is null or f.z = $2) order by f.fragment_id
        """, [.int(volume), .int(optional: z.map { Int64($0) })])
    }
    return try members(result)
  }

  /// Rows of (fragment, segment).
  func members(_ result: QueryResult) throws(DatabaseError) -> [SegmentDiff.Member] {
    var members: [SegmentDiff.Member] = []
    members.reserveCapacity(result.count)
    for row in 0..<result.count {
      members.append(
        .init(fragment: FragmentID(signed: try result.int(row, 0)), segment: SegmentID(signed: try result.int(row, 1))))
    }
    return members
  }
}
