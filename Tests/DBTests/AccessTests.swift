import DB
import Domain
import Foundation
import Testing

/// What each role may and must not do.
@Suite struct AccessTests {
  /// A volume with a final section, its database with roles.
  private func stack() throws -> TestVolume {
    let stack = try TestVolume()
    try Access.makeRoles(stack.database.connection)
    try Access.grant(stack.database.connection, always: true)
    #expect(try Access.state(stack.database.connection) == .guarded)
    return stack
  }

  private func fill(_ stack: TestVolume) throws -> World {
    let world = World(revisions: [0: 0], looksAhead: false, seed: 2)
    try stack.receive(0, bytes: 1)
    try stack.record.commitFinal(volume: stack.volume, run: stack.run, [world.commit(0)])
    return world
  }

  private static let changes = [
    "insert into fgnet.quarantine (path, size, mtime_ns, reason) values ('p', 1, 1, 'r')",
    "update fgnet.segment set state = 'live'",
    "delete from fgnet.fragment",
    "delete from fgnet.lineage_event",
    "truncate fgnet.region_edge",
    "update fgnet.section set note = 'x'",
  ]
  private static let definitions = [
    "create table fgnet.own (a integer)", "drop table fgnet.fragment", "alter table fgnet.segment add column a integer",
    "create or replace function fgnet.api_version() returns integer language sql return 2",
    "drop view fgnet.segments", "alter table fgnet.fragment disable row level security",
    "create role fgnet_test_intruder", "update fgnet.schema_migration set sha256 = ''",
  ]

  @Test func eachRoleIsStoppedWhereItsRightsEnd() throws {
    let stack = try stack()
    _ = try fill(stack)
    let connection = stack.database.connection
    let access = "insert into fgnet.volume_access (volume_id, role_name) values (\(stack.volume), 'fgnet_reader')"
    let forbidden = [
      "fgnet_reader": Self.changes + Self.definitions + [access],
      "fgnet_proofreader": Self.changes + Self.definitions + [access],
      "fgnet_administrator": Self.changes + Self.definitions,
      "fgnet_daemon": ["truncate fgnet.region_edge", access] + Self.definitions,
    ]
    for (role, statements) in forbidden {
      try connection.script("set role \(role)")
      for statement in statements {
        let failure = #expect(throws: DatabaseError.self, "\(role): \(statement)") {
          try connection.script(statement)
        }
        #expect(failure?.sqlstate == "42501", "\(role): \(statement): \(String(describing: failure))")
      }
      try connection.script("reset role")
    }
  }

  @Test func eachRoleCanDoItsWork() throws {
    let stack = try stack()
    let world = try fill(stack)
    let connection = stack.database.connection
    let x = World.stripes(world.signature(0))[127][0].lowerBound
    for role in ["fgnet_reader", "fgnet_proofreader", "fgnet_administrator", "fgnet_daemon"] {
      try connection.script("set role \(role)")
      let segment = try connection.execute("select segment_at('cortex', 0, 127, $1)", [.int(x)])
      #expect(try segment.int(0, 0) == Int64(world.fragments(0)[0].id.rawValue), "\(role)")
      #expect(try connection.execute("select outline from segment_sections where outline is not null").count > 0)
      try connection.script("reset role")
    }
    // The daemon's whole way: by COPY, on guarded tables, with notifications.
    try connection.script("set role fgnet_daemon")
    var later = world
    later.revisions[1] = 0
    try stack.receive(1, bytes: 2)
    try stack.record.commitFinal(volume: stack.volume, run: stack.run, [later.commit(1)])
    later.revisions[0] = 1
    try stack.receive(0, bytes: 3)
    try stack.record.commitFinal(volume: stack.volume, run: stack.run, [later.commit(0), later.commit(1)])
    #expect(try stack.membership() == later.membership())
    #expect(try Migrator.embedded.migrate(connection) == [], "a start without the right to change the schema")
    try connection.script("reset role; set role fgnet_administrator")
    try connection.execute(
      "insert into volume_access (volume_id, role_name) values ($1, 'fgnet_test_nobody')", [.int(stack.volume)])
    #expect(try connection.execute("select from segments").count > 0, "an administrator reads every volume")
  }

  @Test func readersSeeTheirVolumesOnly() throws {
    let stack = try stack()
    _ = try fill(stack)
    let connection = stack.database.connection
    let lab = "fgnet_test_lab_\(getpid())"
    let (member, guest) = ("\(lab)_member", "\(lab)_guest")
    try connection.script(
      """
      create role \(lab); create role \(member) in role fgnet_reader, \(lab); create role \(guest) in role fgnet_reader
      """)
    defer { try? connection.script("reset role; drop role \(member), \(guest), \(lab)") }
    try connection.execute(
      "insert into volume_access (volume_id, role_name) values ($1, $2)", [.int(stack.volume), .text(lab)])
    let tables = try connection.execute(
      """
      select c.relname, c.relrowsecurity from pg_class c join pg_attribute a on a.attrelid = c.oid
      where c.relnamespace = 'fgnet'::regnamespace and c.relkind = 'r' and a.attname = 'volume_id' order by 1
      """
    ).table(columns: 2)
    #expect(tables.count >= 13 && tables.allSatisfy { $0[1] == "t" || $0[0] == "volume_access" })
    func rows(_ table: String) throws -> Int { try connection.execute("select from fgnet.\(table)").count }

    try connection.script("set role \(member)")
    #expect(try rows("segments") > 0 && rows("label_tile") > 0 && rows("volume") == 1)
    try connection.script("reset role; set role \(guest)")
    for table in tables.map({ $0[0] }) where table != "volume_access" {
      #expect(try rows(table) == 0, "\(table) shows a volume to those who may not read it")
    }
    for view in ["segments", "segment_sections", "sections", "lineage", "review_queue"] {
      #expect(try rows(view) == 0, "\(view)")
    }
    let failure = #expect(throws: DatabaseError.self) {
      try connection.execute("select segment_at('cortex', 0, 1, 1)")
    }
    #expect(failure?.description.contains("no volume") == true)
    #expect(try connection.execute("select * from membership_as_of($1::integer, 100)", [.int(stack.volume)]).count == 0)
  }

  /// Names in functions mean what they meant when the schema was made, whatever a caller puts in front of them.
  @Test func functionsHaveTheirOwnSearchPath() throws {
    let connection = try TestDatabase().connection
    let loose = try connection.execute(
      """
      select p.proname from pg_proc p where p.pronamespace = 'fgnet'::regnamespace and p.prosqlbody is null
        and not exists (select from unnest(p.proconfig) c where c like 'search\\_path=%')
      """)
    #expect(try loose.table(columns: 1) == [])
    // What runs with its owner's rights is for those who may call it: never for everybody, nor for readers.
    try Access.makeRoles(connection)
    try Access.grant(connection, always: true)
    let open = try connection.execute(
      """
      select p.oid::regprocedure from pg_proc p where p.pronamespace = 'fgnet'::regnamespace and p.prosecdef
        and (has_function_privilege('public', p.oid, 'execute') or has_function_privilege('fgnet_reader', p.oid, 'execute'))
      """)
    #expect(try open.table(columns: 1) == [])
  }
}

