internal import CCrypto

/// One step of the schema. Once released it never changes.
public struct Migration: Sendable, Equatable {
  /// Position, from 1 without gaps.
  public var number: Int
  public var name: String
  public var sql: String
  public init(number: Int, name: String, sql: String) {
    self.number = number
    self.name = name
    self.sql = sql
  }

  /// SHA-256 of the SQL text, hexadecimal.
  public var checksum: String { sha256(Array(sql.utf8)) }
}

/// Brings the schema `fgnet` to the state that this program knows.
public struct Migrator: Sendable {
  public var migrations: [Migration]

  /// The migrations that are part of the program.
  public static let embedded = Migrator(migrations: [
    Migration(number: 1, name: "initial", sql: String(decoding: PackageResources.m0001_initial_sql, as: UTF8.self)),
    Migration(
      number: 2, name: "file_facts", sql: String(decoding: PackageResources.m0002_file_facts_sql, as: UTF8.self)),
    Migration(
      number: 3, name: "people",
      sql: [
        PackageResources.m0003a_tables_sql, PackageResources.m0003b_geometry_sql, PackageResources.m0003c_past_sql,
        PackageResources.m0003d_views_sql, PackageResources.m0003e_functions_sql, PackageResources.m0003f_history_sql,
        PackageResources.m0003g_notices_sql,
      ].map { String(decoding: $0, as: UTF8.self) }.joined()),
    Migration(
      number: 4, name: "proofreading",
      sql: [
        PackageResources.m0004a_corrections_sql, PackageResources.m0004b_region_cut_sql,
        PackageResources.m0004c_edits_sql, PackageResources.m0004d_proofreading_sql, PackageResources.m0004e_undo_sql,
      ].map { String(decoding: $0, as: UTF8.self) }.joined(separator: "\n")),
    Migration(number: 5, name: "set_aside", sql: String(decoding: PackageResources.m0005_set_aside_sql, as: UTF8.self)),
    Migration(
      number: 6, name: "review_queue",
      sql: [PackageResources.m0006a_confirm_sql, PackageResources.m0006b_review_queue_sql]
        .map { String(decoding: $0, as: UTF8.self) }.joined(separator: "\n")),
    Migration(
      number: 7, name: "scale",
      sql: [
        PackageResources.m0007a_indexes_sql, PackageResources.m0007b_history_sql,
        PackageResources.m0007c_neighbours_sql, PackageResources.m0007d_kept_plans_sql,
      ].map { String(decoding: $0, as: UTF8.self) }.joined(separator: "\n")),
    Migration(
      number: 8, name: "contacts",
      sql: [
        PackageResources.m0008a_contacts_sql, PackageResources.m0008b_neighbours_sql,
        PackageResources.m0008c_known_segments_sql, PackageResources.m0008d_history_sql,
        PackageResources.m0008e_contact_of_sql, PackageResources.m0008f_past_sql,
      ].map { String(decoding: $0, as: UTF8.self) }.joined(separator: "\n")),
    Migration(
      number: 9, name: "commit_speed", sql: String(decoding: PackageResources.m0009_commit_speed_sql, as: UTF8.self)),
  ])

  /// - Precondition: numbers are 1, 2, 3, ...
  public init(migrations: [Migration]) {
    precondition(migrations.enumerated().allSatisfy { $0.offset + 1 == $0.element.number })
    self.migrations = migrations
  }

  /// Applies what is missing, each step in a transaction of its own. Two programs may call it at the same time.
  /// - Returns: names of the steps applied now.
  ///
  /// A schema that is up to date is only read, so that the daemon's user need not own it.
  /// - Throws: `.schema` if the database's is newer than this program, not what its migrations made, or behind and not
  ///   this user's to change.
  @discardableResult
  public func migrate(_ connection: Connection) throws(DatabaseError) -> [String] {
    if try connection.execute("select to_regclass('fgnet.schema_migration') is not null").bool(0, 0) {
      try check(connection)
      if try recorded(connection).count == migrations.count { return [] }
    }
    do throws(DatabaseError) { return try apply(connection) } catch {
      guard error.sqlstate == "42501" else { throw error }
      throw .schema(
        "the database's schema is not at step \(migrations.count), and this database user may not change it: "
          + "run `fgnetd init-database --url ...` as the owner of the schema fgnet")
    }
  }

  private func apply(_ connection: Connection) throws(DatabaseError) -> [String] {
    try connection.transaction { () throws(DatabaseError) in
      try Migrator.lock(connection)
      try connection.script(Migrator.ledger)
      try check(connection)
    }
    var applied: [String] = []
    for migration in migrations {
      let done = try connection.transaction { () throws(DatabaseError) -> Bool in
        try Migrator.lock(connection)
        guard try recorded(connection).count < migration.number else { return false }
        try connection.script("set local search_path to fgnet")
        try connection.script(migration.sql)
        try connection.execute(
          "insert into fgnet.schema_migration (number, name, sha256) values ($1, $2, $3)",
          [.int(migration.number), .text(migration.name), .text(migration.checksum)])
        return true
      }
      if done { applied.append(migration.name) }
    }
    return applied
  }

  /// Throws if the schema is newer than this program, or not what its migrations made.
  func check(_ connection: Connection) throws(DatabaseError) {
    let rows = try recorded(connection)
    if rows.count > migrations.count {
      throw .schema(
        "the database's schema is at step \(rows.count) (\(rows[rows.count - 1].name)), newer than this program, "
          + "which knows \(migrations.count): install the newer fgnetd again")
    }
    for (row, migration) in zip(rows, migrations) where row.checksum != migration.checksum {
      throw .schema(
        "schema step \(migration.number) (\(row.name)) was made from a different text than this program has: "
          + "use the program that made it, or a new database")
    }
  }

  private func recorded(_ connection: Connection) throws(DatabaseError) -> [(name: String, checksum: String)] {
    let result = try connection.execute("select number, name, sha256 from fgnet.schema_migration order by number")
    var rows: [(name: String, checksum: String)] = []
    for row in 0..<result.count {
      guard try result.int(row, 0) == Int64(row + 1) else {
        throw .schema("the table fgnet.schema_migration lacks step \(row + 1): restore the database from a backup")
      }
      rows.append((try result.text(row, 1), try result.text(row, 2)))
    }
    return rows
  }

  private static func lock(_ connection: Connection) throws(DatabaseError) {
    try connection.execute("select pg_advisory_xact_lock(1718513780, 0)")
  }

  private static let ledger = """
    create schema if not exists fgnet;
    create table if not exists fgnet.schema_migration (
      number integer primary key, name text not null, sha256 text not null,
      applied_at timestamptz not null default now());
    comment on table fgnet.schema_migration is 'Steps of the schema that were applied.';
    comment on column fgnet.schema_migration.number is 'Position.';
    comment on column fgnet.schema_migration.name is 'Name of the step.';
    comment on column fgnet.schema_migration.sha256 is 'SHA-256 of its text, hexadecimal.';
    comment on column fgnet.schema_migration.applied_at is 'When it was applied.';
    """
}

/// SHA-256, hexadecimal.
func sha256(_ bytes: [UInt8]) -> String {
  var digest = [UInt8](repeating: 0, count: 32)
  EVP_Digest(bytes, bytes.count, &digest, nil, EVP_sha256(), nil)
  let digits = Array("0123456789abcdef".utf8)
  return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}
