import DB
import Domain
import Testing

/// Questions about one segment, one section or one point read what they ask for, however large the volume.
@Suite struct PlanTests {
  /// 100 sections of 1000 fragments; columns of ten sections are segments, and every section has edges to the next.
  private func stack() throws -> TestVolume {
    let stack = try TestVolume()
    try stack.receive(0, bytes: 1)
    try stack.database.connection.script(
      """
      insert into operation (volume_id, kind, first_z, z, actor) select 1, 'section_final', z, z, 'test'
      from generate_series(0, 99) z;
      create function id(z integer, label integer) returns bigint language sql immutable
      return ((z + 131072)::bigint << 45) | (7 << 23) | label;
      insert into fragment select 1, id(z, label), z, label, 50, (label - 1) / 32 * 4, (label - 1) % 32 * 4,
        (label - 1) / 32 * 4 + 4, (label - 1) % 32 * 4 + 4, (label - 1) / 32 * 4 + 2, (label - 1) % 32 * 4 + 2, 'final', id(z / 10 * 10, label), z + 1
      from generate_series(0, 99) z, generate_series(1, 1000) label;
      insert into segment (volume_id, segment_id, state, born_operation_id)
      select 1, id(z, label), 'live', z + 1 from generate_series(0, 90, 10) z, generate_series(1, 1000) label;
      insert into region_edge select 1, id(z, label), id(z + 1, label), z + 1, 'between', 9, 0.9, 0.9, z % 10 < 9, z + 2
      from generate_series(0, 98) z, generate_series(1, 1000) label;
      insert into lineage_event (operation_id, volume_id, event, segment_id, z)
      select z + 1, 1, 'born', id(z, label), z from generate_series(0, 90, 10) z, generate_series(1, 1000) label;
      insert into lineage_event (operation_id, volume_id, event, segment_id, z)
      select z + 1, 1, 'grown', id(z / 10 * 10, label), z from generate_series(1, 99) z, generate_series(1, 1000) label
      where z % 10 > 0;
      insert into section_segmentation (volume_id, z, operation_id, section_id, state, file, signature, fragments,
        fragment_base, labels_operation_id)
      select 1, z, z + 1, 1, 'final', 'f', 's', 1000, id(z, 0), z + 1 from generate_series(0, 99) z;
      """)
    var copy = CopyBuilder(columns: 7)
    for z in 0..<100 as Range<Int32> {
      var tiles = LabelTiles(width: 128)
      tiles.append(
        (0..<(128 * 128)).map { place in
          let label = UInt32(place / 128 / 4 * 32 + place % 128 / 4 + 1)
          return label > 1000 ? 0 : label
        })
      copy.row()
      for number in [1, z] { copy.int4(number) }
      copy.int8(Int64(z) + 1)
      for number in [0, 0, tiles.tiles[0].height] { copy.int4(number) }
      copy.bytea(tiles.tiles[0].runs)
    }
    try stack.database.connection.copyIn(
      "label_tile (volume_id, z, operation_id, min_y, min_x, height_px, runs)", copy)
    try stack.database.connection.script("analyze")
    return stack
  }

