import DB
import Domain
import Foundation
import Synchronization
import Testing
import Volumes

@testable import Daemon

/// Sections go through the stages beside each other; files and rows are what they would be one after the other.
@Suite(.serialized) struct OverlapTests {
  static let zs = Array(SectionNumber(0)..<8)

  /// What the stages make of the sections one after the other.
  static func expected() throws -> String { try serial.get() }

  private static let serial = Result {
    let bench = try Bench(size: 128)
    try bench.run([zs.map { try bench.write($0) }]) { $0.makeExecutor = { _ in SerialExecutor() } }
    return try bench.finalState()
  }

  /// An affinity stage that does something before each section.
  final class Watched: AffinityStage {
    private let inner: any AffinityStage
    private let before: (SectionNumber) throws -> Void
    init(_ inner: any AffinityStage, before: @escaping (SectionNumber) throws -> Void) {
      self.inner = inner
      self.before = before
    }
    var name: String { inner.name }
    var halo: Int { inner.halo }
    var contextRadius: Int { inner.contextRadius }
    var fingerprint: String { inner.fingerprint }
    var operationsDone: Int { inner.operationsDone }
    func affinities(of index: Int, in stack: [StackSection]) throws -> AffinitySection {
      try before(stack[index].z)
      return try inner.affinities(of: index, in: stack)
    }
  }

  /// A watershed stage that does something before each section.
  struct WatchedWatershed: WatershedStage {
    var inner: any WatershedStage
    var before: @Sendable () throws(StageError) -> Void
    var name: String { inner.name }
    var halo: Int { inner.halo }
    var fingerprint: String { inner.fingerprint }
    func fragments(of affinities: AffinitySection) throws(StageError) -> FragmentSection {
      try before()
      return try inner.fragments(of: affinities)
    }
  }

  /// An executor that looks on.
  final class Observed: Executor {
    struct Counts {
      var open: [WorkKind: Int] = [:]
      var most: [WorkKind: Int] = [:]
    }
    let inner: ThreadExecutor
    let counts = Mutex(Counts())
    init(_ inner: ThreadExecutor) { self.inner = inner }
    func hasRoom(for kind: WorkKind) -> Bool { inner.hasRoom(for: kind) }
    func submit(_ kind: WorkKind, _ work: @escaping @Sendable () -> Void) {
      counts.withLock { counts in
        counts.open[kind, default: 0] += 1
        counts.most[kind] = max(counts.most[kind] ?? 0, counts.open[kind] ?? 0)
      }
      inner.submit(kind) { [self] in
        work()
        counts.withLock { $0.open[kind, default: 0] -= 1 }
      }
    }
    func close() { inner.close() }
  }

  /// A number that threads share.
  final class Count: Sendable {
    private let value = Mutex(0)
    /// The number before.
    func next() -> Int {
      value.withLock {
        $0 += 1
        return $0 - 1
      }
    }
    var current: Int { value.withLock { $0 } }
  }

  func watched(_ set: StageSet, before: @escaping (SectionNumber) throws -> Void) -> StageSet {
    var set = set
    set.affinity = set.affinity.map { Watched($0, before: before) }
    return set
  }

