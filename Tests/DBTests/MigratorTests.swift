import DB
import Domain
import Foundation
import Testing

@Suite struct MigratorTests {
  private let extra = Migration(
    number: Migrator.embedded.migrations.count + 1, name: "extra", sql: "create table extra (a integer)")

  @Test func everyStepIsAppliedOnce() throws {
    let connection = try TestDatabase(migrated: false).connection
    #expect(try Migrator.embedded.migrate(connection) == Migrator.embedded.migrations.map(\.name))
    #expect(try Migrator.embedded.migrate(connection) == [])
    let more = Migrator(migrations: Migrator.embedded.migrations + [extra])
    #expect(try more.migrate(connection) == ["extra"])
    #expect(try connection.execute("select from fgnet.extra").count == 0)
    let rows = try connection.execute("select number, name, sha256 from fgnet.schema_migration order by 1")
    #expect(try rows.table(columns: 3) == more.migrations.map { ["\($0.number)", $0.name, $0.checksum] })
  }

  /// A volume from before corrections can be checked, edited, and brought back.
  @Test func anOlderVolumeCanBeProofread() throws {
    let connection = try TestDatabase(migrated: false).connection
    let steps = Migrator.embedded.migrations
    let place = try #require(steps.firstIndex { $0.name == "proofreading" })
    try Migrator(migrations: Array(steps[..<place])).migrate(connection)
    // Fragments 1 and 2 of section 0, 1 of section 1; the second segment was merged into the first.
    try connection.script(
      """
      insert into volume (name, voxel_z_nm, voxel_y_nm, voxel_x_nm) values ('cortex', 40, 4, 4);
      insert into operation (volume_id, kind, first_z, z, actor) values (1, 'section_final', 0, 1, 'fgnetd');
      insert into segment values
        (1, (131072::bigint << 45) + 1, 'live', null, default, 1, null),
        (1, (131072::bigint << 45) + 2, 'retired', (131072::bigint << 45) + 1, default, 1, 1);
      insert into fragment
      select 1, ((131072 + f.z)::bigint << 45) + f.label, f.z, f.label, 9, 0, 0, 3, 3, 1, 1, 'final',
        (131072::bigint << 45) + f.segment, 1
      from (values (0, 1, 1), (0, 2, 2), (1, 1, 2)) f (z, label, segment);
      insert into region_edge
      select 1, (131072::bigint << 45) + e.a, ((131072 + e.z)::bigint << 45) + e.b, e.z,
        case e.z when 0 then 'within' else 'between' end, 5, 0.5, e.score, true, 1
      from (values (1, 0, 2, 0.5), (2, 1, 1, 0.75)) e (a, z, b, score);
      insert into lineage_event (operation_id, volume_id, event, segment_id, other_segment_id, z)
      select 1, 1, e.event, (131072::bigint << 45) + e.a, (131072::bigint << 45) + e.b, 0
      from (values ('born', 1, null), ('born', 2, null), ('merged', 1, 2)) e (event, a, b);
      """)
    try Migrator.embedded.migrate(connection)
    let record = Record(connection)
    #expect(try record.checkLineage(volume: 1).faults == [])
    let person = Proofreader(connection)
    func fragment(_ z: SectionNumber, _ label: UInt32) -> FragmentID { FragmentID(z: z, signature: 0, label: label) }
    func segments() throws -> [UInt64] { try record.membership(volume: 1).map(\.segment.rawValue) }
    let before = try segments()
    let split = try person.split(fragment(0, 1), between: fragment(0, 1), fragment(1, 1))
    #expect(try Set(segments()) == Set([fragment(0, 1).rawValue, fragment(0, 2).rawValue]))
    #expect(try record.membership(volume: 1, asOf: 1).map(\.segment.rawValue) == before)
    try person.undo(split)
    #expect(try segments() == before)
    #expect(try record.checkLineage(volume: 1).faults == [])
  }

  @Test func severalProgramsMayMigrateAtOnce() async throws {
    let database = try TestDatabase(migrated: false)
    let conninfo = database.conninfo
    let applied = try await withThrowingTaskGroup(of: [String].self) { group in
      for _ in 0..<3 {
        group.addTask {
          let connection = try Connection(conninfo)
          try connection.script("set lock_timeout to 0")
          return try Migrator.embedded.migrate(connection)
        }
      }
      return try await group.reduce(into: []) { $0 += $1 }
    }
    #expect(applied.sorted() == Migrator.embedded.migrations.map(\.name).sorted(), "each step once")
    #expect(try Migrator.embedded.migrate(database.connection) == [])
  }

  @Test func checksumsAreSHA256() {
    let empty = Migration(number: 1, name: "", sql: "abc")
    #expect(empty.checksum == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  }

  @Test func aNewerSchemaIsRefused() throws {
    let connection = try TestDatabase(migrated: false).connection
    try Migrator(migrations: Migrator.embedded.migrations + [extra]).migrate(connection)
    let failure = #expect(throws: DatabaseError.self) { try Migrator.embedded.migrate(connection) }
    let said = "at step \(extra.number) (extra), newer than this program, which knows \(extra.number - 1)"
    #expect(failure?.description.contains(said) == true)
  }

  @Test func aChangedStepIsRefused() throws {
    let connection = try TestDatabase(migrated: false).connection
    try Migrator(migrations: [Migration(number: 1, name: "initial", sql: "select 1")]).migrate(connection)
    let failure = #expect(throws: DatabaseError.self) { try Migrator.embedded.migrate(connection) }
    #expect(failure?.description.contains("step 1 (initial) was made from a different text") == true)
    #expect(failure?.isTransient == false)
  }

  @Test func aFailedStepLeavesNothingOfItself() throws {
    let connection = try TestDatabase(migrated: false).connection
    let broken = Migration(
      number: Migrator.embedded.migrations.count + 1, name: "broken", sql: "create table half (a integer); select 1 / 0"
    )
    let migrator = Migrator(migrations: Migrator.embedded.migrations + [broken])
    #expect(throws: DatabaseError.self) { try migrator.migrate(connection) }
    #expect(try connection.execute("select to_regclass('fgnet.half')").optionalText(0, 0) == nil)
    #expect(try connection.execute("select from fgnet.schema_migration").count == Migrator.embedded.migrations.count)
    #expect(try Migrator.embedded.migrate(connection) == [])
  }
}