@Suite(.serialized) struct LabServerTests {
  /// A server where the owner of the database may not make roles: it works without them, and better with them.
  @Test func theDaemonWorksWithWhatItIsGiven() throws {
    let directory = "/tmp/fgnet-cluster-test-\(getpid())-lab"
    let cluster = EmbeddedCluster(directory: directory, options: TestCluster.fast)
    defer {
      try? cluster.stop()
      try? FileManager.default.removeItem(atPath: directory)
    }
    let place = try cluster.start()
    let superuser = try Connection(place)
    try superuser.script("create role lab_owner login; create role lab_daemon login")
    try superuser.script("create database lab owner lab_owner")
    func connect(_ user: String) throws -> Connection {
      try Connection(
        place.replacingOccurrences(of: "user=fgnet", with: "user=\(user)")
          .replacingOccurrences(of: "dbname=fgnet", with: "dbname=lab"))
    }
    let owner = try connect("lab_owner")
    #expect(try !Access.mayMakeRoles(owner))
    #expect(throws: DatabaseError.self) { try Migrator.embedded.migrate(try connect("lab_daemon")) }
    try Migrator.embedded.migrate(owner)
    try Access.grant(owner, always: true)
    #expect(try Access.state(owner) == .ownerOnly)
    try Access.workAsDaemon(owner)
    let record = Record(owner)
    let volume = try record.openVolume(name: "cortex", voxelSize: VoxelSize(z: 40, y: 4, x: 4)).id
    #expect(try owner.execute("select current_user").text(0, 0) == "lab_owner", "it goes on as the owner")

    // Roles made by one who may, but who is no superuser: rows cannot be guarded.
    try superuser.script("create role lab_keeper login createrole")
    try Access.makeRoles(connect("lab_keeper"))
    try Access.grant(owner, always: false)
    #expect(try Access.state(owner) == .unguarded)
    try Access.makeRoles(superuser)
    try Access.grant(owner, always: true)
    #expect(try Access.state(owner) == .guarded)

    try superuser.script("grant fgnet_daemon to lab_daemon")
    let daemon = try connect("lab_daemon")
    #expect(try Migrator.embedded.migrate(daemon) == [])
    try Access.workAsDaemon(daemon)
    #expect(try daemon.execute("select current_user").text(0, 0) == "fgnet_daemon")
    #expect(try Record(daemon).lockVolume(volume))
    let newer = Migrator(
      migrations: Migrator.embedded.migrations + [
        Migration(number: Migrator.embedded.migrations.count + 1, name: "more", sql: "create table more (a integer)")
      ])
    let failure = #expect(throws: DatabaseError.self) { try newer.migrate(daemon) }
    #expect(failure?.description.contains("run `fgnetd init-database") == true, "\(String(describing: failure))")
    #expect(throws: DatabaseError.self) { try connect("lab_keeper").execute("select from fgnet.volume") }
  }
}
