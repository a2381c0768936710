import DB
import Domain
import Foundation
import Synchronization

/// Fills a private database with a made-up history.
struct History {
  let shape: Shape
  let sections: NewSections

  /// As a loader needs it: nothing has to outlast a crash, and indexes are sorted in memory.
  static var loading: EmbeddedCluster.Options {
    var options = EmbeddedCluster.Options()
    options.settings = [
      "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "wal_level": "minimal",
      "max_wal_senders": "0",
      "max_wal_size": "4GB", "checkpoint_timeout": "30min", "shared_buffers": "1GB", "autovacuum": "off",
      "maintenance_work_mem": "1500MB", "work_mem": "500MB", "max_parallel_workers_per_gather": "0",
      "max_parallel_maintenance_workers": "1",
    ]
    return options
  }

  func make(in directory: String) throws {
    let cluster = EmbeddedCluster(directory: directory, options: Self.loading)
    let conninfo = try cluster.start()
    defer { try? cluster.stop() }
    let connection = try Connection(conninfo)
    try Migrator.embedded.migrate(connection)
    try Access.makeRoles(connection)
    try Access.grant(connection, always: true)
    let record = Record(connection)
    let volume = try record.openVolume(name: "cortex", voxelSize: VoxelSize(z: 40, y: 4, x: 4)).id
    _ = try record.startRun(
      volume: volume, configuration: "{}", fingerprint: "f", modelHash: nil, codeVersion: "made up")
    try connection.execute(
      "update volume set height = $1, width = $2",
      [.int(sections.patterns[0].height), .int(sections.patterns[0].width)])
    try step("the pattern and the structure", connection) { connection throws(DatabaseError) in
      try connection.script(Statements.text(PackageResources.made_a_tables_sql))
      try describe(connection)
      try connection.script(Statements.text(PackageResources.made_b_structure_sql))
      try connection.script(Statements.text(PackageResources.made_h_indexes_off_sql))
    }
    let indexes = try Indexes(connection)
    try beside(
      conninfo,
      [
        ("edges", PackageResources.made_c_edges_sql, "region_edge"),
        ("sections", PackageResources.made_d_sections_sql, ""),
        ("fragments", PackageResources.made_e_fragments_sql, "fragment"),
        ("lineage", PackageResources.made_f_lineage_sql, "lineage_event"),
        ("segments and corrections", PackageResources.made_g_segments_sql, "segment_change"),
      ], indexes)
    try step("the segments to be asked about", connection) { connection throws(DatabaseError) in
      try connection.script(Statements.text(PackageResources.made_i_pick_sql))
    }
    for table in try tables(connection) {
      try step("vacuum \(table)", connection) { connection throws(DatabaseError) in
        try connection.script(try Self.vacuum(table, connection))
      }
    }
    try connection.script("checkpoint")
  }

  /// Loads tables and makes their indexes, in two sessions: the edges in one, all else in the other.
  private func beside(
    _ conninfo: String, _ loads: [(name: String, sql: [UInt8], table: String)], _ indexes: Indexes
  ) throws {
    let failure = Mutex<(any Error)?>(nil)
    DispatchQueue.concurrentPerform(iterations: 2) { half in
      do {
        let connection = try Connection(conninfo)
        for load in half == 0 ? loads.prefix(1) : loads.dropFirst() {
          try step(load.name, connection) { connection throws(DatabaseError) in
            try connection.script(Statements.text(load.sql))
          }
        }
        while let (table, definition) = indexes.next(half) {
          try step("index on \(table)", connection) { connection throws(DatabaseError) in
            try connection.script(definition)
          }
        }
      } catch {
        failure.withLock { $0 = $0 ?? error }
      }
    }
    if let error = failure.withLock({ $0 }) { throw error }
  }

  private func step(
    _ name: String, _ connection: Connection, _ body: (Connection) throws(DatabaseError) -> Void
  ) throws {
    let start = ContinuousClock.now
    try connection.script("set session_replication_role to replica; set lock_timeout to 0")
    try body(connection)
    Report.say("  \(name): \(Report.seconds(ContinuousClock.now - start)) s")
  }

  private func describe(_ connection: Connection) throws(DatabaseError) {
    try connection.execute(
      "insert into made.shape values ($1::integer, $2::integer, $3, $4, $5)",
      [
        .int(shape.sections), .int(shape.edits), .double(shape.meanLength), .double(shape.orphans),
        .double(shape.meanDelay),
      ])
    var columns = CopyBuilder(columns: 3)
    for column in 0..<shape.columns {
      columns.row()
      columns.int4(Int32(column))
      columns.int4(Int32(sections.bundles.spine[column]))
      columns.float8(sections.bundles.cut[column])
    }
    try connection.copyIn("made.column", columns)
    var fragments = CopyBuilder(columns: 9)
    var edges = CopyBuilder(columns: 5)
    var tiles = CopyBuilder(columns: 5)
    for parity in 0...1 {
      for fragment in sections.patterns[parity].fragments {
        fragments.row()
        fragments.int4(Int32(parity))
        fragments.int4(Int32(fragment.label))
        fragments.int8(Int64(fragment.area))
        for number in [fragment.minY, fragment.minX, fragment.maxY, fragment.maxX] { fragments.int4(number) }
        fragments.float8(fragment.centroidY)
        fragments.float8(fragment.centroidX)
      }
      let contacts = sections.contacts(parity)
      for (kind, list) in [("between", contacts.between), ("within", contacts.within)] {
        for contact in list {
          edges.row()
          edges.int4(Int32(parity))
          edges.text(kind)
          for number in [Int32(contact.a), Int32(contact.b), Int32(contact.area)] { edges.int4(number) }
        }
      }
      for tile in sections.patterns[parity].tiles.tiles {
        tiles.row()
        for number in [Int32(parity), tile.minY, tile.minX, tile.height] { tiles.int4(number) }
        tiles.bytea(tile.runs)
      }
    }
    try connection.copyIn("made.pattern_fragment", fragments)
    try connection.copyIn("made.pattern_edge", edges)
    try connection.copyIn("made.pattern_tile", tiles)
    try connection.script("analyze made.pattern_fragment; analyze made.pattern_edge")
  }

  private func tables(_ connection: Connection) throws(DatabaseError) -> [String] {
    let rows = try connection.execute(
      "select relname from pg_class where relnamespace = 'fgnet'::regnamespace and relkind = 'r' order by relname")
    var names: [String] = []
    for row in 0..<rows.count { names.append(try rows.text(row, 0)) }
    return names
  }

  /// The statement that vacuums a table, its name quoted by the server.
  private static func vacuum(_ table: String, _ connection: Connection) throws(DatabaseError) -> String {
    try connection.execute("select format('vacuum (analyze) fgnet.%I', $1::text)", [.text(table)]).text(0, 0)
  }
}

/// Definitions of the indexes that are to be made, for two sessions: those of the edges, and the others.
final class Indexes: Sendable {
  private let waiting: Mutex<[(table: String, definition: String)]>

  init(_ connection: Connection) throws(DatabaseError) {
    let rows = try connection.execute("select relation, definition from made.index order by relation, definition")
    var found: [(table: String, definition: String)] = []
    for row in 0..<rows.count { found.append((try rows.text(row, 0), try rows.text(row, 1))) }
    waiting = Mutex(found)
  }

  func next(_ half: Int) -> (table: String, definition: String)? {
    waiting.withLock { waiting in
      guard let place = waiting.firstIndex(where: { ($0.table == "region_edge") == (half == 0) }) else { return nil }
      return waiting.remove(at: place)
    }
  }
}

enum Statements {
  static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
