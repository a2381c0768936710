import DB
import Domain
import Foundation
import Testing

/// Databases of earlier versions, with data in them.
@Suite struct UpgradeTests {
  /// A final section and a provisional one, as versions 0.4 and 0.5 wrote them; the final one was revised once, and one
  /// fragment of the section below it given to another segment.
  private func atStepTwo() throws -> Connection {
    let connection = try TestDatabase(migrated: false).connection
    try Migrator(migrations: Array(Migrator.embedded.migrations.prefix(2))).migrate(connection)
    try connection.script(
      """
      insert into volume (name, voxel_z_nm, voxel_y_nm, voxel_x_nm, height, width) values ('cortex', 40, 4, 4, 128, 128);
      insert into run (volume_id, configuration, fingerprint, code_version) values (1, '{}', 'f', '0.5.0');
      insert into section (volume_id, z, revision, state, content_sha256, source_path, received_at, run_id, file, signature)
      select 1, z, 1, state, repeat(z::text, 64), 'p', now(), 1, 'f' || z || '.h5', 's'
      from (values (0, 'final'), (1, 'final'), (2, 'provisional')) v (z, state);
      insert into operation (volume_id, kind, first_z, z, run_id, actor) values (1, 'section_final', 0, 1, 1, 'fgnet'),
        (1, 'section_provisional', 2, 2, 1, 'fgnet'), (1, 'revision', 1, 1, 1, 'fgnet');
      """)
    let rows: [(z: SectionNumber, signature: UInt32, state: String, operation: Int64)] = [
      (0, 8, "final", 1), (1, 9, "final", 3), (2, 10, "provisional", 2),
    ]
    for row in rows {
      for (summary, id) in World.fragments(row.z, row.signature) {
        let key = Parameter.int(Int64(id.rawValue))
        try connection.execute(
          "insert into segment (volume_id, segment_id, state, born_operation_id) values (1, $1, $2, $3)",
          [key, .text(row.state == "final" ? "live" : "provisional"), .int(row.operation)])
        try connection.execute(
          """
          insert into fragment values (1, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $1, $12)
          """,
          [
            key, .int(id.z), .int(Int64(summary.label)), .int(summary.area), .int(summary.minY), .int(summary.minX),
            .int(summary.maxY), .int(summary.maxX), .double(summary.centroidY), .double(summary.centroidX),
            .text(row.state), .int(row.operation),
          ])
      }
    }
    // All of section 0 changed hands in operation 3; its rows before that are in the history.
    try connection.script(
      """
      insert into fragment_history select volume_id, fragment_id, z, label, area_px, min_y, min_x, max_y, max_x, centroid_y,
        centroid_x, segment_id, 1, 3, 'reassigned' from fragment where z = 0;
      update fragment set operation_id = 3 where z = 0;
      insert into region_edge select 1, a.fragment_id, b.fragment_id, 1, 'between', 30, 0.25, 0.5, false, 3
      from fragment a, fragment b where a.z = 0 and b.z = 1 and a.label = 1 and b.label = 1;
      """)
    return connection
  }

  @Test func stepTwoIsCarriedOver() throws {
    let connection = try atStepTwo()
    let before = try connection.execute("select * from segments order by segment_id").table(columns: 17)
    #expect(try Migrator.embedded.migrate(connection) == Migrator.embedded.migrations.dropFirst(2).map(\.name))
    #expect(try connection.execute("select * from segments order by segment_id").table(columns: 17) == before)
    let rows = try connection.execute(
      "select z, operation_id, state, file, contact_affinity_below, labels_operation_id from section_segmentation order by z"
    )
    #expect(
      try rows.table(columns: 6) == [
        ["0", "1", "final", "f0.h5", "-", "-"], ["1", "3", "final", "f1.h5", "0.25", "-"],
        ["2", "2", "provisional", "f2.h5", "-", "-"],
      ])
    #expect(try connection.execute("select from sections_as_of('cortex', 1)").count == 1)

