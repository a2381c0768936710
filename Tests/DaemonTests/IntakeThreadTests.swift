import DB
import Foundation
import Intake
import Synchronization
import Testing
import Volumes

@testable import Daemon

/// From the folder to the offer: the thread, the watcher, and files as programs and people write them.
@Suite(.serialized) struct IntakeThreadTests {
  // MARK: Complete

  /// Held open, larger than any buffer, written in parts with looks between: taken once, whole.
  @Test(arguments: [true, false]) func aWriterThatPausesIsWaitedFor(hasEvents: Bool) throws {
    let bench = try IntakeBench()
    let scans = Mutex(0)
    var view = FolderView()
    view.scan = { folder, sign in
      scans.withLock { $0 += 1 }
      let result = FolderScanner.scan(folder, recursive: true, sign: sign)
      guard !hasEvents, case .listing(var listing) = result else { return result }
      listing.fileSystem = FileSystemType(name: "nfs", tellsEvents: false)
      return .listing(listing)
    }
    try bench.start(view: view)
    let bytes = try IntakeBench.picture(1200)
    #expect(bytes.count > 1 << 20)
    let descriptor = open(bench.path("s1.png"), O_WRONLY | O_CREAT, 0o644)
    var written = 0
    for part in [10, 70_000, 300_000, bytes.count - 1, bytes.count] {
      written += bytes[written..<part].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      try #require(written == part)
      if part == bytes.count { break }
      // Looked at, and found wanting.
      let seen = scans.withLock { $0 }
      #expect(bench.take { _ in scans.withLock { $0 } > seen + 8 })
      #expect(bench.offered.isEmpty && bench.report?.pending == 1)
    }
    close(descriptor)
    #expect(bench.take { !$0.offered.isEmpty })
    #expect(bench.offered.map(\.size) == [Int64(bytes.count)])
    #expect((bench.report?.pollsBecause == nil) == hasEvents)
  }

  /// Names that are left alone until they are renamed, and subfolders that come.
  @Test func partialNamesAndNewFolders() throws {
    let bench = try IntakeBench()
    // Events only: no scan but those that events ask for.
    try bench.start(interval: 3600)
    let bytes = try IntakeBench.picture()
    for name in [".s1.png", "s2.png.tmp", "s3.png.part"] { try bench.put(bytes, name) }
    try FileManager.default.createDirectory(atPath: bench.path("a/b"), withIntermediateDirectories: true)
    try bench.put(bytes, "a/b/s4.png")
    #expect(bench.take { $0.names == ["a/b/s4.png"] })
    #expect(rename(bench.path(".s1.png"), bench.path("s1.png")) == 0)
    #expect(rename(bench.path("s2.png.tmp"), bench.path("a/s2.png")) == 0)
    #expect(rename(bench.path("s3.png.part"), bench.path("a/b/s3.png")) == 0)
    #expect(bench.take { $0.offered.count == 4 })
    #expect(Set(bench.names.dropFirst()) == ["s1.png", "a/s2.png", "a/b/s3.png"])
    #expect(bench.notices.isEmpty)
  }

  // MARK: Names, links

  @Test func namesOfAllKindsAreTakenInOrToldOnce() throws {
    let bench = try IntakeBench()
    let bytes = try IntakeBench.picture()
    let names = ["a b1.png", "line\nbreak2.png", "äöü3.png", "'\";--4.png", "%415.png", "tab\t6.png"]
    for name in names.prefix(3) { try bench.put(bytes, name) }
    try bench.put(bytes, [0xFF, 0x20, 0x37] + Array(".png".utf8))
    try bench.start()
    for name in names.dropFirst(3) { try bench.put(bytes, name) }
    try bench.put(bytes, [0xFE, 0x38] + Array(".png".utf8))
    #expect(bench.take { $0.offered.count == 6 && $0.notices.count == 2 })
    #expect(Set(bench.names) == Set(names))
    let reason = "its name is not UTF-8; rename it"
    #expect(Set(bench.refusals.map(\.path)) == [bench.path("%FF 7.png"), bench.path("%FE8.png")])
    #expect(bench.refusals.allSatisfy { $0.reason == reason })
    // Renamed, as it was told to be.
    let old = (Array(bench.watched.utf8) + [0x2F, 0xFE, 0x38] + Array(".png".utf8)).map { CChar(bitPattern: $0) } + [0]
    #expect(rename(old, bench.path("s8.png")) == 0)
    #expect(bench.take { $0.offered.last?.z == 8 && !$0.gone.isEmpty })
    #expect(bench.gone == [bench.path("%FE8.png")])
  }