  @Test func theyReadWhatTheyAskFor() throws {
    let stack = try stack()
    let connection = stack.database.connection
    let segment = "id(50, 500)"
    // Rows of fragment, segment, region_edge and lineage_event that may be read, of 100 000, 10 000, 99 000, 100 000.
    let questions: [(sql: String, rows: Int, limit: Int64)] = [
      ("select * from segments where volume = 'cortex' and segment_id = \(segment)", 1, 200),
      ("select z, area_px from segment_sections where volume = 'cortex' and segment_id = \(segment)", 10, 100),
      ("select segment_id, area_px from segment_sections where volume = 'cortex' and z = 50", 1000, 12000),
      ("select * from sections where volume = 'cortex' and z = 0", 1, 1100),
      ("select * from lineage where \(segment) in (segment_id, other_segment_id)", 10, 100),
      ("select segment_at('cortex', 50, 100, 100)", 1, 20),
      ("select segment_at('cortex', 50, 100, 100, 80)", 1, 60),
      ("select * from segments_in('cortex', 40, 0, 0, 42, 9, 9)", 9, 15000),
      ("select * from neighbours('cortex', \(segment))", 2, 200),
      ("select * from neighbours('cortex', \(segment), 70)", 2, 200),
      ("select * from segments_as_of('cortex', 56, \(segment))", 1, 100),
      ("select * from history('cortex', \(segment))", 10, 100),
      ("select * from ancestors('cortex', \(segment))", 0, 100),
      ("select * from changes_since(99)", 1000, 15000),
    ]
    for question in questions {
      func read() throws -> Int64 {
        try ["fragment", "segment", "region_edge", "lineage_event"].reduce(0) { try $0 + stack.rowsRead(of: $1) }
      }
      let before = try read()
      let rows = try connection.execute(question.sql).count
      let count = try read() - before
      #expect(rows == question.rows, "\(question.sql)")
      #expect(count <= question.limit, "\(count) rows read for \(question.sql)")
    }
  }

  /// Where the contacts of blocks are summed up, no edge and no fragment is read.
  @Test func neighboursReadSummaries() throws {
    let stack = try stack()
    let connection = stack.database.connection
    let question = "select * from neighbours('cortex', id(50, 500))"
    let plain = try connection.execute(question).table(columns: 5)
    for block in 0...3 {
      #expect(try stack.record.summariseContacts(volume: stack.volume, block: block) == .done(block: block))
    }
    func read() throws -> [Int64] { try ["fragment", "region_edge", "segment_contact"].map(stack.rowsRead) }
    let before = try read()
    #expect(try connection.execute(question).table(columns: 5) == plain)
    let count = zip(try read(), before).map { $0 - $1 }
    #expect(count[0] == 0 && count[1] == 0 && count[2] <= 4, "\(count) rows of fragment, region_edge, segment_contact")
  }

  /// A segment that was kept apart from hundreds of others, with as many notes on it, costs a commit nothing.
  @Test func aCommitReadsTheCorrectionsThatBearOnIt() throws {
    let stack = try stack()
    let connection = stack.database.connection
    try connection.script(
      """
      insert into operation (volume_id, kind, first_z, z, actor, reason) values (1, 'split', 0, 90, 'test', 'test');
      insert into correction (volume_id, decision, fragment_a, fragment_b, segment_a, segment_b, origin_operation_id,
        operation_id)
      select 1, 'separate', id(0, label), id(90, 1), id(0, label), id(90, 1), 101, 101 from generate_series(1, 900) label
      union all
      select 1, 'separate', id(90, 1), id(95, label), id(90, 1), id(80, label), 101, 101 from generate_series(2, 900) label;
      insert into correction (volume_id, decision, fragment_a, segment_a, origin_operation_id, operation_id)
      select 1, 'note', id(90, 1), id(90, 1), o.operation_id, o.operation_id from operation o where o.operation_id <= 100;
      analyze correction;
      """)
    try stack.receive(100, bytes: 2)
    let summary = FragmentSummary(
      label: 1, area: 9, minY: 0, minX: 0, maxY: 3, maxX: 3, centroidY: 1, centroidX: 1)
    let id = FragmentID(z: 100, signature: 7, label: 1)
    let edge = EdgeRow(
      a: FragmentID(z: 99, signature: 7, label: 1), b: id, contactArea: 9, meanAffinity: 1, score: 1, accepted: true)
    let commit = SectionCommit(z: 100, file: "f", signature: "s", fragments: [(summary, id)], edges: [edge])
    let before = try stack.rowsRead(of: "correction")
    let outcome = try stack.record.commitFinal(volume: stack.volume, run: stack.run, [commit])
    #expect(outcome.events.map(\.kind) == [.grown])
    let count = try stack.rowsRead(of: "correction") - before
    #expect(count < 10, "\(count) corrections read")
  }
}
