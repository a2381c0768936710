import Foundation
import Testing

@testable import Intake

/// The watcher program itself, found beside the tests.
private func watcherProgram() throws -> String {
  var buffer = [UInt8](repeating: 0, count: 4096)
  let length = buffer.withUnsafeMutableBytes { bytes in
    readlink("/proc/self/exe", bytes.baseAddress!.assumingMemoryBound(to: CChar.self), bytes.count)
  }
  var folder = URL(fileURLWithPath: String(decoding: buffer.prefix(max(0, length)), as: UTF8.self))
  while folder.path != "/" {
    folder.deleteLastPathComponent()
    let program = folder.appendingPathComponent("fgnet-watch").path
    if access(program, X_OK) == 0 { return program }
  }
  // The tests run inside another program: its build folder is known from this file's place.
  let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  let program = root.deletingLastPathComponent().appendingPathComponent(".build/debug/fgnet-watch").path
  guard access(program, X_OK) == 0 else { throw CallFailure(what: "fgnet-watch is not built", number: errno) }
  return program
}

/// Events read so far, waited for by reading.
private final class Watched {
  let process: WatcherProcess
  var events: [WatchEvent] = []

  init(_ process: WatcherProcess) { self.process = process }

  convenience init(_ folders: [String]) throws {
    self.init(try WatcherProcess(program: try watcherProgram(), folders: folders))
  }

  /// Reads until `done` holds or the watcher ends; false after 30 seconds without an event.
  func read(until done: ([WatchEvent]) -> Bool) -> Bool {
    while !done(events), process.ending == nil {
      var file = pollfd(fd: process.descriptor, events: Int16(POLLIN), revents: 0)
      if poll(&file, 1, 30_000) <= 0 { return false }
      events += process.read()
    }
    return done(events)
  }

  func read(until event: WatchEvent) -> Bool { read { $0.contains(event) } }
}

