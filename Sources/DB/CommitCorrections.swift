import Domain

/// The corrections in force that bear on a final commit, and what the commit makes of them.
///
/// The daemon's decisions stay in `region_edge` as they are; corrections stand beside them. An edge that would put
/// together what a person separated, or would join a locked segment to another one, is *refused*: it does not count,
/// and a conflict says so.
struct CommitCorrections {
  /// Two fragments, the smaller id first.
  struct Pair: Hashable, Comparable {
    var a: FragmentID
    var b: FragmentID
    init(_ a: FragmentID, _ b: FragmentID) {
      self.a = min(a, b)
      self.b = max(a, b)
    }
    static func < (left: Self, right: Self) -> Bool { (left.a, left.b) < (right.a, right.b) }
  }

  let record: Record
  let volume: Int64
  let operation: Int64
  let commits: [SectionCommit]
  /// Pairs joined by a person that have an end in the sections, in ascending order.
  private(set) var joins: [Pair] = []
  /// Pairs with an end in the sections that a person separated.
  private(set) var separated = Set<Pair>()
  /// Rows that refuse a pair with an end in the sections.
  private(set) var refusals: [Pair: Int64] = [:]
  /// Found by `enforce`: what was refused and why, and the pairs that were looked at.
  var refused: [(edge: SegmentDiff.Edge, obstacle: Obstacle)] = []
  var evaluated = Set<Pair>()
  var locks: [Obstacle] = []

  /// - Returns: nil if no correction is in force in the volume.
  init?(_ record: Record, volume: Int64, operation: Int64, commits: [SectionCommit]) throws(DatabaseError) {
    self.record = record
    self.volume = volume
    self.operation = operation
    self.commits = commits
    let any = try record.connection.execute(
      "select exists (select from correction where volume_id = $1 and until_operation_id is null)", [.int(volume)])
    guard try any.bool(0, 0) else { return nil }
  }

  /// Reads the pairs that have an end in the sections.
  mutating func loadPairs() throws(DatabaseError) {
    // Ids order by z, so a section is a range of ids. `offset 0`: a look-up in the index by that range, for either end.
    let lows = commits.map { FragmentID(z: $0.z, signature: 0, label: 1).signed - 1 }
    let rows = try record.connection.execute(
      """
      with section as materialized (select low, low + (1::bigint << 45) - 1 as high from unnest($2::bigint[]) low)
      select c.correction_id, c.decision, c.fragment_a, c.fragment_b from section
      cross join lateral (
        select * from correction c where c.volume_id = $1 and c.until_operation_id is null
          and c.fragment_a between low and high offset 0
      ) c where c.fragment_b is not null
      union
      select c.correction_id, c.decision, c.fragment_a, c.fragment_b from section
      cross join lateral (
        select * from correction c where c.volume_id = $1 and c.until_operation_id is null
          and c.fragment_b between low and high offset 0
      ) c
      order by 1
      """, [.int(volume), .ints(lows)])
    for row in 0..<rows.count {
      let pair = Pair(FragmentID(signed: try rows.int(row, 2)), FragmentID(signed: try rows.int(row, 3)))
      switch try rows.text(row, 1) {
      case "join": joins.append(pair)
      case "separate": separated.insert(pair)
      default: refusals[pair] = try rows.int(row, 0)
      }
    }
    joins = Set(joins).subtracting(separated).sorted()
  }

  // MARK: before

