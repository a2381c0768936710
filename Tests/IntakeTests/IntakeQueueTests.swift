import Domain
import Testing

@testable import Intake

func status(_ name: String, size: Int64 = 10, modified: Int64 = 1) -> FileStatus {
  FileStatus(path: "/in/" + name, size: size, modified: modified, inode: 1, device: 1)
}

@Suite struct IntakeQueueTests {
  private var queue: IntakeQueue

  init() throws {
    queue = IntakeQueue(
      folder: "/in/", pattern: try FilePattern(#"z(?<z>-?\d+)\.tif"#),
      policy: IntakePolicy(settle: 2, firstPause: 1, longestPause: 4, deadline: 20))
  }

  private static func listing(
    _ files: [FileStatus], device: UInt64 = 1, inode: UInt64 = 2, unnameable: [String] = [], faults: [ScanFault] = []
  ) -> ScanResult {
    .listing(
      FolderListing(
        identity: .init(device: device, inode: inode), files: files, unnameable: unnameable, faults: faults))
  }

  private static func ready(_ name: String, _ z: SectionNumber, _ status: FileStatus) -> IntakeAction {
    .ready(ReadyFile(path: "/in/" + name, z: z, volume: nil, status: status))
  }

  @Test mutating func aClosedFileIsLookedAtAtOnce() {
    queue.observe(.closed("/in/z3.tif"), now: 10)
    #expect(queue.nextDue == 10)
    #expect(queue.due(9.9) == [])
    #expect(queue.due(10) == ["/in/z3.tif"])
    #expect(queue.due(10) == [])
    queue.probed("/in/z3.tif", .complete(), status: status("z3.tif"), now: 10)
    #expect(queue.take() == [Self.ready("z3.tif", 3, status("z3.tif"))])
    #expect(queue.take() == [] && queue.nextDue == nil)
  }

  @Test mutating func readyFilesComeByNumber() {
    for z in [30, 4, -2, 100] { queue.observe(.moved("/in/z\(z).tif"), now: 1) }
    let due = queue.due(1)
    #expect(due == [-2, 4, 30, 100].map { "/in/z\($0).tif" })
    for path in due.reversed() {
      queue.probed(path, .complete(), status: status(String(path.dropFirst(4))), now: 1)
    }
    let order = queue.take().map { action in if case .ready(let file) = action { file.z } else { SectionNumber(0) } }
    #expect(order == [-2, 4, 30, 100])
  }

  @Test mutating func aStackMustEndWithinTheNumbers() {
    for (z, sections) in [(131_070, 2), (131_071, 2)] {
      queue.observe(.closed("/in/z\(z).tif"), now: 1)
      _ = queue.due(1)
      queue.probed("/in/z\(z).tif", .complete(sections: sections), status: status("z\(z).tif"), now: 1)
    }
    let (below, above) = ("/in/z131070.tif", "/in/z131071.tif")
    let file = ReadyFile(path: below, z: 131_070, volume: nil, status: status("z131070.tif"), sections: 2)
    let reason = "its last section would be 131072, above 131071"
    #expect(queue.take() == [.ready(file), .quarantine(path: above, reason: reason)])
  }

  @Test mutating func theSameFileIsOfferedOnce() {
    take("z1.tif", status("z1.tif"))
    queue.observe(.closed("/in/z1.tif"), now: 20)
    #expect(queue.due(20) == ["/in/z1.tif"])
    queue.probed("/in/z1.tif", .complete(), status: status("z1.tif"), now: 20)
    queue.scan(Self.listing([status("z1.tif")]), started: 21, now: 21)
    #expect(queue.take() == [] && queue.due(1000) == [])
    // Changed, it is.
    queue.scan(Self.listing([status("z1.tif", modified: 2)]), started: 30, now: 30)
    #expect(queue.due(31.9) == [] && queue.due(32) == ["/in/z1.tif"])
    queue.probed("/in/z1.tif", .complete(), status: status("z1.tif", modified: 2), now: 32)
    #expect(queue.take() == [Self.ready("z1.tif", 1, status("z1.tif", modified: 2))])
  }

  private mutating func take(_ name: String, _ status: FileStatus) {
    queue.observe(.closed("/in/" + name), now: 0)
    _ = queue.due(0)
    queue.probed("/in/" + name, .complete(), status: status, now: 0)
    _ = queue.take()
  }

  @Test mutating func filesTakenInAnEarlierRunAreRemembered() {
    for name in ["z1.tif", "z2.tif", "z3.tif"] { queue.remember(path: "/in/" + name, size: 10, modified: 1) }
    queue.scan(
      Self.listing([status("z1.tif"), status("z2.tif", size: 11), status("z3.tif", modified: 2)]), started: 1, now: 1)
    #expect(queue.due(3) == ["/in/z2.tif", "/in/z3.tif"])
    // From then on another file in its place shows too.
    var other = status("z1.tif")
    other.inode = 77
    queue.scan(Self.listing([other]), started: 4, now: 4)
    #expect(queue.due(6) == ["/in/z1.tif"])
  }

  @Test mutating func aFileFoundByAScanHasToSettle() {
    queue.scan(Self.listing([status("z1.tif", size: 1)]), started: 10, now: 10)
    queue.scan(Self.listing([status("z1.tif", size: 2)]), started: 11.5, now: 11.5)
    #expect(queue.due(13.4) == [])
    #expect(queue.due(13.5) == ["/in/z1.tif"])
    // It grew between the last scan and the look: not yet, although it seemed whole.
    queue.probed("/in/z1.tif", .complete(), status: status("z1.tif", size: 3), now: 14)
    #expect(queue.take() == [] && queue.due(15.9) == [] && queue.due(16) == ["/in/z1.tif"])
    queue.probed("/in/z1.tif", .complete(), status: status("z1.tif", size: 3), now: 16)
    #expect(queue.take() == [Self.ready("z1.tif", 1, status("z1.tif", size: 3))])
  }

  @Test mutating func incompleteFilesAreLookedAtAtGrowingPauses() {
    queue.observe(.closed("/in/z1.tif"), now: 0)
    var looks: [Double] = []
    var now = 0.0
    var actions: [IntakeAction] = []
    while actions.isEmpty, let next = queue.nextDue {
      now = next
      looks.append(now)
      #expect(queue.due(now) == ["/in/z1.tif"])
      queue.probed("/in/z1.tif", .incomplete(reason: "no end mark"), status: status("z1.tif"), now: now)
      actions = queue.take()
    }
    #expect(looks == [0, 1, 3, 7, 11, 15, 19, 20])
    #expect(
      actions == [.quarantine(path: "/in/z1.tif", reason: "it stayed incomplete for 20 seconds: no end mark")])
    #expect(queue.nextDue == nil)
    // A new chance when it changes, and at once with an event.
    queue.observe(.closed("/in/z1.tif"), now: 50)
    #expect(queue.due(50) == ["/in/z1.tif"])
    queue.probed("/in/z1.tif", .complete(), status: status("z1.tif", size: 99), now: 50)
    #expect(queue.take() == [Self.ready("z1.tif", 1, status("z1.tif", size: 99))])
  }

