import DB
import Domain
import Foundation
import Testing

@testable import Daemon

/// Two daemons, a stop while nothing goes on, a schema of tomorrow: the program as systemd runs it.
@Suite(.serialized) struct ProgramFaultTests {
  private let programs = ProgramTests()
  /// `TimeoutStopSec` of the unit.
  private static let stopSeconds = 120.0

  /// Ends a program, if it has not ended.
  private func end(_ program: ProgramTests.Program) {
    if program.isRunning { program.signal(SIGKILL) }
    _ = program.texts()
  }

  @Test func aSecondDaemonOnAVolumeIsRefusedAsLongAsTheFirstLives() throws {
    let laboratory = try Laboratory()
    let (one, two) = (try laboratory.file("one"), try laboratory.file("two"))
    let first = try ProgramTests.Program(["run", "--config", one])
    defer { end(first) }
    try laboratory.bench.write(0)
    let ready = try programs.untilTheDaemonIsThere(one, sections: 1)
    #expect(ready.status == 0, "\(ready.errors)")
    let refused = try programs.run("run", "--config", two)
    #expect(refused.status == ExitStatus.unavailable.rawValue, "\(refused.errors)")
    #expect(refused.errors.contains("volume test is in use by another fgnetd on this database"), "\(refused.errors)")
    first.signal(SIGKILL)
    #expect(first.status(within: 60) != nil)
    // The lock died with its holder: at most the server has not noticed yet.
    let deadline = Date(timeIntervalSinceNow: 60)
    var isThere = false
    while !isThere, Date() < deadline {
      let second = try ProgramTests.Program(["run", "--config", two])
      defer { end(second) }
      while second.isRunning, !isThere, Date() < deadline {
        isThere = try programs.run("wait", "--config", two, "--sections", "1", "--timeout", "10").status == 0
      }
    }
    #expect(isThere)
  }

  /// Whether the database is locked by another session or away: there is nothing to finish, so it ends.
  @Test(arguments: [true, false]) func aStopIsHeardWhileTheDatabaseIsWaitedFor(isLocked: Bool) throws {
    let laboratory = try Laboratory()
    let file = try laboratory.file("one")
    let daemon = try ProgramTests.Program(["run", "--config", file])
    defer { end(daemon) }
    try laboratory.bench.write(0)
    let ready = try programs.untilTheDaemonIsThere(file, sections: 1)
    #expect(ready.status == 0, "\(ready.errors)")
    let other = try Connection(laboratory.conninfo)
    if isLocked {
      try other.script("begin; lock table fgnet.section in access exclusive mode")
    } else {
      try laboratory.server.stop()
    }
    try laboratory.bench.write(1)
    let deadline = Date(timeIntervalSinceNow: 60)
    func status() throws -> String { try programs.run("status", "--config", file).output }
    while try !status().contains("ALARM database"), Date() < deadline {}
    // The alarm can be read although the database cannot be asked.
    let shown = try programs.run("status", "--config", file)
    #expect(shown.output.contains("ALARM database: "), "\(shown.output)")
    if !isLocked {
      #expect(
        shown.status == ExitStatus.unavailable.rawValue && shown.errors.contains("no connection"), "\(shown.errors)")
      #expect(shown.output.contains("volume test: by the daemon 0 final, 1 provisional"), "\(shown.output)")
    }
    daemon.signal(SIGTERM)
    #expect(daemon.status(within: Self.stopSeconds) == 0)
  }

  @Test func aSchemaOfANewerProgramIsRefusedAtTheStartInOneLine() throws {
    let bench = try Bench(size: 64)
    try bench.run([], finish: false)
    _ = try bench.query(
      """
      insert into fgnet.schema_migration (number, name, sha256)
      select max(number) + 1, 'tomorrow', '00' from fgnet.schema_migration returning ''
      """)
    let refused = try programs.run("run", "--config", programs.configurationFile(bench))
    #expect(refused.status == ExitStatus.configuration.rawValue)
    #expect(refused.errors.contains("(tomorrow), newer than this program"), "\(refused.errors)")
    #expect(refused.errors.split(separator: "\n").count == 1, "\(refused.errors)")
  }

  @Test func everyTestThatTheDocumentNamesIsThere() throws {
    let document = try String(contentsOfFile: Bench.root + "docs/reliability.md", encoding: .utf8)
    let named = document.matches(of: /`([A-Z][A-Za-z]*Tests)\.([A-Za-z0-9]+)`/)
    #expect(named.count > 50)
    var texts = ""
    for case let url as URL in try #require(
      FileManager.default.enumerator(at: URL(fileURLWithPath: Bench.root + "Tests"), includingPropertiesForKeys: nil))
    where url.pathExtension == "swift" {
      texts += try String(contentsOf: url, encoding: .utf8)
    }
    for match in named {
      #expect(texts.contains("struct \(match.1) {") && texts.contains("func \(match.2)("), "\(match.0)")
    }
  }

  /// The status is replaced whole, and keeps the room of both its files.
  @Test func theStatusFileIsReplacedWithoutNewRoom() throws {
    let folder = NSTemporaryDirectory() + "fgnetd-status-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let file = StatusFile(stateDirectory: folder)
    func inode(_ path: String) throws -> UInt {
      var status = stat()
      try #require(stat(path, &status) == 0)
      return UInt(status.st_ino)
    }
    try file.replace(with: Array("one".utf8))
    try file.reserve()
    let room = Set([try inode(file.path), try inode(file.spare)])
    #expect(room.count == 2)
    for text in ["two", "three", String(repeating: "long ", count: 5000), "four"] {
      try file.replace(with: Array(text.utf8))
      try file.reserve()
      let shown = try String(contentsOfFile: file.path, encoding: .utf8)
      #expect(shown.hasPrefix(text + "\n") && shown.allSatisfy { $0 == "\n" } == false)
      #expect(shown.utf8.count % StatusFile.step == 0 && shown.trimmingCharacters(in: .newlines) == text)
      #expect(Set([try inode(file.path), try inode(file.spare)]) == room)
    }
    #expect(throws: StatusFileError.self) { try StatusFile(stateDirectory: "/no/folder").replace(with: []) }
  }
}
