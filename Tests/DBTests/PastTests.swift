import DB
import Domain
import Testing

/// The functions that take a moment, over random histories of additions, revisions and previews.
@Suite struct PastTests {
  private let segmentsOf = "select fragment_id, segment_id from fragments_as_of($1::integer, $2)"

  @Test(arguments: [3, 4, 7, 12] as [UInt64])
  func everyMomentCanBeAsked(seed: UInt64) throws {
    var history = try History(seed: seed)
    for _ in 0..<8 { try history.step() }
    let connection = history.volume.database.connection
    let names = Set(history.snapshots.flatMap { $0.membership.values })
    for snapshot in history.snapshots {
      let (number, moment) = (Parameter.int(history.volume.volume), Parameter.int(snapshot.operation))
      #expect(
        try TestVolume.dictionary(connection.execute(segmentsOf, [number, moment])) == snapshot.membership,
        "seed \(seed), operation \(snapshot.operation)")
      for name in names {
        let expected = snapshot.membership.filter { $0.value == name }.keys.sorted().map { ["\($0)"] }
        let found = try connection.execute(
          "select fragment_id from fragments_as_of($1::integer, $2, $3) order by 1",
          [number, moment, .int(Int64(name.rawValue))])
        #expect(try found.table(columns: 1) == expected, "seed \(seed), \(name) after \(snapshot.operation)")
      }
      try checkSummaries(connection, Set(snapshot.membership.values).sorted(), moment, seed)
      try checkPoints(connection, snapshot.membership, moment, seed)
      try checkNeighbours(connection, snapshot.membership, snapshot.world, moment, seed)
      let sections = try connection.execute(
        "select z, state, fragments from sections_as_of('cortex', $1) order by z", [moment])
      #expect(
        try sections.table(columns: 3)
          == snapshot.world.present.map { ["\($0)", "final", "\(snapshot.world.fragments($0).count)"] })
      let last = history.snapshots[history.snapshots.count - 1].membership
      try checkChanges(connection, snapshot.membership, last, moment, seed)
    }
    try checkDescent(connection, seed)
  }

  /// One segment's summary is its row of the whole volume's; its history is told in order, each event once.
  private func checkSummaries(
    _ connection: Connection, _ segments: [SegmentID], _ moment: Parameter, _ seed: UInt64
  ) throws {
    let columns = """
      segment_id, size_voxels, round(volume_um3::numeric, 9), first_z, last_z, sections, fragments, min_y, min_x, max_y, max_x,
        round(centroid_z::numeric, 6), round(centroid_y::numeric, 6), round(centroid_x::numeric, 6)
      """
    let whole = try connection.execute(
      "select \(columns) from segments_as_of('cortex', $1) order by segment_id", [moment])
    let each = try connection.execute(
      """
      select \(columns) from unnest($2::bigint[]) id, segments_as_of('cortex', $1, id) order by segment_id
      """, [moment, .ints(segments.map { Int64($0.rawValue) })])
    #expect(try each.table(columns: 14) == whole.table(columns: 14), "seed \(seed)")
    let disorder = try connection.execute(
      """
      select from unnest($2::bigint[]) id, lateral (
        select lineage_id, lag(lineage_id) over () as earlier from history('cortex', id, $1)
      ) h where h.lineage_id <= h.earlier
      """, [moment, .ints(segments.map { Int64($0.rawValue) })])
    #expect(disorder.count == 0, "seed \(seed)")
  }

  /// One pixel of every fragment, on a border and in what is now another revision.
  private func checkPoints(
    _ connection: Connection, _ membership: [FragmentID: SegmentID], _ moment: Parameter, _ seed: UInt64
  ) throws {
    for (fragment, segment) in membership {
      let row = World.stripes(fragment.signature)[World.side - 1]
      let x = row[Int(fragment.label) - 1].lowerBound
      let found = try connection.execute(
        "select segment_at('cortex', $1, 127, $2, $3), segment_at('cortex', $1, 127, 127, $3)",
        [.int(fragment.z), .int(x), moment])
      #expect(try found.table(columns: 2) == [["\(segment)", "-"]], "seed \(seed), fragment \(fragment)")
    }
  }

  private func checkNeighbours(
    _ connection: Connection, _ membership: [FragmentID: SegmentID], _ world: World, _ moment: Parameter, _ seed: UInt64
  ) throws {
    guard let segment = membership.values.max() else { return }
    var areas: [SegmentID: Int] = [:]
    for edge in world.present.flatMap(world.edges) {
      guard let a = membership[edge.a], let b = membership[edge.b], a != b else { continue }
      guard a == segment || b == segment else { continue }
      areas[a == segment ? b : a, default: 0] += edge.contactArea
    }
    let found = try connection.execute(
      "select segment_id, contact_area_px from neighbours('cortex', $1, $2)", [.int(Int64(segment.rawValue)), moment])
    let expected = areas.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { ["\($0.key)", "\($0.value)"] }
    #expect(try found.table(columns: 2) == expected, "seed \(seed)")
  }

  private func checkChanges(
    _ connection: Connection, _ then: [FragmentID: SegmentID], _ now: [FragmentID: SegmentID], _ moment: Parameter,
    _ seed: UInt64
  ) throws {
    let rows = try connection.execute("select segment_id, change, now_segment_id from changes_since($1)", [moment])
    var found: [String: Set<SegmentID>] = [:]
    let (before, after) = (Set(then.values), Set(now.values))
    for row in 0..<rows.count {
      found[try rows.text(row, 1), default: []].insert(SegmentID(rawValue: UInt64(try rows.int(row, 0))))
      if let current = try rows.optionalInt(row, 2) {
        #expect(after.contains(SegmentID(rawValue: UInt64(current))), "it became a live segment, seed \(seed)")
      }
    }
    #expect(found["appeared", default: []] == after.subtracting(before), "seed \(seed)")
    #expect(found["retired", default: []] == before.subtracting(after), "seed \(seed)")
    func members(_ table: [FragmentID: SegmentID], _ segment: SegmentID) -> Set<FragmentID> {
      Set(table.filter { $0.value == segment }.keys)
    }
    let stayed = before.intersection(after)
    let changed = stayed.filter { members(then, $0) != members(now, $0) }
    #expect(changed.isSubset(of: found["changed", default: []]), "seed \(seed)")
    #expect(found["changed", default: []].isSubset(of: stayed), "seed \(seed)")
  }

  /// Descent is one relation, looked at from both ends; the history of a segment tells of each step.
  private func checkDescent(_ connection: Connection, _ seed: UInt64) throws {
    let odd = try connection.execute(
      """
      with up as (
        select a.segment_id as elder, s.segment_id as younger from segment s, ancestors('cortex', s.segment_id) a
      ), down as (
        select s.segment_id as elder, d.segment_id as younger from segment s, descendants('cortex', s.segment_id) d
      )
      select count(*) from ((select * from up except select * from down) union all
        (select * from down except select * from up)) q
      """
    ).int(0, 0)
    #expect(odd == 0, "seed \(seed)")
    let untold = try connection.execute(
      """
      select count(*) from segment s, ancestors('cortex', s.segment_id) a
      where a.lineage_id not in (select h.lineage_id from history('cortex', s.segment_id) h)
      """
    ).int(0, 0)
    #expect(untold == 0, "seed \(seed)")
  }

  @Test func momentsAreNamedInFourWays() throws {
    let stack = try TestVolume()
    let world = World(revisions: [0: 0, 1: 0], looksAhead: false, seed: 1)
    var operations: [Int64] = []
    for z in 0...1 as ClosedRange<SectionNumber> {
      try stack.receive(z, bytes: Int(z) + 1)
      operations.append(
        try stack.record.commitFinal(volume: stack.volume, run: stack.run, [world.commit(z)]).operation)
    }
    let found = try stack.database.connection.execute(
      """
      select as_of('cortex', section => 0), as_of('cortex', at => now()), as_of('cortex', run => $1),
        as_of('cortex', operation => $2), as_of('cortex', at => now() - interval '1 day')
      """, [.int(stack.run), .int(operations[0])])
    #expect(
      try found.table(columns: 5) == [
        ["\(operations[0])", "\(operations[1])", "\(operations[1])", "\(operations[0])", "0"]
      ])
  }

  /// What a caller gets wrong is named, with a state that programs can tell.
  @Test(arguments: [
    ("select segment_at('kortex', 0, 1, 1)", "22023", "no volume \"kortex\""),
    ("select segment_at('cortex', 0, 128, 1)", "22023", "y 128 is outside of volume \"cortex\", which has rows 0"),
    ("select segment_at('cortex', 0, 1, -1)", "22023", "x -1 is outside of volume \"cortex\", which has columns"),
    ("select segments_in('cortex', 0, 0, 0, 0, 9, 9)", "22023", "the box is empty"),
    ("select as_of('cortex')", "22023", "as_of takes one of section, at, run and operation"),
    ("select as_of('cortex', section => 1, run => 1)", "22023", "as_of takes one of"),
    ("select as_of('cortex', section => 7)", "P0002", "section 7 of volume \"cortex\" is not final"),
    ("select as_of('cortex', run => 99)", "22023", "run 99 is not one of volume \"cortex\""),
    ("select as_of('cortex', operation => 99)", "22023", "operation 99 is not one of volume \"cortex\""),
    ("select changes_since(99)", "22023", "there is no operation 99"),
    ("select changes_since(0)", "22023", "name the volume"),
    ("select lineage_as_of('nobody', 1)", "22023", "no volume \"nobody\""),
    ("select neighbours('cortex', 7)", "22023", "segment: there is no segment 7 in this volume"),
    ("select neighbours('cortex', 7, 1)", "22023", "segment: there is no segment 7 in this volume"),
    ("select ancestors('cortex', 7)", "22023", "segment: there is no segment 7 in this volume"),
    ("select descendants('cortex', 7, 1)", "22023", "segment: there is no segment 7 in this volume"),
    ("select history('cortex', null)", "22023", "segment: there is no segment null in this volume"),
    ("select segments_as_of('cortex', 1, 7)", "22023", "segment: there is no segment 7 in this volume"),
    ("select segment_sections_as_of('cortex', 1, 7)", "22023", "segment: there is no segment 7 in this volume"),
  ])
  func mistakesOfCallersAreNamed(query: String, state: String, said: String) throws {
    let stack = try TestVolume()
    try stack.receive(0, bytes: 1)
    let failure = #expect(throws: DatabaseError.self) { try stack.database.connection.execute(query) }
    #expect(failure?.sqlstate == state, "\(String(describing: failure))")
    #expect(failure?.description.contains(said) == true, "\(String(describing: failure))")
  }
}
