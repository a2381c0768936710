import DB
import Domain
import Testing

/// A volume with everything in it that a version of the schema could hold, made by this program.
struct EarlierHistory {
  let stack: TestVolume
  var connection: Connection { stack.database.connection }
  private(set) var world = World(looksAhead: true, seed: 11)

  /// - Parameter step: nothing that came with a later step of the schema is used.
  init(step: Int) throws {
    stack = try TestVolume()
    let record = stack.record
    // Sections 0 to 6, of which 2 comes late and 4 is revised; 8 is shown provisionally, 9 is missing.
    for z in [0, 1, 3, 4, 5, 6, 2] as [SectionNumber] { try receive(z, revision: 0) }
    try receive(4, revision: 1)
    try stack.receive(8, bytes: 8)
    try record.commitProvisional(
      volume: stack.volume, run: stack.run,
      SectionCommit(
        z: 8, file: "p.h5", signature: "p", fragments: World.fragments(8, 77), edges: [], labels: World.tiles(77)))
    try record.declareMissing(volume: stack.volume, z: 9, run: stack.run)
    try record.quarantine(path: "/scope/cut.tif", size: 1, mtimeNs: 1, reason: "cut short")
    func has(_ name: String) -> Bool {
      Migrator.embedded.migrations.prefix(step).contains { $0.name == name }
    }
    if has("people") {
      try record.note(AlarmNote(kind: "disk", text: "no room", raisedAt: 1, endedAt: 9), source: "scope:/state")
      try connection.script("insert into volume_access (volume_id, role_name) values (1, 'fgnet')")
    }
    if has("set_aside") {
      try stack.receive(10, bytes: 10)
      let failed = try #require(try record.section(stack.volume, z: 10))
      try record.setAside(volume: stack.volume, z: 10, sectionID: failed.id, reason: "no answer", run: stack.run)
    }
    if has("proofreading") { try proofread(confirming: has("review_queue")) }
    try receive(7, revision: 0)
    if has("contacts") { try record.summariseContacts(volume: stack.volume, block: 0) }
  }

  /// Takes a section in and commits all that follows from it.
  mutating func receive(_ z: SectionNumber, revision: Int) throws {
    let before = world
    world.revisions[z] = revision
    try stack.receive(z, bytes: 100 * revision + Int(z) + 1)
    try stack.record.commitFinal(
      volume: stack.volume, run: stack.run, world.differences(from: before).map { world.commit($0) })
  }

