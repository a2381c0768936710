/// Who may do what in the database: the roles `fgnet_reader`, `fgnet_proofreader`, `fgnet_administrator` and `fgnet_daemon`.
///
/// Roles belong to the whole server, so a lab's administrator makes them (`fgnetd init-database`, or the text of `roles`). A
/// private cluster makes its own. Without them everything belongs to the user who made the schema.
public enum Access {
  /// What a server has of it.
  public enum State: Sendable, Equatable {
    /// No roles: nobody but the schema's owner can do anything.
    case ownerOnly
    /// Roles, but rows are not guarded by volume, as `fgnet_daemon` lacks BYPASSRLS: every reader sees all volumes.
    case unguarded
    /// Roles, and rows guarded by volume.
    case guarded
  }

  /// SQL that makes the roles, for whoever has the right to.
  public static let roles = String(decoding: PackageResources.roles_sql, as: UTF8.self)

  /// Whether this connection's user may make roles.
  public static func mayMakeRoles(_ connection: Connection) throws(DatabaseError) -> Bool {
    try connection.execute("select rolsuper or rolcreaterole from pg_roles where rolname = current_user").bool(0, 0)
  }

  /// Makes the roles that are not there.
  public static func makeRoles(_ connection: Connection) throws(DatabaseError) {
    try connection.transaction { () throws(DatabaseError) in try connection.script(roles) }
  }

  /// Gives the roles, if there are any, their rights in the schema.
  /// - Parameter always: false to do so only if they have none yet.
  public static func grant(_ connection: Connection, always: Bool) throws(DatabaseError) {
    let facts = try connection.execute(
      """
      select (select count(*) = 4 from pg_roles
          where rolname in ('fgnet_reader', 'fgnet_proofreader', 'fgnet_administrator', 'fgnet_daemon')),
        pg_has_role(current_user, nspowner, 'usage') from pg_namespace where nspname = 'fgnet'
      """)
    guard try facts.bool(0, 0), try facts.bool(0, 1) else { return }
    if !always, try connection.execute("select has_schema_privilege('fgnet_reader', 'fgnet', 'usage')").bool(0, 0) {
      return
    }
    try connection.transaction { () throws(DatabaseError) in
      try connection.script(String(decoding: PackageResources.grants_sql, as: UTF8.self))
    }
  }

  /// Gives up every right but those of the daemon, for the rest of the connection, if this user may act as the daemon.
  public static func workAsDaemon(_ connection: Connection) throws(DatabaseError) {
    let isPossible = try connection.execute(
      """
      select exists (select from pg_roles where rolname = 'fgnet_daemon' and pg_has_role(session_user, oid, 'member'))
        and has_table_privilege(session_user, 'fgnet.volume', 'select')
      """
    ).bool(0, 0)
    guard isPossible else { return }
    if try connection.execute("select has_table_privilege('fgnet_daemon', 'fgnet.fragment', 'insert')").bool(0, 0) {
      try connection.script("set role fgnet_daemon")
    }
  }

  /// Gives up every right but those of a reader, for the rest of the connection, if this user may act as one.
  public static func workAsReader(_ connection: Connection) throws(DatabaseError) {
    let isPossible = try connection.execute(
      """
      select exists (select from pg_roles where rolname = 'fgnet_reader' and pg_has_role(session_user, oid, 'member')
        and has_schema_privilege(oid, 'fgnet', 'usage'))
      """
    ).bool(0, 0)
    if isPossible { try connection.script("set role fgnet_reader") }
  }

  /// What the database has.
  public static func state(_ connection: Connection) throws(DatabaseError) -> State {
    let facts = try connection.execute(
      """
      select exists (select from pg_roles where rolname = 'fgnet_reader'
          and has_schema_privilege(oid, 'fgnet', 'usage')),
        (select relrowsecurity from pg_class where oid = 'fgnet.fragment'::regclass)
      """)
    guard try facts.bool(0, 0) else { return .ownerOnly }
    return try facts.bool(0, 1) ? .guarded : .unguarded
  }
}
