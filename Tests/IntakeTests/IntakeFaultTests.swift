import Domain
import Testing

@testable import Intake

/// Folders that go, files that cannot be read, and what is told of files that are not there any more.
@Suite struct IntakeFaultTests {
  private var queue: IntakeQueue

  init() throws {
    queue = IntakeQueue(
      folder: "/in", pattern: try FilePattern(#"z(?<z>-?\d+)\.tif"#),
      policy: IntakePolicy(settle: 2, firstPause: 1, longestPause: 4, deadline: 20))
  }

  private static func names(_ numbers: Range<Int>) -> [FileStatus] { numbers.map { status("z\($0).tif") } }

  private mutating func scan(
    _ files: [FileStatus], at now: Double, device: UInt64 = 1, inode: UInt64 = 2, unnameable: [String] = [],
    faults: [ScanFault] = []
  ) {
    let identity = FolderListing.Identity(device: device, inode: inode)
    let files = files.map {
      FileStatus(path: $0.path, size: $0.size, modified: $0.modified, inode: $0.inode, device: device)
    }
    queue.scan(
      .listing(FolderListing(identity: identity, files: files, unnameable: unnameable, faults: faults)), started: now,
      now: now)
  }

  /// Takes in everything that is due.
  private mutating func work(_ now: Double, device: UInt64 = 1) -> [IntakeAction] {
    for path in queue.due(now) {
      var state = status(String(path.dropFirst(4)))
      state.device = device
      queue.probed(path, .complete(), status: state, now: now)
    }
    return queue.take()
  }

  @Test mutating func aFileThatCannotBeReadIsToldOnceAndTriedForEver() {
    queue.observe(.closed("/in/z1.tif"), now: 0)
    var (looks, told): ([Double], [IntakeAction]) = ([], [])
    while let next = queue.nextDue, next < 100 {
      #expect(queue.due(next) == ["/in/z1.tif"])
      queue.probed("/in/z1.tif", .unreadable(reason: "it cannot be read: no"), status: status("z1.tif"), now: next)
      // At first it may be the whole folder.
      if looks.isEmpty { #expect(queue.wantsScan) }
      scan([status("z1.tif")], at: next + 0.1)
      looks.append(next)
      told += queue.take()
    }
    #expect(looks.prefix(5) == [0, 1, 3, 7, 11] && looks.count > 20)
    #expect(
      told == [
        .quarantine(path: "/in/z1.tif", reason: "it cannot be read: no; it is tried again until it can be read")
      ])
    #expect(work(200) == [.ready(ReadyFile(path: "/in/z1.tif", z: 1, volume: nil, status: status("z1.tif")))])
  }

  @Test mutating func anOfferedFileThatCouldNotBeReadIsOfferedAgain() {
    queue.observe(.closed("/in/z1.tif"), now: 0)
    #expect(work(0).count == 1)
    queue.lookAgain("/in/z1.tif", now: 10)
    queue.lookAgain("/in/z2.tif", now: 10)
    #expect(work(13.9) == [] && work(14).count == 1)
  }

  @Test mutating func afterAnotherMountFilesOfTheSameSizeAndTimeAreKnown() {
    scan(Self.names(0..<20), at: 0)
    #expect(work(2).count == 20)
    scan(Self.names(0..<20) + [status("z20.tif")], at: 10, device: 9)
    #expect(queue.due(12) == ["/in/z20.tif"])
    // Not so on the same mount.
    var files = Self.names(0..<20)
    files[3].inode = 5
    scan(files, at: 20, device: 9)
    #expect(queue.due(22) == ["/in/z3.tif"])
  }

  @Test mutating func everythingGoneAtOnceIsNotBelieved() {
    scan(Self.names(0..<10), at: 0)
    #expect(work(2).count == 10)
    scan([], at: 10)
    #expect(queue.suspended?.hasPrefix("all 10 files of /in are gone at once") == true)
    #expect(queue.take() == [])
    // Nothing is new when they are back.
    scan(Self.names(0..<10), at: 20)
    #expect(queue.suspended == nil && work(30) == [])
    // Moved away on purpose: the next file ends it, and the rest is taken for deleted.
    scan([], at: 40)
    #expect(queue.suspended != nil && !queue.wantsScan)
    queue.observe(.closed("/in/z10.tif"), now: 41)
    #expect(queue.wantsScan && queue.due(41) == [])
    scan([status("z10.tif")], at: 42)
    #expect(queue.suspended == nil)
    let actions = work(42)
    #expect(actions.count == 11 && actions.count { if case .gone = $0 { true } else { false } } == 10)
  }

  @Test mutating func deletionsThatAreToldOrFewAreBelieved() {
    scan(Self.names(0..<12), at: 0)
    _ = work(2)
    for z in 0..<3 { queue.observe(.deleted("/in/z\(z).tif"), now: 5) }
    _ = queue.take()
    scan([], at: 10)
    #expect(queue.suspended == nil)
    #expect(queue.take().count == 9)
  }

  /// A disk that is not mounted leaves its mount point, on another device or, of a bind mount, with another inode.
  @Test(arguments: [(UInt64(7), UInt64(2)), (1, 3)])
  mutating func aMountPointWithoutItsMountIsNotEmptied(device: UInt64, inode: UInt64) {
    scan([status("z1.tif")], at: 0)
    #expect(work(2).count == 1)
    scan([], at: 10, device: device, inode: inode)
    #expect(
      queue.suspended == "/in is another folder than before, and empty: a disk seems not to be mounted"
        && queue.take() == [])
    scan([status("z1.tif")], at: 20)
    #expect(queue.suspended == nil && work(30) == [])
  }

