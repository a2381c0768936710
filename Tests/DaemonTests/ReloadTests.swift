import Domain
import Foundation
import Logging
import Synchronization
import Testing

@testable import Daemon

/// A configuration that is read anew by a running daemon.
@Suite(.serialized) struct ReloadTests {
  /// Keeps what is logged.
  struct Lines: LogHandler {
    let journal: Journal
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .notice
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }
    func log(event: LogEvent) { journal.note("\(event.level) \(event.message)") }
  }

  static let quick = "  agglomerate: {look_behind: 1, look_ahead: 0, agreement_shift: 0}\n"

  @Test func newOptionsHoldFromTheNextSectionOnAndABadFileChangesNothing() throws {
    let bench = try Bench(size: 96, stages: Self.quick)
    let (path, text) = (bench.folder + "/fgnetd.yaml", bench.configuration.text)
    func write(_ text: String) throws { try text.write(toFile: path, atomically: true, encoding: .utf8) }
    try write(text)
    let (inbox, journal) = (Inbox(), Journal())
    let manager = try ServiceTests.Manager(bench.folder)
    let core = try DaemonCore(
      configuration: .load(path: path), inbox: inbox, log: Logger(label: "test") { _ in Lines(journal: journal) })
    core.manager = manager.notifier
    core.onProgress = { manager.receive() }
    try core.open()
    defer { core.close() }
    func take(_ zs: Range<SectionNumber>) throws {
      inbox.offer(try zs.map { try bench.write($0) })
      try core.run { true }
      manager.receive()
    }
    func runs() throws -> String {
      try core.text(
        "select string_agg(z || ':' || run_id, ',' order by z) from fgnet.section where state = 'final'")
    }

    try take(0..<10)
    let before = try runs()
    #expect(before.split(separator: ",").count >= 2 && !before.contains(":2"), "\(before)")

    // Faults of every kind: one line each, and the daemon goes on as before.
    for (bad, reason) in [
      ("volumes: [", "not valid YAML"), (text + "\nvolume: x\nthread: 3\n", "thread"),
      (text.replacing(Bench.model, with: "/no/model.h5"), "/no/model.h5"),
      (text.replacing("name: test", with: "name: other"), "volumes changed, which takes a restart"),
      (text.replacing("look_behind: 1", with: "look_behind: 2"), "would be made anew"),
    ] {
      try write(bad)
      let known = journal.all.count
      inbox.askForReload()
      try core.run { true }
      manager.receive()
      let lines = journal.all.dropFirst(known)
      #expect(lines.count == 1 && lines.allSatisfy { $0.hasPrefix("error configuration not reloaded") }, "\(lines)")
      #expect(lines.first?.contains(reason) == true, "\(lines)")
    }
    #expect(manager.messages.contains { $0.hasPrefix("RELOADING=1\nMONOTONIC_USEC=") })
    #expect(core.pipelines.count == 1)

    try write(text.replacing("stages:", with: "stages:\n  watershed: {threshold: 0.45}"))
    inbox.askForReload()
    try take(10..<16)
    let after = try runs()
    // What was final stays as it was; what came since is another run's, with the options it was made by.
    #expect(after.hasPrefix(before), "\(before) then \(after)")
    #expect(after.contains(":2"), "\(after)")
    #expect(
      try core.text("select string_agg((fingerprint ~ '0\\.45')::text, ',' order by run_id) from fgnet.run")
        == "false,true")
    #expect(
      try core.text("select string_agg((configuration ~ '0\\.45')::text, ',' order by run_id) from fgnet.run")
        == "false,true")
  }
}

extension DaemonCore {
  fileprivate func text(_ sql: String) throws -> String {
    try record?.connection.execute(sql).optionalText(0, 0) ?? ""
  }
}