  @Test func linksAreTheFilesTheyLeadTo() throws {
    let bench = try IntakeBench()
    let bytes = try IntakeBench.picture()
    try bench.put(bytes, "s1.png")
    try Data(bytes).write(to: URL(fileURLWithPath: bench.folder + "/outside.png"))
    try bench.start()
    #expect(link(bench.path("s1.png"), bench.path("s2.png")) == 0)
    #expect(symlink(bench.folder + "/outside.png", bench.path("s3.png")) == 0)
    #expect(symlink("later.txt", bench.path("s4.png")) == 0)
    for (target, name) in [("s6.png", "s5.png"), ("s5.png", "s6.png"), (".", "loop7.png"), ("..", "up8.png")] {
      #expect(symlink(target, bench.path(name)) == 0)
    }
    #expect(bench.take { $0.offered.count == 3 })
    try bench.put(bytes, "later.txt")
    #expect(bench.take { $0.offered.count == 4 })
    #expect(bench.offered.map(\.z).sorted() == [1, 2, 3, 4] && bench.notices.isEmpty)
  }

  @Test func whatIsDeletedBeforeItIsLookedAtIsForgotten() throws {
    let bench = try IntakeBench()
    let looks = Mutex(0)
    var view = FolderView()
    view.probe = { path, options in
      looks.withLock { $0 += 1 }
      if path.hasSuffix("s1.png") { unlink(path) }
      return ImageProbe.probe(path, options).outcome
    }
    try bench.start(view: view)
    try bench.put(IntakeBench.picture(), "s1.png")
    #expect(bench.take { $0.gone == [$0.path("s1.png")] })
    try bench.put(IntakeBench.picture(), "s2.png")
    #expect(bench.take { $0.offered.count == 1 && $0.report?.pending == 0 })
    #expect(bench.refusals.isEmpty)
  }

  // MARK: Permission

