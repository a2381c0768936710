import Domain

/// What the log and the current tables do not agree on.
public struct LineageFault: Sendable, Equatable, CustomStringConvertible {
  /// What was compared with what.
  public var check: String
  /// How many rows differ.
  public var count: Int
  /// A sentence about the first of them.
  public var example: String
  public var description: String { "\(check): \(count) wrong, the first: \(example)" }
}

/// What a check of the lineage looked at.
public struct LineageReport: Sendable, Equatable {
  /// Final fragments, edges that count, events, and operations of the volume.
  public var fragments: Int
  public var edges: Int
  public var events: Int
  public var operations: Int
  /// Empty if everything agrees.
  public var faults: [LineageFault]
}

extension Record {
  /// Replays the log of a volume from nothing and compares the result with the current tables; nothing is changed.
  ///
  /// 1. The region graph: segments are the components over `effective_edge`, named by their smallest fragment.
  /// 2. The events: `membership_as_of` the last operation gives every fragment its segment, and the events say which
  ///    segments are live.
  /// 3. The versions: the last row of `segment_change` for a segment is its row; the versions of a fragment follow each
  ///    other without overlap.
  /// 4. The corrections: each goes back to an operation of its kind, stands on fragments that are there, and is kept.
  /// 5. The contacts of blocks (`segment_contact`), where they count, are those that the edges give.
  ///
  /// Works on one snapshot, beside a daemon that goes on. Needs about 40 bytes of memory for each fragment.
  public func checkLineage(volume: Int64) throws(DatabaseError) -> LineageReport {
    try connection.transaction { () throws(DatabaseError) in
      try connection.script("set transaction isolation level repeatable read, read only")
      var report = LineageReport(fragments: 0, edges: 0, events: 0, operations: 0, faults: [])
      let counts = try connection.execute(
        """
        select (select count(*) from operation where volume_id = $1),
          (select count(*) from lineage_event where volume_id = $1)
        """, [.int(volume)])
      report.operations = Int(try counts.int(0, 0))
      report.events = Int(try counts.int(0, 1))
      try checkGraph(volume, &report)
      for (check, sql) in LineageChecks.all {
        let found = try connection.execute(
          "select count(*), min(fault.example) from (\(sql)) fault (example)", [.int(volume)])
        let count = Int(try found.int(0, 0))
        if count > 0 { report.faults.append(.init(check: check, count: count, example: try found.text(0, 1))) }
      }
      return report
    }
  }

  private func checkGraph(_ volume: Int64, _ report: inout LineageReport) throws(DatabaseError) {
    var fragments: [Int64] = []
    var segments: [Int64] = []
    try stream(LineageChecks.fragments, [.int(volume)]) { (rows, row) throws(DatabaseError) in
      fragments.append(try rows.int(row, 0))
      segments.append(try rows.int(row, 1))
    }
    var sets = UnionFind(count: fragments.count)
    var loose: [Int64] = []
    var edges = 0
    try stream(LineageChecks.edges, [.int(volume)]) { (rows, row) throws(DatabaseError) in
      let (a, b) = (try rows.int(row, 0), try rows.int(row, 1))
      edges += 1
      if let left = Self.place(a, in: fragments), let right = Self.place(b, in: fragments) {
        sets.union(left, right)
      } else {
        loose.append(a)
      }
    }
    report.fragments = fragments.count
    report.edges = edges
    var wrong: [Int] = []
    for place in fragments.indices where fragments[sets.find(place)] != segments[place] { wrong.append(place) }
    if let first = wrong.first {
      report.faults.append(
        .init(
          check: "segments are the components of the region graph", count: wrong.count,
          example: "fragment \(fragments[first]) is of segment \(segments[first]), its edges say "
            + "\(fragments[sets.find(first)])"))
    }
    if let first = loose.first {
      report.faults.append(
        .init(
          check: "edges end in final fragments", count: loose.count,
          example: "an edge of fragment \(first) ends in a fragment that is not there"))
    }
  }

  private static func place(_ id: Int64, in ids: [Int64]) -> Int? {
    var low = 0
    var high = ids.count
    while low < high {
      let middle = (low + high) / 2
      if ids[middle] < id { low = middle + 1 } else { high = middle }
    }
    return low < ids.count && ids[low] == id ? low : nil
  }
}