    let x = World.stripes(9)[127][0].lowerBound
    let query = "select segment_at('cortex', 1, 127, $1)"
    let failure = #expect(throws: DatabaseError.self) { try connection.execute(query, [.int(x)]) }
    #expect(failure?.sqlstate == "55000")
    #expect(failure?.description.contains("label tiles of section 1 of volume \"cortex\" are not") == true)
    #expect(throws: DatabaseError.self) {
      try connection.execute("select * from segments_in('cortex', 0, 0, 0, 2, 50, 50)")
    }
    #expect(try connection.execute("select outline from segment_sections where outline is not null").count == 0)

    let record = Record(connection)
    let unfilled = try record.unfilledSections(1)
    #expect(unfilled.map(\.z) == [0, 1, 2] && unfilled.map(\.file) == ["f0.h5", "f1.h5", "f2.h5"])
    for (section, signature) in zip(unfilled, [8, 9, 10] as [UInt32]) {
      #expect(try record.fill(section, volume: 1, World.tiles(signature)))
      #expect(try !record.fill(section, volume: 1, World.tiles(signature)), "once")
    }
    #expect(try record.unfilledSections(1) == [])
    #expect(try connection.execute(query, [.int(x)]).int(0, 0) == Int64(World.fragments(1, 9)[0].id.rawValue))
    #expect(try connection.execute("select outline from segment_sections where outline is null").count == 0)
  }

  /// From every earlier step to this one: whatever could be asked before is answered as before, and as this program would have
  /// answered from the beginning.
  @Test(arguments: 1..<Migrator.embedded.migrations.count)
  func everyEarlierSchemaIsCarriedOver(step: Int) throws {
    var history = try EarlierHistory(step: step)
    let old = try TestDatabase(migrated: false).connection
    try Migrator(migrations: Array(Migrator.embedded.migrations.prefix(step))).migrate(old)
    try history.copy(to: old)
    let before = try EarlierHistory.answers(old)
    #expect(before.allSatisfy { !$0.isEmpty })
    #expect(try Migrator.embedded.migrate(old) == Migrator.embedded.migrations.dropFirst(step).map(\.name))
    #expect(try EarlierHistory.answers(old) == before)
    #expect(try EarlierHistory.answers(history.connection) == before)

    // Label tiles came with step 3; until then, only what is shown now can be filled in.
    let record = Record(old)
    let unfilled = try record.unfilledSections(1)
    #expect(unfilled.isEmpty == (step >= 3))
    for section in unfilled {
      let tiles = World.tiles(section.z == 8 ? 77 : history.world.signature(section.z))
      #expect(try record.fill(section, volume: 1, tiles))
    }
    let points = """
      select z, y, x, segment_at('cortex', z, y, x) from generate_series(0, 8) z, generate_series(25, 125, 50) y,
        generate_series(3, 127, 31) x order by 1, 2, 3
      """
    let found = try old.execute(points).table(columns: 4)
    #expect(try history.connection.execute(points).table(columns: 4) == found && found.contains { $0[3] != "-" })
    if step >= 3 {
      #expect(try EarlierHistory.pastAnswers(old) == EarlierHistory.pastAnswers(history.connection))
    }
    #expect(try record.checkLineage(volume: 1).faults == [])

    // The daemon and people go on with it.
    try history.receive(5, revision: 1)
    _ = try record.receive(
      volume: 1, z: 5, sha256: String(repeating: "0", count: 62) + "6a", path: "/scope/5-106.tif", size: 100,
      mtimeNs: 7,
      height: World.side, width: World.side, bitDepth: 8, meanIntensity: 0.5, run: 1)
    let changed = try history.connection.execute(
      """
      select z from section_segmentation
      where operation_id = (select max(operation_id) from operation where kind = 'revision') order by z
      """
    ).table(columns: 1)
    try record.commitFinal(
      volume: 1, run: 1, changed.compactMap { SectionNumber($0[0]) }.map { history.world.commit($0) })
    let membership = "select fragment_id, live_segment(1, fragment_id) from fragment order by 1"
    #expect(
      try old.execute(membership).table(columns: 2) == history.connection.execute(membership).table(columns: 2))
    let live = try old.execute(
      """
      select segment_id from segment where state = 'live'
        and segment_id not in (select segment_a from correction where decision = 'lock') order by 1 limit 2
      """
    ).table(columns: 1).map { FragmentID(rawValue: UInt64($0[0]) ?? 0) }
    try Proofreader(old).undo(Proofreader(old).merge(live[0], live[1]))
    #expect(try record.checkLineage(volume: 1).faults == [])
  }

  /// A dump and its restoration hold the past too, the guards of the rows, and where numbers go on.
  @Test func aDumpIsRestoredWithItsPast() throws {
    let history = try EarlierHistory(step: Migrator.embedded.migrations.count)
    try Access.makeRoles(history.connection)
    try Access.grant(history.connection, always: true)
    let file = "/tmp/fgnet-dump-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    defer { try? FileManager.default.removeItem(atPath: file) }
    let restored = try TestDatabase(migrated: false)
    try run("pg_dump", ["--format=custom", "--file=\(file)", "--dbname=\(history.stack.database.conninfo)"])
    try run("pg_restore", ["--exit-on-error", "--dbname=\(restored.conninfo)", file])
    let connection = restored.connection
    #expect(try Migrator.embedded.migrate(connection) == [], "the recorded checksums are those of this program")
    #expect(try EarlierHistory.answers(connection) == EarlierHistory.answers(history.connection))
    #expect(try EarlierHistory.pastAnswers(connection) == EarlierHistory.pastAnswers(history.connection))
    #expect(try Access.state(connection) == .guarded)
    let record = Record(connection)
    #expect(try connection.execute("select from contact_block where is_complete").count == 1)
    #expect(try record.checkLineage(volume: 1).faults == [])
    let last = try #require(try record.lastOperation(volume: 1))
    let lock = try connection.execute("select undo_with from corrections where decision = 'lock'").int(0, 0)
    #expect(try Proofreader(connection).undo(lock) > last)
    #expect(try record.checkLineage(volume: 1).faults == [])
  }

  private func run(_ program: String, _ arguments: [String]) throws {
    let process = Process()
    process.executableURL = URL(filePath: try PostgresInstallation.find().binaries + "/" + program)
    process.arguments = arguments
    let errors = Pipe()
    process.standardError = errors
    try process.run()
    let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(program): \(said)")
  }
}
