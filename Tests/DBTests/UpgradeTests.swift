import DB
import Domain
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
}