  @Test mutating func aGrowingFileIsNotSetAside() {
    queue.observe(.closed("/in/z1.tif"), now: 0)
    for step in 0..<100 {
      let now = Double(step)
      for path in queue.due(now) {
        queue.probed(path, .incomplete(reason: "short"), status: status("z1.tif", size: Int64(step)), now: now)
      }
      queue.scan(Self.listing([status("z1.tif", size: Int64(step))]), started: now, now: now)
    }
    #expect(queue.take() == [] && queue.pendingCount == 1)
  }

  @Test mutating func unusableFilesAreSetAsideOnce() {
    queue.observe(.closed("/in/z1.tif"), now: 0)
    _ = queue.due(0)
    queue.probed("/in/z1.tif", .unusable(reason: "colour"), status: status("z1.tif"), now: 0)
    #expect(queue.take() == [.quarantine(path: "/in/z1.tif", reason: "colour")])
    queue.scan(Self.listing([status("z1.tif")]), started: 5, now: 5)
    #expect(queue.due(100) == [])
    queue.scan(Self.listing([status("z1.tif", modified: 9)]), started: 100, now: 100)
    #expect(queue.due(102) == ["/in/z1.tif"])
  }

  @Test mutating func anEventDuringALookMeansAnotherLook() {
    queue.observe(.closed("/in/z1.tif"), now: 0)
    _ = queue.due(0)
    queue.observe(.closed("/in/z1.tif"), now: 1)
    #expect(queue.due(1) == [])
    queue.probed("/in/z1.tif", .complete(), status: status("z1.tif"), now: 2)
    #expect(queue.take() == [] && queue.due(2) == ["/in/z1.tif"])
    queue.probed("/in/z1.tif", .complete(), status: status("z1.tif"), now: 3)
    #expect(queue.take().count == 1)
  }