  /// At the start nobody knows whether the disk is there.
  @Test mutating func anEmptyFolderAtTheStartForgetsNothing() {
    queue.remember(path: "/in/z1.tif", size: 10, modified: 1)
    queue.rememberSetAside(path: "/in/z2.tif")
    scan([], at: 0)
    #expect(queue.suspended == nil && queue.take() == [])
    scan([status("z1.tif"), status("z2.tif")], at: 10, device: 3)
    #expect(queue.due(12) == ["/in/z2.tif"])
  }

  @Test mutating func filesSetAsideThatAreGoneAreTold() {
    for path in ["/in/z1.tif", "/in/z2.tif", "/in/%FF.tif", "/in/%FE.tif", "/in/z9999999.tif"] {
      queue.rememberSetAside(path: path)
    }
    scan([status("z1.tif"), status("z3.tif")], at: 0, unnameable: ["/in/%FF.tif"])
    #expect(
      queue.take() == [
        .quarantine(path: "/in/%FF.tif", reason: "its name is not UTF-8; rename it"), .gone(path: "/in/%FE.tif"),
        .gone(path: "/in/z2.tif"), .gone(path: "/in/z9999999.tif"),
      ])
    // Renamed.
    queue.observe(.deleted("/in/%FF.tif"), now: 1)
    scan([status("z1.tif"), status("z4.tif")], at: 2)
    #expect(
      queue.take() == [.gone(path: "/in/%FF.tif"), .gone(path: "/in/z3.tif")])
  }

  /// Put back at once and bad again: what stands is that it is bad.
  @Test mutating func whatIsToldLastStands() {
    queue.observe(.closed("/in/z1.tif"), now: 0)
    _ = queue.due(0)
    queue.probed("/in/z1.tif", .unusable(reason: "colour"), status: status("z1.tif"), now: 0)
    queue.observe(.deleted("/in/z1.tif"), now: 1)
    queue.observe(.closed("/in/z1.tif"), now: 2)
    _ = queue.due(2)
    queue.probed("/in/z1.tif", .unusable(reason: "colour"), status: status("z1.tif"), now: 2)
    #expect(queue.take() == Array(repeating: .quarantine(path: "/in/z1.tif", reason: "colour"), count: 2))
  }

  @Test mutating func aSubfolderThatCannotBeListedHidesItsOwnFilesOnly() {
    scan([status("sub/z1.tif"), status("subway/z2.tif"), status("z3.tif")], at: 0)
    _ = work(2)
    let fault = ScanFault(path: "/in/sub", reason: "Permission denied")
    scan([status("z3.tif")], at: 10, faults: [fault])
    #expect(queue.faults == [fault] && "\(fault)" == "/in/sub cannot be looked at: Permission denied")
    #expect(queue.take() == [.gone(path: "/in/subway/z2.tif")])
    scan([status("sub/z1.tif"), status("z3.tif")], at: 20)
    #expect(queue.faults == [] && work(30) == [])
  }

  @Test mutating func filesAreLookedAtInBatchesByNumber() {
    scan((0..<100).map { status("z\(99 - $0).tif") }, at: 0)
    var order: [String] = []
    while case let batch = queue.due(2, limit: 7), !batch.isEmpty {
      #expect(batch.count <= 7)
      order += batch
    }
    #expect(order == (0..<100).map { "/in/z\($0).tif" })
  }

  /// The times of files are compared with each other only.
  @Test mutating func timesInTheFutureOrThePastDoNotMatter() {
    for (z, time) in [(1, Int64.max), (2, Int64.min), (3, 0)] {
      scan([status("z\(z).tif", modified: time)], at: Double(z) * 10)
      #expect(queue.due(Double(z) * 10 + 2) == ["/in/z\(z).tif"])
      queue.probed(
        "/in/z\(z).tif", .complete(), status: status("z\(z).tif", modified: time), now: Double(z) * 10 + 2)
      #expect(queue.take().first { if case .ready = $0 { true } else { false } } != nil)
    }
  }
}