  @Test func theResultIsThatOfOneAfterTheOtherAndQueuesAreBounded() throws {
    let bench = try Bench(size: 128)
    let seen = Mutex<Observed?>(nil)
    var mostUnderWay = 0
    try bench.run([Self.zs.map { try bench.write($0) }]) { core in
      core.makeExecutor = { wake in
        let made = Observed(ThreadExecutor(whenDone: wake))
        seen.withLock { $0 = made }
        return made
      }
      core.onProgress = { [unowned core] in mostUnderWay = max(mostUnderWay, core.pipelines[0].making.count) }
    }
    #expect(try bench.finalState() == Self.expected())
    let counts = try #require(seen.withLock { $0 }).counts.withLock { $0 }
    for kind in WorkKind.allCases { #expect((1...2).contains(counts.most[kind] ?? 0), "\(kind)") }
    #expect((2...VolumePipeline.mostUnderWay).contains(mostUnderWay))
  }

  @Test func largeSectionsGoOneAfterTheOther() {
    func most(_ side: Int, _ left: Int) -> Int { VolumePipeline.mostUnderWay(height: side, width: side, left: left) }
    #expect(most(1024, 1 << 30) == VolumePipeline.mostUnderWay)
    #expect(most(4096, 1 << 30) == 3)
    #expect(most(32768, 1 << 30) == 1)
    #expect(most(1, 1 << 30) == VolumePipeline.mostUnderWay)
    #expect(most(1024, 0) == 1)
    #expect(most(1024, .max) == VolumePipeline.mostUnderWay)
  }

  /// The network works on a section while the one below is cut: neither goes on before the other has begun.
  @Test func stagesGoOnBesideEachOther() throws {
    let bench = try Bench(size: 128)
    let (cutting, computing) = (Gate(), Gate())
    let (networks, cuts) = (Count(), Count())
    try bench.run([Self.zs.map { try bench.write($0) }]) { core in
      core.adjust = { set in
        var set = self.watched(set) { _ in
          guard networks.next() == 1 else { return }
          computing.open()
          cutting.pass()
        }
        set.watershed = set.watershed.map {
          WatchedWatershed(inner: $0) {
            guard cuts.next() == 0 else { return }
            cutting.open()
            computing.pass()
          }
        }
        return set
      }
    }
    #expect(try bench.finalState() == Self.expected())
  }

  @Test(arguments: [0, 3, 7]) func aStageThatFailsLosesAndDoublesNothing(at place: Int) throws {
    let bench = try Bench(size: 128)
    let (networks, cuts) = (Count(), Count())
    var alarms: Set<String> = []
    try bench.run([Self.zs.map { try bench.write($0) }]) { core in
      core.showsTail = false
      core.adjust = { set in
        var set = self.watched(set) { z in
          // Twice in a row.
          if [place, place + 1].contains(networks.next()) { throw VolumeError.noSpace(path: "test \(z)") }
        }
        set.watershed = set.watershed.map {
          WatchedWatershed(inner: $0) { () throws(StageError) in
            if cuts.next() == place { throw StageError(stage: "test", reason: "cut \(place)", isOutage: true) }
          }
        }
        return set
      }
      core.onProgress = { [unowned core] in for alarm in core.alarms.alarms { alarms.insert(alarm.kind) } }
    }
    #expect(try bench.finalState() == Self.expected())
    #expect(alarms.contains("stage") && alarms.contains("disk"))
    // The network is not asked again for affinities that could not be cut.
    #expect(networks.current == Self.zs.count + 2)
    #expect(cuts.current == Self.zs.count + 1)
  }

  /// A folder stands where a product is to be; the alarm says so until it is removed.
  @Test func aProductThatCannotBeWrittenIsWrittenLater() throws {
    let calm = try Bench(size: 128)
    try calm.run([Self.zs.map { try calm.write($0) }])
    let file = try calm.query("select file from fgnet.section where z = 4")
    let bench = try Bench(size: 128)
    let path = bench.configuration.stateDirectory + "/sections/test/" + file
    let networks = Count()
    var alarms: [String] = []
    try bench.run([Self.zs.map { try bench.write($0) }]) { core in
      core.showsTail = false
      core.adjust = { set in
        self.watched(set) { z in
          _ = networks.next()
          if z == 4 { #expect(mkdir(path, 0o755) == 0) }
        }
      }
      core.onProgress = { [unowned core] in
        for alarm in core.alarms.alarms where alarm.text.contains(file) {
          alarms.append(alarm.text)
          rmdir(path)
        }
      }
    }
    #expect(!alarms.isEmpty)
    #expect(networks.current == Self.zs.count)
    #expect(try bench.finalState() == calm.finalState())
  }

  @Test func aDatabaseThatGoesAwayLosesAndDoublesNothing() throws {
    let bench = try Bench(size: 128)
    let networks = Count()
    let configuration = bench.configuration
    var alarms: Set<String> = []
    try bench.run([Self.zs.map { try bench.write($0) }]) { core in
      core.adjust = { set in
        self.watched(set) { _ in
          guard [2, 6].contains(networks.next()) else { return }
          try withRecord(configuration) { record in
            _ = try record.connection.execute(
              """
              select pg_terminate_backend(pid) from pg_stat_activity
              where pid <> pg_backend_pid() and datname = current_database()
              """)
          }
        }
      }
      core.onProgress = { [unowned core] in for alarm in core.alarms.alarms { alarms.insert(alarm.kind) } }
    }
    #expect(alarms.contains("database"))
    #expect(try bench.finalState() == Self.expected())
    #expect(try bench.query("select count(*)::text from fgnet.section") == "\(Self.zs.count)")
  }

  /// Told to stop while the network and the watershed are at work: both end what they do, and the next start goes on.
  @Test func stoppingWhileAllStagesAreAtWork() throws {
    let bench = try Bench(size: 128)
    let files = try Self.zs.map { try bench.write($0) }
    let (cutting, stopped) = (Gate(), Gate())
    let (networks, cuts) = (Count(), Count())
    try bench.run([files], finish: false) { core in
      let inbox = core.inbox
      core.adjust = { set in
        var set = self.watched(set) { _ in
          guard networks.next() == 2 else { return }
          cutting.pass()
          inbox.stop()
          stopped.open()
        }
        set.watershed = set.watershed.map {
          WatchedWatershed(inner: $0) {
            guard cuts.next() == 1 else { return }
            cutting.open()
            stopped.pass()
          }
        }
        return set
      }
    }
    #expect((3..<Self.zs.count).contains(networks.current) && (2..<Self.zs.count).contains(cuts.current))
    #expect(try bench.stored().filter { $0.hasPrefix(".") }.isEmpty)
    try bench.run([files])
    #expect(try bench.finalState() == Self.expected())
  }
}
