import Domain
import Foundation
import Plugins
import Synchronization
import Testing
import Volumes

@testable import Daemon

@Suite(.serialized) struct MemoryTests {
  /// Tiles, denoised bands, region graph from the file: rows and files are those of whole sections, byte for byte.
  @Test(arguments: [
    "    keep_coarse: true", "  denoise: [{name: median}, {name: nlm, search_radius: 2}, {name: clahe, tile: 32}]",
  ])
  func littleMemoryGivesTheSame(_ stages: String) throws {
    func state(limit: Int, large: Int?, scratch: Int) throws -> String {
      let bench = try Bench(size: 300, stages: stages)
      bench.configuration.memoryLimit = limit
      bench.configuration.scratchLimit = scratch
      // The tail is shown first, then settled.
      try bench.run([(0..<3).map { try bench.write($0) }, [try bench.write(3)]]) {
        $0.adjust = { set in
          var set = set
          if let large { set.largePixels = large }
          return set
        }
      }
      #expect(try bench.query("select count(*)::text from fgnet.section where state = 'final'") == "4")
      #expect(try bench.query("select count(*)::text from fgnet.lineage_event where event = 'settled'") != "0")
      return try bench.finalState()
    }
    let expected = try state(limit: 4 << 30, large: nil, scratch: 0)
    for scratch in [0, 1 << 30] {
      #expect(try state(limit: FGNetAffinityStage.reserve + 110 << 20, large: 1, scratch: scratch) == expected)
    }
  }

  /// Counts the pieces of work that are done at a time, of all kinds.
  private final class Counted: Executor {
    private let inner: any Executor
    private let counts = Mutex((now: 0, most: 0))
    init(_ inner: any Executor) { self.inner = inner }
    var most: Int { counts.withLock { $0.most } }
    func hasRoom(for kind: WorkKind) -> Bool { inner.hasRoom(for: kind) }
    func submit(_ kind: WorkKind, _ work: @escaping @Sendable () -> Void) {
      inner.submit(kind) { [self] in
        counts.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
        work()
        counts.withLock { $0.now -= 1 }
      }
    }
    func close() { inner.close() }
  }

  /// Whether by tiles or only part by part: nothing goes on beside a large section's work.
  @Test(arguments: [(FGNetAffinityStage.reserve + 110 << 20, Int.max), (4 << 30, 1)])
  func stagesOfLargeSectionsDoNotOverlap(limit: Int, large: Int) throws {
    let bench = try Bench(size: 300)
    bench.configuration.memoryLimit = limit
    let seen = Mutex<Counted?>(nil)
    var underWay = 0
    try bench.run([(0..<3).map { try bench.write($0) }, [try bench.write(3)]]) { core in
      core.adjust = { set in
        var set = set
        set.largePixels = large
        return set
      }
      core.makeExecutor = { wake in
        let made = Counted(ThreadExecutor(whenDone: wake))
        seen.withLock { $0 = made }
        return made
      }
      core.onProgress = { [unowned core] in underWay = max(underWay, core.pipelines[0].making.count) }
    }
    #expect(try bench.query("select count(*)::text from fgnet.section where state = 'final'") == "4")
    #expect(underWay == 1)
    #expect(seen.withLock { $0?.most } == 1)
  }

