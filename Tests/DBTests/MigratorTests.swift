import DB
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