  private func proofread(confirming: Bool) throws {
    let person = Proofreader(connection)
    func segments() throws -> [FragmentID] {
      try stack.liveSegments().sorted().map { FragmentID(rawValue: UInt64($0)) }
    }
    let undone = try person.merge(segments()[0], segments()[1])
    try person.undo(undone)
    try person.merge(segments()[1], segments()[2])
    let membership = try stack.membership()
    let largest = try #require(
      Dictionary(grouping: membership.keys.sorted(), by: { membership[$0]?.rawValue ?? 0 }).values
        .max { ($0.count, $1[0]) < ($1.count, $0[0]) })
    try person.split(largest[0], [largest[largest.count - 1]])
    try person.annotate(segments()[0], "axon")
    if confirming { try person.confirm(segments()[0], segments()[1]) }
    try person.lock(segments()[3])
  }

  /// The rows as a database at an earlier step of the schema held them.
  func copy(to old: Connection) throws {
    let tables = try old.execute(
      """
      select t.table_name, string_agg(quote_ident(c.column_name), ', ') from information_schema.tables t
      join information_schema.columns c on c.table_schema = 'fgnet' and c.table_name = t.table_name
      where t.table_schema = 'fgnet' and t.table_type = 'BASE TABLE' and t.table_name <> 'schema_migration'
        and c.is_generated = 'NEVER' group by t.table_name
      """
    ).table(columns: 2)
    try old.script("set session_replication_role = replica")
    for table in tables {
      let rows = try connection.execute("select coalesce(json_agg(t), '[]') from fgnet.\(table[0]) t").text(0, 0)
      try old.execute(
        """
        insert into fgnet.\(table[0]) (\(table[1])) overriding system value
        select \(table[1]) from json_populate_recordset(null::fgnet.\(table[0]), $1::json)
        """, [.text(rows)])
      let identity = try old.execute(
        """
        select column_name from information_schema.columns
        where table_schema = 'fgnet' and table_name = $1 and is_identity = 'YES'
        """, [.text(table[0])])
      if identity.count == 1 {
        let column = try identity.text(0, 0)
        try old.execute(
          """
          select setval(pg_get_serial_sequence('fgnet.\(table[0])', $1), (select coalesce(max(\(column)), 0) + 1
            from fgnet.\(table[0])))
          """, [.text(column)])
      }
    }
    try old.script("set session_replication_role = origin")
  }

  /// What every version of the schema can be asked, with the columns that each had.
  static func answers(_ connection: Connection) throws -> [[[String]]] {
    var answers = [
      try connection.execute(
        """
        select segment_id, state, size_voxels, volume_um3, first_z, last_z, sections, fragments, provisional_fragments,
          min_y, min_x, max_y, max_x, centroid_z, centroid_y, centroid_x from segments order by segment_id
        """
      ).table(columns: 16),
      try connection.execute(
        """
        select segment_id, z, area_px, fragments, final, min_y, min_x, max_y, max_x, centroid_y, centroid_x
        from segment_sections order by segment_id, z
        """
      ).table(columns: 11),
      try connection.execute(
        """
        select z, revision, state, received_at, segmented_at, fragments, height, width, bit_depth, mean_intensity,
          std_intensity, source_path, content_sha256, file, signature, run_id, note, section_id from sections order by z
        """
      ).table(columns: 18),
      try connection.execute(
        """
        select lineage_id, event, segment_id, other_segment_id, z, cause_fragment_a, cause_fragment_b, score, at,
          operation, actor, run_id, section_id, operation_id from lineage order by lineage_id
        """
      ).table(columns: 14),
    ]
    answers += try perOperation(
      connection, "select fragment_id, segment_id from membership_as_of(1, $1) order by fragment_id", columns: 2)
    return answers
  }

  /// What the versions from step 3 on can be asked of the past.
  static func pastAnswers(_ connection: Connection) throws -> [[[String]]] {
    var answers: [[[String]]] = []
    for (query, columns) in [
      ("select s.* from segments_as_of('cortex', $1) s order by segment_id", 14),
      ("select s.* from segment_sections_as_of('cortex', $1) s order by segment_id, z", 11),
      ("select s.* from sections_as_of('cortex', $1) s order by z", 11),
      ("select c.* from changes_since($1) c order by segment_id", 7),
      (
        """
        select s.segment_id, n.* from segments_as_of('cortex', $1) s
        cross join lateral neighbours('cortex', s.segment_id, $1) n order by 1, 2
        """, 6
      ),
      (
        """
        select s.segment_id, a.segment_id, a.became, a.lineage_id from segments_as_of('cortex', $1) s
        cross join lateral ancestors('cortex', s.segment_id, $1) a order by 1, 4, 2
        """, 4
      ),
      (
        """
        select z, y, x, segment_at('cortex', z, y, x, $1) from generate_series(0, 7) z, generate_series(25, 125, 50) y,
          generate_series(3, 127, 31) x order by 1, 2, 3
        """, 4
      ),
    ] {
      answers += try perOperation(connection, query, columns: columns)
    }
    return answers
  }

  private static func perOperation(_ connection: Connection, _ query: String, columns: Int) throws -> [[[String]]] {
    let operations = try connection.execute("select operation_id from operation order by 1").table(columns: 1)
    return try operations.map { try connection.execute(query, [.int(Int64($0[0]) ?? 0)]).table(columns: columns) }
  }
}