  @Test mutating func deletedFilesAreForgotten() {
    // While waiting, while looked at, between look and report, and after being taken.
    queue.observe(.closed("/in/z1.tif"), now: 0)
    queue.observe(.deleted("/in/z1.tif"), now: 0)
    #expect(queue.due(0) == [])
    queue.observe(.closed("/in/z1.tif"), now: 1)
    _ = queue.due(1)
    queue.observe(.deleted("/in/z1.tif"), now: 1)
    queue.probed("/in/z1.tif", .complete(), status: status("z1.tif"), now: 2)
    queue.observe(.closed("/in/z1.tif"), now: 3)
    _ = queue.due(3)
    queue.probed("/in/z1.tif", .incomplete(reason: "cannot be opened"), status: nil, now: 3)
    #expect(queue.take() == Array(repeating: .gone(path: "/in/z1.tif"), count: 3))
    #expect(queue.pendingCount == 0 && !queue.wantsScan)
    take("z1.tif", status("z1.tif"))
    queue.observe(.deleted("/in/z1.tif"), now: 4)
    // The same file put back is a new file.
    queue.observe(.moved("/in/z1.tif"), now: 5)
    _ = queue.due(5)
    queue.probed("/in/z1.tif", .complete(), status: status("z1.tif"), now: 5)
    #expect(queue.take() == [Self.ready("z1.tif", 1, status("z1.tif")), .gone(path: "/in/z1.tif")])
  }

  @Test mutating func aScanForgetsWhatItDoesNotShow() {
    take("z1.tif", status("z1.tif"))
    queue.observe(.closed("/in/z2.tif"), now: 5)
    // Began before the event: says nothing of z2.
    queue.scan(Self.listing([]), started: 4, now: 6)
    #expect(queue.due(6) == ["/in/z2.tif"])
    queue.scan(Self.listing([status("z1.tif")]), started: 7, now: 7)
    #expect(queue.due(9) == ["/in/z1.tif"])
    // A listing with a fault may lack files.
    queue.scan(Self.listing([], faults: [ScanFault(path: "/in", reason: "no")]), started: 10, now: 10)
    #expect(queue.pendingCount == 1)
    queue.scan(Self.listing([]), started: 11, now: 11)
    #expect(queue.pendingCount == 0)
  }

