import DB
import Domain
import Foundation
import Testing

@testable import Daemon

/// A database that goes away, is cut off, locked, read-only or full of another's rows: work waits and goes on, and rows and
/// lineage are those of an undisturbed run.
@Suite(.serialized) struct DatabaseFaultTests {
  static let zs = Array(SectionNumber(0)..<6)

  /// Rows, files and events of an undisturbed run.
  private static let calm = Result {
    let laboratory = try Laboratory()
    _ = try laboratory.run(before: -1, {}, onAlarm: { _ in })
    return try state(laboratory.bench)
  }

  private static func state(_ bench: Bench) throws -> String {
    try bench.finalState()
      + bench.query(
        """
        select string_agg(event || ' ' || segment_id || ' ' || coalesce(other_segment_id, 0) || ' ' || z, E'\\n'
          order by lineage_id) from fgnet.lineage_event
        """)
      + bench.query(
        "select string_agg(kind || ' ' || first_z || ' ' || z, ',' order by operation_id) from fgnet.operation")
      + bench.query("select string_agg(z || ' ' || revision, ',' order by z) from fgnet.section")
  }

  @Test func aConnectionCutInTheMiddleOfCopyDoublesNothing() throws {
    let laboratory = try Laboratory()
    let socket = try #require(laboratory.conninfo.firstMatch(of: /host='([^']*)'/)?.1)
    // A commit has three COPYs: fragments, edges, events.
    let relay = try Relay(
      laboratory.bench.folder + "/relay", to: String(socket),
      cuts: [
        .init(copy: 1, bytes: 300), .init(copy: 3, bytes: 40), .init(copy: 8, bytes: 0), .init(copy: 13, bytes: 500),
      ])
    defer { relay.close() }
    laboratory.bench.configuration.databaseURL = laboratory.conninfo.replacing(socket, with: relay.folder)
    let alarms = try laboratory.run(before: -1, {}, onAlarm: { _ in })
    #expect(relay.cutCount == 4)
    #expect(alarms.contains { $0.contains("connection to PostgreSQL lost") }, "\(alarms)")
    #expect(try Self.state(laboratory.bench) == Self.calm.get())
  }

  /// The server holds the locks of a connection that it does not know to be dead.
  @Test func aServerThatDoesNotHearOfTheCutIsWaitedFor() throws {
    let laboratory = try Laboratory()
    let socket = try #require(laboratory.conninfo.firstMatch(of: /host='([^']*)'/)?.1)
    let relay = try Relay(
      laboratory.bench.folder + "/relay", to: String(socket), cuts: [.init(copy: 5, bytes: 100, lingers: true)])
    defer { relay.close() }
    laboratory.bench.configuration.databaseURL = laboratory.conninfo.replacing(socket, with: relay.folder)
    let alarms = try laboratory.run(
      before: -1, {}, onAlarm: { if $0.contains("in use by another") { relay.release() } })
    #expect(alarms.contains { $0.contains("in use by another") }, "\(alarms)")
    #expect(try Self.state(laboratory.bench) == Self.calm.get())
  }

  @Test func aServerThatIsStoppedAndStartedIsWaitedFor() throws {
    let laboratory = try Laboratory()
    let server = laboratory.server
    var waits = 0
    let alarms = try laboratory.run(before: 4, { try server.stop() }) { _ in
      waits += 1
      if waits == 3 { try server.start() }
    }
    #expect(waits >= 3 && alarms.contains { $0.contains("no connection to PostgreSQL") }, "\(alarms)")
    #expect(try Self.state(laboratory.bench) == Self.calm.get())
  }

  @Test func thePrivateServerIsStartedAgainWhenItIsKilled() throws {
    let bench = try Bench(size: 96)
    let networks = OverlapTests.Count()
    let lock = bench.configuration.stateDirectory + "/postgres/data/postmaster.pid"
    var alarms: Set<String> = []
    try bench.run([Self.zs.map { try bench.write($0) }]) { core in
      core.showsTail = false
      core.adjust = { set in
        var set = set
        set.affinity = set.affinity.map { inner in
          OverlapTests.Watched(inner) { _ in
            guard [1, 4].contains(networks.next()) else { return }
            let lines = try String(contentsOfFile: lock, encoding: .utf8).split(separator: "\n")
            kill(try #require(pid_t(lines[0])), SIGKILL)
          }
        }
        return set
      }
      core.onProgress = { [unowned core] in for alarm in core.alarms.alarms { alarms.insert(alarm.kind) } }
    }
    #expect(alarms == ["database"])
    #expect(try Self.state(bench) == Self.calm.get())
  }

  private final class Holder {
    var connection: Connection?
  }

  @Test func aLockOfAnotherSessionIsWaitedFor() throws {
    let laboratory = try Laboratory()
    let conninfo = laboratory.conninfo
    // Made by the network's thread before the main thread looks for it.
    let holder = Holder()
    var runs = ""
    let alarms = try laboratory.run(
      before: 4,
      {
        let connection = try Connection(conninfo)
        try connection.script("begin; lock table fgnet.fragment in access exclusive mode")
        holder.connection = connection
      },
      onAlarm: { _ in
        guard let connection = holder.connection else { return }
        holder.connection = nil
        // The daemon keeps its connection, and with it its lock on the volume.
        runs = try connection.execute("select count(*) from fgnet.run").text(0, 0)
        try connection.script("rollback")
      })
    #expect(alarms.contains { $0.contains("holds a lock") }, "\(alarms)")
    #expect(runs == "1")
    #expect(try laboratory.bench.query("select count(*)::text from fgnet.run") == "1")
    #expect(try Self.state(laboratory.bench) == Self.calm.get())
  }

  @Test func aReadOnlyServerIsWaitedFor() throws {
    let laboratory = try Laboratory()
    let alarms = try laboratory.run(
      before: 4,
      {
        try laboratory.script("alter system set default_transaction_read_only = on")
        try laboratory.script("select pg_reload_conf()")
      },
      onAlarm: { _ in
        try laboratory.script("alter system reset default_transaction_read_only")
        try laboratory.script("select pg_reload_conf()")
      })
    #expect(alarms.contains { $0.contains("25006") }, "\(alarms)")
    #expect(try Self.state(laboratory.bench) == Self.calm.get())
  }
}

extension Laboratory {
  /// Segments the sections, shown only when final, with something done before the network's call `call` (from 1 on, the volume is finished); each alarm goes to
  /// `onAlarm` while it stands.
  /// - Returns: the alarms' texts.
  func run(before call: Int, _ fault: @escaping () throws -> Void, onAlarm: @escaping (String) throws -> Void) throws
    -> [String]
  {
    let networks = OverlapTests.Count()
    var alarms: [String] = []
    try bench.run([DatabaseFaultTests.zs.map { try bench.write($0) }]) { core in
      core.showsTail = false
      core.adjust = { set in
        var set = set
        set.affinity = set.affinity.map { inner in
          OverlapTests.Watched(inner) { _ in if networks.next() == call { try fault() } }
        }
        return set
      }
      core.onProgress = { [unowned core] in
        for alarm in core.alarms.alarms where alarm.kind == "database" {
          alarms.append(alarm.text)
          #expect(throws: Never.self) { try onAlarm(alarm.text) }
        }
      }
    }
    return alarms
  }
}