  @Test func tooLittleMemorySaysHowMuchWouldDo() throws {
    let bench = try Bench(size: 300)
    bench.configuration.memoryLimit = FGNetAffinityStage.reserve + 1 << 20
    let (store, plan) = (SectionStore(directory: bench.folder), try StageMaker(bench.configuration).make()[0])
    try store.prepare()
    let stage = try #require(plan.affinity)
    let section = StackSection(z: 0, key: "a", height: 300, width: 300) {
      Plane(height: $0.height, width: $0.width, repeating: 0.5)
    }
    let error = #expect(throws: StageError.self) { try stage.affinities(of: 0, in: [section]) }
    #expect(
      error?.reason.contains("300 x 300") == true && error?.reason.contains("set memory_limit to at least") == true)
  }

  /// Every stage alone and all together: any window is the whole's.
  @Test func windowsOfDenoisedSectionsAreTheWhole() throws {
    let (height, width) = (203, 187)
    var generator = SeededGenerator(seed: 3)
    let image = Plane(
      height: height, width: width,
      storage: (0..<height * width).map { _ in Float.random(in: 0...1, using: &generator) })
    let whole = PlaneWindow(height: height, width: width)
    var nlm = NonLocalMeansOptions()
    nlm.searchRadius = 3
    let all: [any ImageStage] = [
      try Median(MedianOptions(radius: 2)), try NonLocalMeans(nlm), try Clahe(ClaheOptions(tile: 48)),
    ]
    for stages in all.map({ [$0] }) + [all, all.reversed()] {
      let set = StageSet(denoise: stages, gapConfidence: 1)
      var expected = image
      try set.filter(&expected)
      for window in [
        whole, PlaneWindow(rows: 0..<1, columns: 0..<1), PlaneWindow(rows: 202..<203, columns: 186..<187),
        PlaneWindow(rows: 50..<130, columns: 1..<60), PlaneWindow(rows: 97..<98, columns: 0..<187),
        PlaneWindow(rows: 100..<203, columns: 95..<187),
      ] {
        let found = try set.denoised(window, in: whole) { image.cropped(to: $0) }
        #expect(found == expected.cropped(to: window), "\(stages.map(\.name)) \(window)")
      }
    }
  }

  @Test func denoisedSectionsAreMadeOnceAndTheOldestGo() throws {
    let folder = NSTemporaryDirectory() + "fgnetd-test-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let scratch = DenoisedScratch(directory: folder, capacity: 2)
    let image = Plane(height: 30, width: 20, storage: (0..<600).map(Float.init))
    let whole = PlaneWindow(height: 30, width: 20)
    var made: [String] = []
    for key in ["a", "b", "a", "c", "b", "a"] {
      for window in [PlaneWindow(rows: 3..<29, columns: 5..<6), whole, PlaneWindow(rows: 29..<30, columns: 0..<20)] {
        let found = try scratch.read(key, window, in: whole) {
          made.append(key)
          return image.cropped(to: $0)
        }
        #expect(found == image.cropped(to: window))
      }
    }
    #expect(made == ["a", "b", "c", "a"])
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
  }

  /// A limit on the size of files in a process of its own: writes fail half-way as they do on a full disk.
  @Test func aFullDiskUnderTheScratchIsNamedAndPasses() async {
    await #expect(processExitsWith: .success) {
      let folder = NSTemporaryDirectory() + "fgnetd-scratch-" + UUID().uuidString
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let scratch = DenoisedScratch(directory: folder, capacity: 2)
      let whole = PlaneWindow(height: 64, width: 64)
      func read() throws -> [Float] {
        try scratch.read("a", whole, in: whole) { Plane(height: $0.height, width: $0.width, repeating: 0.5) }.storage
      }
      signal(SIGXFSZ, SIG_IGN)
      var size = rlimit(rlim_cur: 5000, rlim_max: rlim_t.max)
      precondition(setrlimit(__rlimit_resource_t(1), &size) == 0)
      do {
        _ = try read()
        preconditionFailure("written beyond the limit")
      } catch let error as VolumeError {
        precondition(error.isNoSpace, "\(error)")
      }
      size = rlimit(rlim_cur: rlim_t.max, rlim_max: rlim_t.max)
      precondition(setrlimit(__rlimit_resource_t(1), &size) == 0)
      try #require(try read() == [Float](repeating: 0.5, count: 64 * 64))
      try #require(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }

  @Test func theCacheHoldsBytesAndNumber() {
    var cache = ProductCache<Int>(capacity: 3, limit: 10) { $0 }
    for (key, value) in [("a", 4), ("b", 3), ("c", 2)] { cache.insert(key, value) }
    #expect(cache["a"] == 4)
    cache.insert("d", 1)
    #expect(cache["b"] == nil && cache["a"] == 4 && cache["c"] == 2)
    cache.insert("e", 11)
    #expect(cache["e"] == nil && cache["d"] == 1)
    cache.insert("c", 9)
    #expect(cache["c"] == 9 && cache["a"] == nil && cache["d"] == 1)
    cache.remove("c")
    cache.insert("f", 9)
    #expect(cache["f"] == 9 && cache["d"] == 1)
  }

  @Test func sizes() {
    for (text, bytes) in [("1", 1), ("12KiB", 12 << 10), ("3 MiB", 3 << 20), ("4GiB", 4 << 30), ("1TiB", 1 << 40)] {
      #expect(ByteSize.bytes(text) == bytes)
    }
    for text in ["", "GiB", "-1", "1.5GiB", "4GB", "4 G", "9999999999TiB", "0x10"] {
      #expect(ByteSize.bytes(text) == nil)
    }
    #expect(
      ByteSize.text(4 << 30) == "4 GiB" && ByteSize.text(1536 << 20) == "1536 MiB" && ByteSize.text(1001) == "1001")
  }

  @Test func theConfigurationTakesALimit() throws {
    func parse(_ line: String) throws -> DaemonConfiguration {
      try DaemonConfiguration.parse(
        """
        state_directory: /var/lib/fgnetd
        \(line)
        volumes: [{name: a, folder: /a}, {name: b, folder: /b}]
        stages: {affinity: {model: model.h5}}
        """, path: "test")
    }
    #expect(try parse("").memoryLimit == 4 << 30)
    #expect(try parse("").scratchLimit == 32 << 30)
    #expect(try parse("scratch_limit: 0").scratchLimit == 0)
    #expect(try parse("memory_limit: 8GiB").memoryLimit == 8 << 30)
    #expect(try parse("memory_limit: 8589934592").memoryLimit == 8 << 30)
    // The program itself counts once.
    #expect(try parse("memory_limit: 1280MiB").memoryLimitPerVolume == 768 << 20)
    for wrong in ["memory_limit: 100MiB", "memory_limit: much", "memory_limit: [1]", "memory_limit: 4GB"] {
      let error = #expect(throws: ConfigurationError.self) { try parse(wrong) }
      #expect(error?.description.contains("memory_limit must be a size such as 4GiB") == true)
    }
  }
}