  /// Lets corrections whose fragments go continue with those that take their place, by the largest overlap.
  mutating func carry(_ removed: [SegmentDiff.Member]) throws(DatabaseError) {
    let gone = Set(removed.map(\.fragment))
    if gone.isEmpty { return }
    let rows = try record.connection.execute(
      """
      select correction_id, decision, fragment_a, fragment_b, segment_a from correction
      where volume_id = $1 and until_operation_id is null
        and (fragment_a = any($2::bigint[]) or fragment_b = any($2::bigint[])) order by correction_id
      """, [.int(volume), .ints(gone.sorted().map(\.signed))])
    let heirs = try largestOverlaps()
    var carried: [(row: Int64, a: FragmentID, b: FragmentID?)] = []
    var lost: [(row: Int64, fragment: FragmentID)] = []
    var ended: [Int64] = []
    for row in 0..<rows.count {
      let id = try rows.int(row, 0)
      let decision = try rows.text(row, 1)
      let ends = [try rows.int(row, 2), try rows.optionalInt(row, 3)].compactMap { $0 }.map { FragmentID(signed: $0) }
      ended.append(id)
      if decision == "refuse" { continue }
      var now = ends.map { gone.contains($0) ? heirs[$0] : $0 }
      if ends.count == 1, now[0] == nil { now = [try smallestFragment(of: rows.int(row, 4), besides: gone)] }
      let there = now.compactMap { $0 }
      if there.count < ends.count {
        lost.append((id, ends[now.firstIndex { $0 == nil } ?? 0]))
      } else if ends.count == 2, there[0] == there[1] {
        // Joined for good, or not to be separated any more.
        if decision == "separate" { lost.append((id, ends.first { gone.contains($0) } ?? ends[0])) }
      } else {
        carried.append((id, there[0], ends.count == 2 ? there[1] : nil))
      }
    }
    try write(carried, lost, ended)
  }

  private func write(
    _ carried: [(row: Int64, a: FragmentID, b: FragmentID?)], _ lost: [(row: Int64, fragment: FragmentID)],
    _ ended: [Int64]
  ) throws(DatabaseError) {
    if ended.isEmpty { return }
    let connection = record.connection
    try connection.execute(
      "update correction set until_operation_id = $2 where correction_id = any($1::bigint[])",
      [.ints(ended), .int(operation)])
    try connection.execute(
      """
      insert into correction (continues_id, volume_id, decision, fragment_a, fragment_b, segment_a, segment_b,
        origin_operation_id, operation_id)
      select c.first_id, c.volume_id, c.decision, n.a, nullif(n.b, 0),
        case n.swapped when 0 then c.segment_a else c.segment_b end,
        case n.swapped when 0 then c.segment_b else c.segment_a end, c.origin_operation_id, $5
      from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) n (id, a, b, swapped)
      join correction c on c.correction_id = n.id order by n.id
      on conflict (volume_id, fragment_a, coalesce(fragment_b, 0), decision, origin_operation_id)
        where until_operation_id is null do nothing
      """,
      [
        .ints(carried.map(\.row)), .ints(carried.map { min($0.a, $0.b ?? $0.a).signed }),
        .ints(carried.map { row in row.b.map { max(row.a, $0).signed } ?? 0 }),
        .ints(carried.map { row in row.b.map { $0 < row.a ? 1 : 0 } ?? 0 }), .int(operation),
      ])
    try connection.execute(
      """
      insert into conflict (volume_id, operation_id, kind, correction_id, fragment_a)
      select $1, $4, 'lost', l.id, l.fragment from unnest($2::bigint[], $3::bigint[]) l (id, fragment)
      """, [.int(volume), .ints(lost.map(\.row)), .ints(lost.map(\.fragment.signed)), .int(operation)])
  }

  /// For each replaced fragment, the new one that shares most pixels with it; ties go to the smaller id.
  private func largestOverlaps() throws(DatabaseError) -> [FragmentID: FragmentID] {
    var best: [FragmentID: ReplacedOverlap] = [:]
    for commit in commits {
      let new = Set(commit.fragments.map(\.id))
      for overlap in commit.replaced {
        guard new.contains(overlap.new) else {
          throw .conflict("fragment \(overlap.new) is said to replace another one, but is not of the commit")
        }
        if let known = best[overlap.old], (-known.pixels, known.new) <= (-overlap.pixels, overlap.new) { continue }
        best[overlap.old] = overlap
      }
    }
    return best.mapValues(\.new)
  }

  private func smallestFragment(of segment: Int64, besides gone: Set<FragmentID>) throws(DatabaseError) -> FragmentID? {
    try record.connection.execute(
      """
      select min(id) from unnest(region_nodes($1::integer, $2)) id where id <> all($3::bigint[])
      """, [.int(volume), .int(segment), .ints(gone.sorted().map(\.signed))]
    ).optionalInt(0, 0).map { FragmentID(signed: $0) }
  }
}