  @Test mutating func namesDecide() {
    for name in [".z1.tif", "z1.tif.tmp", "z1.tif.part", "z1.tif~", "z1.tif.Downloading", ".trash/z1.tif"] {
      queue.observe(.closed("/in/" + name), now: 0)
    }
    queue.observe(.closed("/in"), now: 0)
    queue.observe(.closed("/inner/z1.tif"), now: 0)
    #expect(queue.take() == [] && queue.due(0) == [])
    for _ in 0..<2 {
      queue.observe(.closed("/in/notes.txt"), now: 0)
      queue.observe(.closed("/in/z999999.tif"), now: 0)
      queue.observe(.unnameable("/in/%FF.tif"), now: 0)
    }
    let actions = queue.take()
    #expect(actions.count == 3)
    #expect(actions[0] == .quarantine(path: "/in/%FF.tif", reason: "its name is not UTF-8; rename it"))
    #expect(
      actions[1]
        == .quarantine(path: "/in/z999999.tif", reason: "its section number 999999 is outside -131072...131071"))
    guard case .ignored("/in/notes.txt", _) = actions[2] else {
      Issue.record("\(actions[2])")
      return
    }
  }

  @Test mutating func namesThatOnlyLookEqualAreTwoFiles() throws {
    queue = IntakeQueue(folder: "/in", pattern: try FilePattern(#".*(?<z>\d)\.tif"#))
    let composed = "/in/\u{E9}1.tif"
    let decomposed = "/in/e\u{301}1.tif"
    #expect(composed == decomposed)
    queue.observe(.closed(composed), now: 0)
    queue.observe(.closed(decomposed), now: 0)
    #expect(queue.due(0).map { Array($0.utf8) } == [decomposed, composed].map { Array($0.utf8) })
  }

  @Test mutating func lostEventsAskForAScan() {
    for event in [WatchEvent.ready, .overflow, .folder("/in/new"), .deleted("/in/folder")] {
      #expect(!queue.wantsScan)
      queue.observe(event, now: 5)
      #expect(queue.wantsScan)
      queue.scan(Self.listing([]), started: 4, now: 6)
      #expect(queue.wantsScan, "a scan that began before does not count")
      queue.scan(Self.listing([]), started: 6, now: 6)
    }
    queue.observe(.folder("/elsewhere/new"), now: 7)
    queue.observe(.limit("raise"), now: 7)
    #expect(!queue.wantsScan)
  }

  @Test mutating func aVanishedFolderSuspendsAndForgetsNothing() {
    take("z1.tif", status("z1.tif"))
    queue.observe(.closed("/in/z2.tif"), now: 1)
    queue.observe(.folderGone("/in"), now: 2)
    #expect(queue.suspended != nil && queue.due(3) == [] && queue.nextDue == nil)
    queue.scan(.vanished(reason: "/in: No such file or directory"), started: 4, now: 4)
    #expect(queue.suspended == "/in: No such file or directory")
    // The mount point without its mount.
    queue.scan(Self.listing([], device: 1), started: 0.5, now: 5)
    #expect(queue.suspended == nil)
    queue.scan(Self.listing([], device: 7), started: 6, now: 6)
    #expect(queue.suspended?.contains("mounted") == true && queue.pendingCount == 1)
    let back = [status("z1.tif"), status("z2.tif")]
    queue.scan(Self.listing(back), started: 7, now: 7)
    #expect(queue.suspended == nil && queue.due(7) == ["/in/z2.tif"])
  }

  /// A folder in which files are written, rewritten, renamed and deleted, with events lost, looked at late, and a
  /// process that notices all this at its own pace: at rest, every file has been offered, in its last state, and none
  /// twice in the same state.
  @Test(arguments: 0..<40)
  mutating func whateverHappensTheLastStateIsOfferedOnce(seed: Int) {
    var generator = SeededGenerator(UInt64(seed))
    var disk: [String: (status: FileStatus, whole: Bool)] = [:]
    var offered: [String: [FileStatus]] = [:]
    var looking: [String] = []
    var stamp: Int64 = 0
    var now = 0.0
    func files() -> [FileStatus] { disk.values.map(\.status).sorted { $0.path < $1.path } }

    for step in 0..<600 {
      now += 0.25
      let quiet = step > 400
      let path = "/in/z\(Int.random(in: 0..<6, using: &generator)).tif"
      let event = Double.random(in: 0..<1, using: &generator) < 0.6
      switch quiet ? 9 : Int.random(in: 0..<10, using: &generator) {
      case 0...3:
        stamp += 1
        let whole = Bool.random(using: &generator)
        disk[path] = (FileStatus(path: path, size: stamp % 5, modified: stamp, inode: 1, device: 1), whole)
        if event && whole { queue.observe(.closed(path), now: now) }
      case 4:
        disk[path] = nil
        if event { queue.observe(.deleted(path), now: now) }
      case 5: queue.scan(Self.listing(files()), started: now, now: now)
      default: break
      }
      if quiet, step % 8 == 0 {
        for (path, file) in disk { disk[path] = (file.status, true) }
        queue.scan(Self.listing(files()), started: now, now: now)
      }
      looking += queue.due(now)
      if let next = looking.first, quiet || Bool.random(using: &generator) {
        looking.removeFirst()
        let file = disk[next]
        queue.probed(
          next, file?.whole == true ? .complete() : .incomplete(reason: "short"), status: file?.status, now: now)
      }
      for case .ready(let file) in queue.take() { offered[file.path, default: []].append(file.status) }
    }
    for (path, file) in disk {
      #expect(offered[path]?.last == file.status, "seed \(seed): \(path) was not offered in its last state")
    }
    for (path, states) in offered {
      #expect(Set(states.map(\.modified)).count == states.count, "seed \(seed): \(path) was offered twice")
    }
    #expect(queue.pendingCount == 0)
  }
}