@Suite struct WatcherTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func started(_ folders: String...) throws -> Watched {
    let watched = try Watched(folders.isEmpty ? [folder.path] : folders)
    guard watched.read(until: .ready) else {
      throw CallFailure(what: watched.process.ending ?? "no ready line", number: 0)
    }
    return watched
  }

  @Test func filesWrittenRenamedAndDeletedAreTold() throws {
    try put("old", folder.file("old.tif"))
    let watched = try started()
    try put("x", folder.file("a b.tif"))
    try put("x", folder.file(".c.tmp"))
    try check(rename(folder.file(".c.tmp"), folder.file("c\n%41.tif")), "rename")
    try check(unlink(folder.file("old.tif")), "unlink")
    #expect(watched.read(until: .deleted(folder.file("old.tif"))))
    #expect(
      watched.events == [
        .ready, .closed(folder.file("a b.tif")), .closed(folder.file(".c.tmp")), .deleted(folder.file(".c.tmp")),
        .moved(folder.file("c\n%41.tif")), .deleted(folder.file("old.tif")),
      ])
  }

  @Test func aFileHeldOpenIsNotTold() throws {
    let watched = try started()
    let descriptor = open(folder.file("growing.tif"), O_WRONLY | O_CREAT, 0o644)
    #expect(write(descriptor, "half", 4) == 4)
    try put("x", folder.file("other.tif"))
    #expect(watched.read(until: .closed(folder.file("other.tif"))))
    #expect(!watched.events.contains(.closed(folder.file("growing.tif"))))
    close(descriptor)
    #expect(watched.read(until: .closed(folder.file("growing.tif"))))
  }

  @Test func hardLinksAreFoundByTheScanOnly() throws {
    try put("x", folder.file("a.tif"))
    let watched = try started()
    try check(link(folder.file("a.tif"), folder.file("b.tif")), "link")
    try put("x", folder.file("last.tif"))
    #expect(watched.read(until: .closed(folder.file("last.tif"))))
    #expect(watched.events == [.ready, .closed(folder.file("last.tif"))])
    guard case .listing(let listing) = FolderScanner.scan(folder.path, recursive: true) else {
      Issue.record("no listing")
      return
    }
    #expect(listing.files.map(\.path).contains(folder.file("b.tif")))
  }

  @Test func namesThatAreNotUTF8ArriveEscaped() throws {
    let watched = try started()
    try put("x", Array(folder.path.utf8) + [0x2F, 0xFF, 0x20, 0x0A])
    #expect(watched.read(until: .unnameable(folder.path + "/%FF %0A")))
    #expect(watched.events.count == 2)
  }

  @Test func newAndRenamedFoldersAreWatched() throws {
    try check(mkdir(folder.file("there"), 0o755), "mkdir")
    let watched = try started()
    try put("x", folder.file("there/a"))
    #expect(watched.read(until: .closed(folder.file("there/a"))))
    try check(mkdir(folder.file("new"), 0o755), "mkdir")
    #expect(watched.read(until: .folder(folder.file("new"))))
    try check(mkdir(folder.file("new/deep"), 0o755), "mkdir")
    #expect(watched.read(until: .folder(folder.file("new/deep"))))
    try put("x", folder.file("new/deep/b"))
    #expect(watched.read(until: .closed(folder.file("new/deep/b"))))
    try check(rename(folder.file("new"), folder.file("newer")), "rename")
    #expect(watched.read(until: .folder(folder.file("newer"))))
    #expect(watched.events.contains(.deleted(folder.file("new"))))
    try put("x", folder.file("newer/deep/c"))
    #expect(watched.read(until: .closed(folder.file("newer/deep/c"))))
    // The same name again after its end, and moved away: nothing is told under the old name.
    try check(rmdir(folder.file("there")) == 0 ? 1 : 0, "rmdir of a full folder")
    try check(unlink(folder.file("there/a")), "unlink")
    try check(rmdir(folder.file("there")), "rmdir")
    try check(mkdir(folder.file("there"), 0o755), "mkdir")
    #expect(watched.read(until: .folder(folder.file("there"))))
    try check(rename(folder.file("there"), folder.file("elsewhere")), "rename")
    #expect(watched.read(until: .folder(folder.file("elsewhere"))))
    let count = watched.events.count
    try put("x", folder.file("elsewhere/d"))
    #expect(watched.read(until: .closed(folder.file("elsewhere/d"))))
    #expect(Array(watched.events[count...]) == [.closed(folder.file("elsewhere/d"))])
  }

  /// Stopped meanwhile, the watcher cannot keep up: the kernel drops events and it has to say so.
  @Test(arguments: [false, true])
  func aBurstIsToldInFullOrAsAnOverflow(stopped: Bool) throws {
    let watched = try started()
    if stopped { try check(kill(watched.process.processID, SIGSTOP), "stop") }
    let paths = (0..<20_000).map { folder.file("z\($0).tif") }
    for path in paths { try put("", path) }
    if stopped { try check(kill(watched.process.processID, SIGCONT), "continue") }
    #expect(watched.read { $0.last == .overflow || $0.count > paths.count || $0.contains(.overflow) })
    if !watched.events.contains(.overflow) {
      #expect(watched.events.dropFirst().elementsEqual(paths.map { WatchEvent.closed($0) }))
    }
    try put("x", folder.file("after.tif"))
    #expect(watched.read(until: .closed(folder.file("after.tif"))))
  }

  @Test func aFolderThatGoesIsTold() throws {
    for name in ["a", "b", "c"] { try check(mkdir(folder.file(name), 0o755), "mkdir") }
    let watched = try started(folder.file("a"), folder.file("b/"), folder.file("c"))
    try check(rename(folder.file("a"), folder.file("moved")), "rename")
    #expect(watched.read(until: .folderGone(folder.file("a"))))
    try check(rmdir(folder.file("b")), "rmdir")
    #expect(watched.read(until: .folderGone(folder.file("b"))))
    try put("x", folder.file("moved/x"))
    try put("x", folder.file("c/x"))
    #expect(watched.read(until: .closed(folder.file("c/x"))))
    #expect(watched.events.count == 4)
    try check(unlink(folder.file("c/x")), "unlink")
    try check(rmdir(folder.file("c")), "rmdir")
    #expect(!watched.read { _ in false })
    #expect(watched.events.last == .folderGone(folder.file("c")))
    #expect(watched.process.ending?.contains("status 3: fgnet-watch: every watched folder is gone") == true)
  }

  @Test func aFolderThatIsNotThereEndsItWithASentence() throws {
    let watched = try Watched([folder.path, folder.file("no")])
    #expect(!watched.read { _ in false })
    #expect(
      watched.process.ending
        == "it ended with status 1: fgnet-watch: folder \(folder.file("no")): No such file or directory")
    try put("x", folder.file("file"))
    let other = try Watched([folder.file("file")])
    #expect(!other.read { _ in false })
    #expect(other.process.ending?.hasSuffix("file is not a folder") == true)
  }

  /// A user name space has limits of its own.
  static let hasUserNamespaces = {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
    process.arguments = ["-Ur", "sh", "-c", "test -w /proc/sys/user/max_inotify_watches"]
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }()

  private func limited(_ limit: String, to value: Int) throws -> Watched {
    let script = "echo \(value) > /proc/sys/user/max_inotify_\(limit); exec \"$0\" \"$@\""
    return Watched(
      try WatcherProcess(
        program: "/usr/bin/unshare", folders: ["-Ur", "sh", "-c", script, try watcherProgram(), folder.path]))
  }

  @Test func noMoreWatchesIsToldOnceAndTheRestIsWatched() throws {
    try #require(Self.hasUserNamespaces, "needs user name spaces (kernel.unprivileged_userns_clone)")
    for name in ["a", "b", "c", "d"] { try check(mkdir(folder.file(name), 0o755), "mkdir") }
    let watched = try limited("watches", to: 3)
    #expect(watched.read(until: .ready))
    guard case .limit(let text) = watched.events.first else {
      Issue.record("\(watched.events)")
      return
    }
    #expect(watched.events.count == 2 && text.contains("raise fs.inotify.max_user_watches with sysctl"))
    try put("x", folder.file("z.tif"))
    #expect(watched.read(until: .closed(folder.file("z.tif"))))
  }

  @Test func noMoreInstancesEndsItWithTheRemedy() throws {
    try #require(Self.hasUserNamespaces, "needs user name spaces (kernel.unprivileged_userns_clone)")
    let watched = try limited("instances", to: 0)
    #expect(!watched.read { _ in false })
    #expect(watched.process.ending?.contains("raise fs.inotify.max_user_instances with sysctl") == true)
  }

  @Test func itsEndIsNoticed() throws {
    let killed = try started()
    try check(kill(killed.process.processID, SIGKILL), "kill")
    #expect(!killed.read { _ in false })
    #expect(killed.process.ending == "it was ended by signal 9")
    let stopped = try started()
    stopped.process.stop()
    #expect(stopped.process.ending == "it was stopped")
    #expect(kill(stopped.process.processID, 0) == -1)
    #expect(throws: IntakeError.self) { _ = try WatcherProcess(program: "/no/such/program", folders: ["/"]) }
  }

  @Test func itEndsWhenItsInputCloses() throws {
    let process = try foundationProcess()
    try (process.standardInput as? Pipe)?.fileHandleForWriting.close()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0 && process.terminationReason == .exit)
  }

  @Test func itEndsOnSIGTERM() throws {
    // Threads of the test runner block signals, which a child inherits.
    let process = try foundationProcess()
    try check(kill(process.processIdentifier, SIGTERM), "kill")
    process.waitUntilExit()
    #expect(process.terminationStatus == SIGTERM && process.terminationReason == .uncaughtSignal)
  }

  @Test func anInheritedInotifyDescriptorIsNotTakenForItsOwn() throws {
    let script = "import ctypes, os, sys; ctypes.CDLL(None).inotify_init(); os.execv(sys.argv[1], sys.argv[1:])"
    let process = try WatcherProcess(
      program: "/usr/bin/python3", folders: ["-c", script, try watcherProgram(), folder.path])
    let watched = Watched(process)
    #expect(watched.read(until: .ready))
    try put("x", folder.file("a.tif"))
    #expect(watched.read(until: .closed(folder.file("a.tif"))))
  }

  /// The watcher started by other means than `WatcherProcess`, and ready.
  private func foundationProcess() throws -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try watcherProgram())
    process.arguments = [folder.path]
    let output = Pipe()
    process.standardInput = Pipe()
    process.standardOutput = output
    try process.run()
    #expect(output.fileHandleForReading.availableData == Data("ready\n".utf8))
    return process
  }
}