  @Test func whatMayNotBeReadIsToldAndTakenInOnceItMay() throws {
    let bench = try IntakeBench()
    var view = FolderView()
    view.scan = { folder, sign in
      (try? unprivileged { FolderScanner.scan(folder, recursive: true, sign: sign) }) ?? .vanished(reason: "")
    }
    view.probe = { path, options in
      (try? unprivileged { ImageProbe.probe(path, options).outcome }) ?? .unusable(reason: "")
    }
    try FileManager.default.createDirectory(atPath: bench.path("sub"), withIntermediateDirectories: true)
    try bench.put(IntakeBench.picture(), "sub/s2.png")
    chmod(bench.path("sub"), 0)
    try bench.start(view: view)
    let bytes = try IntakeBench.picture()
    try bench.put(bytes, ".s1.png")
    chmod(bench.path(".s1.png"), 0)
    #expect(rename(bench.path(".s1.png"), bench.path("s1.png")) == 0)
    #expect(bench.take { $0.notices.count == 1 && $0.report?.unseen.isEmpty == false })
    #expect(
      bench.refusals.map(\.reason) == ["it cannot be read: Permission denied; it is tried again until it can be read"])
    #expect(bench.report?.unseen == ["\(bench.path("sub")) cannot be looked at: Permission denied"])
    #expect(bench.offered.isEmpty && bench.report?.fault == nil)
    chmod(bench.path("s1.png"), 0o644)
    chmod(bench.path("sub"), 0o755)
    #expect(bench.take { $0.offered.count == 2 && $0.report?.unseen.isEmpty == true })
    #expect(Set(bench.names) == ["s1.png", "sub/s2.png"] && bench.notices.count == 1)
    #expect(bench.journal.all.count { $0.contains("cannot be looked at") } == 1)
  }

  // MARK: Many

  /// The watcher is stopped meanwhile, so the kernel's queue overflows and most events are lost.
  @Test func twentyThousandFilesAtOnceAreTakenInOrderAndNoneIsLost() throws {
    let bench = try IntakeBench()
    let pid = bench.folder + "/pid"
    let program = try bench.script("echo $$ > \(pid)\nexec \(IntakeBench.watcherProgram) \"$@\"\n")
    try bench.start(interval: 3600, program: program)
    // Ready when it tells of something.
    try bench.put(IntakeBench.picture(), "s0.png")
    #expect(bench.take { $0.offered.count == 1 })
    let watcher = try #require(Int32(try String(contentsOfFile: pid, encoding: .utf8).dropLast()))
    #expect(kill(watcher, SIGSTOP) == 0)
    let bytes = try IntakeBench.picture()
    for z in (1...20_000).reversed() { try bench.put(bytes, "s\(z).png") }
    #expect(kill(watcher, SIGCONT) == 0)
    #expect(bench.take { $0.offered.count >= 20_001 })
    #expect(Set(bench.offered.map(\.z)) == Set(0...20_000) && bench.offered.count == 20_001)
    #expect(bench.notices.isEmpty)
    // Events come in the order of writing; from the scan after the overflow on, it is that of the numbers.
    let tail = bench.offered.suffix(3_000).map(\.z)
    #expect(tail == tail.sorted())
  }

  // MARK: No events

  @Test func whereThereAreNoEventsNoWatcherRuns() throws {
    let bench = try IntakeBench()
    let kind = Mutex("nfs")
    var view = FolderView()
    view.scan = { folder, sign in
      guard case .listing(var listing) = FolderScanner.scan(folder, recursive: true, sign: sign) else {
        return .vanished(reason: "")
      }
      let name = kind.withLock { $0 }
      listing.fileSystem = FileSystemType(name: name, tellsEvents: name != "nfs")
      return .listing(listing)
    }
    let started = bench.folder + "/started"
    let program = try bench.script("touch \(started)\nexec \(IntakeBench.watcherProgram) \"$@\"\n")
    try bench.start(view: view, program: program)
    try bench.put(IntakeBench.picture(), "s1.png")
    #expect(bench.take { $0.offered.count == 1 && $0.report != nil })
    #expect(bench.report?.pollsBecause == "nfs tells no events" && bench.report?.fileSystem == "nfs")
    #expect(!FileManager.default.fileExists(atPath: started))
    let line = "notice test: \(bench.watched) is on nfs, which tells no events: a look every 0.05 s"
    #expect(bench.journal.all.contains(line), "\(bench.journal.all)")
    // Another disk at the same place.
    kind.withLock { $0 = "ext4" }
    #expect(bench.take { $0.report?.pollsBecause == nil && FileManager.default.fileExists(atPath: started) })
    #expect(bench.journal.all.contains("info test: \(bench.watched) is on ext4: events, and a look every 0.05 s"))
  }

  @Test(arguments: [
    ("printf 'limit raise%%20max_user_watches\\nready\\n'; exec cat", "raise max_user_watches"),
    ("echo 'fgnet-watch: raise max_user_instances' >&2; exit 1", "raise max_user_instances"),
  ])
  func withoutEventsForWantOfWatchesItPolls(script: String, remedy: String) throws {
    let bench = try IntakeBench()
    try bench.start(program: bench.script(script + "\n"))
    #expect(bench.take { $0.report?.pollsBecause?.contains(remedy) == true })
    try bench.put(IntakeBench.picture(), "s1.png")
    #expect(bench.take { $0.offered.count == 1 })
    #expect(bench.journal.all.count { $0.hasPrefix("warning") && $0.contains(remedy) } == 1)
  }

  @Test func aWatcherThatIsKilledIsStartedAgain() throws {
    let bench = try IntakeBench()
    let pid = bench.folder + "/pid"
    let program = try bench.script("echo $$ > \(pid)\nexec \(IntakeBench.watcherProgram) \"$@\"\n")
    try bench.start(interval: 3600, program: program)
    func number() -> Int32? { (try? String(contentsOfFile: pid, encoding: .utf8)).flatMap { Int32($0.dropLast()) } }
    #expect(bench.take { _ in number() != nil })
    let first = try #require(number())
    kill(first, SIGKILL)
    #expect(bench.take { _ in number() != first && number() != nil })
    try bench.put(IntakeBench.picture(), "s1.png")
    #expect(bench.take { $0.offered.count == 1 })
  }

  // MARK: Folders that go

  @Test func aFolderThatGoesSuspendsAndComesBackByItself() throws {
    let bench = try IntakeBench()
    let bytes = try IntakeBench.picture()
    for z in 0..<3 { try bench.put(bytes, "s\(z).png") }
    try bench.start(interval: 3600)
    #expect(bench.take { $0.offered.count == 3 })
    #expect(rename(bench.watched, bench.folder + "/away") == 0)
    #expect(bench.take { !$0.contents.faults.isEmpty })
    #expect(bench.contents.faults.first?.hasPrefix("volume test: \(bench.watched)") == true)
    // A mount point without its mount.
    #expect(mkdir(bench.watched, 0o755) == 0)
    #expect(bench.take { $0.contents.faults.first?.contains("a disk seems not to be mounted") == true })
    #expect(rmdir(bench.watched) == 0 && rename(bench.folder + "/away", bench.watched) == 0)
    #expect(bench.take { $0.contents.faults.isEmpty })
    #expect(bench.offered.count == 3 && bench.notices.isEmpty)
    // Events are told again.
    try bench.put(bytes, "s3.png")
    #expect(bench.take { $0.offered.count == 4 })
  }

  /// Input/output errors of the whole folder, and of one file.
  @Test func errorsOfTheDiskAreNoDeletions() throws {
    let bench = try IntakeBench()
    let failing = Mutex((folder: false, file: false))
    var view = FolderView()
    view.scan = { folder, sign in
      if failing.withLock({ $0.folder }) { return .vanished(reason: "\(folder): Input/output error") }
      return FolderScanner.scan(folder, recursive: true, sign: sign)
    }
    view.probe = { path, options in
      if failing.withLock({ $0.folder || $0.file && path.hasSuffix("s5.png") }) {
        return .unreadable(reason: "it cannot be read: Input/output error")
      }
      return ImageProbe.probe(path, options).outcome
    }
    let bytes = try IntakeBench.picture()
    for z in 0..<3 { try bench.put(bytes, "s\(z).png") }
    try bench.start(view: view)
    #expect(bench.take { $0.offered.count == 3 })
    failing.withLock { $0.folder = true }
    #expect(bench.take { $0.contents.faults.first?.hasSuffix("Input/output error") == true })
    for z in 3..<6 { try bench.put(bytes, "s\(z).png") }
    failing.withLock { $0 = (false, true) }
    #expect(bench.take { $0.offered.count == 5 && $0.notices.count == 1 })
    #expect(bench.contents.faults.isEmpty && bench.refusals.first?.path == bench.path("s5.png"))
    failing.withLock { $0.file = false }
    #expect(bench.take { $0.offered.count == 6 })
    #expect(bench.notices.count == 1)
  }

  /// As a dead network mount does it: a call that does not return. The other volume's intake goes on.
  @Test func aCallThatDoesNotReturnIsAnAlarmAndHoldsNobodyElse() throws {
    let bench = try IntakeBench(patience: 3)
    let gate = Gate()
    let hangs = Mutex(true)
    var view = FolderView()
    view.scan = { folder, sign in
      sign()
      if hangs.withLock({ $0 }) { gate.pass() }
      return FolderScanner.scan(folder, recursive: true, sign: sign)
    }
    let other = bench.folder + "/other"
    try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: true)
    try bench.start("dead", folder: other, waits: false, view: view)
    try bench.start()
    try bench.put(IntakeBench.picture(), "s1.png")
    try Data(IntakeBench.picture()).write(to: URL(fileURLWithPath: other + "/s2.png"))
    #expect(bench.take { $0.offered.count == 1 && !$0.contents.faults.isEmpty })
    #expect(
      bench.contents.faults == [
        "volume dead: looking at \(other) does not come to an end, so nothing is taken in; its mount does not answer"
      ])
    hangs.withLock { $0 = false }
    gate.open()
    #expect(bench.take { $0.contents.faults.isEmpty && $0.offered.count == 2 })
    #expect(bench.offered.last?.volume == "dead")
  }

  @Test func threadsThatHangAreLeftBehind() throws {
    let bench = try IntakeBench()
    let gate = Gate()
    var view = FolderView()
    view.scan = { _, _ in
      gate.pass()
      return .vanished(reason: "")
    }
    let thread = try bench.start(waits: false, view: view)
    IntakeThread.waitForFirstLook([thread], seconds: 0.1)
    IntakeThread.stop([thread], seconds: 0.1)
    let lines = bench.journal.all
    #expect(lines.contains { $0.hasPrefix("error") && $0.contains("has not been looked through") }, "\(lines)")
    #expect(lines.contains { $0.hasPrefix("warning") && $0.contains("does not return") }, "\(lines)")
    gate.open()
  }

  // MARK: Earlier runs

  @Test func filesOfEarlierRunsAreKnownAndThoseThatWentAreTold() throws {
    let bench = try IntakeBench()
    let bytes = try IntakeBench.picture()
    for z in 0..<3 { try bench.put(bytes, "s\(z).png") }
    let known = (0..<2).compactMap { FileStatus(ofFile: bench.path("s\($0).png")) }.map {
      FileStamp(path: $0.path, size: $0.size, mtimeNs: $0.modified)
    }
    let bad = [bench.path("bad.png"), bench.path("s1.png"), bench.folder + "/elsewhere.png"]
    try bench.start(known: Set(known), setAside: Set(bad))
    #expect(bench.take { $0.offered.count == 1 && $0.notices.count == 1 })
    #expect(bench.names == ["s2.png"] && bench.gone == [bad[0]])
  }
}
