import Domain
import Foundation
import Testing

@testable import Plugins

/// Programs as stages: what they are given, what is taken from them, and what becomes of those that misbehave.
@Suite(.serialized) struct ExternalCommandTests {
  let bench: ExternalBench
  init() throws { bench = try ExternalBench() }

  @Test func aProgramIsAskedOnceAndKept() throws {
    let stage = try bench.command(.denoise, "probe.py")
    #expect(stage.description.version == "3" && stage.description.summary == "Shows its surroundings.")
    #expect(stage.description.options.map(\.name) == ["gain", "megabytes", "edge", "loud"])
    let denoise = try ExternalBench.denoise(stage, ["gain": .double(0.5), "loud": .bool(true)])
    #expect(denoise.fingerprint == "mine/3 sha256=c0de voxel=30.0,6.0,5.0 gain=0.5 megabytes=0 edge=\"keep\" loud=true")
    for _ in 0..<3 {
      #expect(try denoise.filtered(ExternalBench.image).storage == ExternalBench.image.storage.map { $0 / 2 })
    }
    let environments = bench.lines.filter { $0.hasPrefix("environment") }
    // One start for three calls, and nothing inherited.
    #expect(environments == ["environment ['HOME', 'LANG', 'PATH', 'PYTHONPATH']"])
    // Besides the three standard ones: the two pipes of its own, and the list that is being read.
    #expect(bench.lines.contains { $0.hasPrefix("files") && $0.hasSuffix("group True") }, "\(bench.lines)")
    let files = try #require(bench.lines.first { $0.hasPrefix("files") })
    #expect(files.split(separator: ",").count <= 7, "\(files)")
    #expect(bench.lines.contains { $0.hasPrefix("death 9 volume cortex (30, 6, 5) folder") }, "\(bench.lines)")
    // What it prints is in the log, not in its answers.
    #expect(bench.lines.contains("printed by Python") && bench.lines.contains("printed by C"), "\(bench.lines)")
  }

  @Test func itsOptionsAreCheckedByItsOwnDescription() throws {
    let registry = ExternalBench.registry(try bench.command(.denoise, "probe.py"))
    let faults = registry.faults(
      .denoise, named: "mine", options: ["gain": .double(3), "edge": .string("round"), "radius": .int(1)],
      path: "stages.denoise[0]")
    #expect(faults.count == 3, "\(faults)")
    #expect(faults[0] == "stages.denoise[0].gain: is 3.0, a number, but must be a number from 0.0 to 2.0.")
    #expect(faults[1].contains("one of zero, keep") && faults[2].contains("there is no such option"))
  }

  @Test(arguments: [
    ("crash", "ended by signal 6"), ("exit", "ended with status 3; its last words: the model is gone"),
    ("hang", "no answer within its time_limit"), ("flood", "no answer within its time_limit"),
    ("refuse", "this image is not of my taste"), ("garbage", "where a line of JSON belongs"),
    ("endless", "where a line of JSON belongs"), ("nan", "the value nan at row 1, column 2"),
    ("range", "the value 1.5 at row 0, column 0"), ("shape", "has the shape [9, 8] instead of [9, 7]"),
    ("dtype", "has the dtype float64 instead of float32"), ("id", "it answered request -1 instead of 1"),
  ])
  func whatADenoiserDoesWrongIsSaidAndTheNextCallIsAFreshStart(fault: String, reason: String) throws {
    let stage = try bench.command(
      .denoise, "bad.py", ["denoise", fault], timeLimit: ["hang", "flood"].contains(fault) ? 1 : 60)
    let denoise = try ExternalBench.denoise(stage)
    let found = ExternalBench.reason { _ = try denoise.filtered(ExternalBench.image) }
    #expect(found.hasPrefix("stage mine: ") && found.contains(reason), "\(found)")
    #expect(!found.contains("\n") && found.count < 600)
    #expect(try denoise.filtered(ExternalBench.image) == ExternalBench.image)
    // A flood is not a flood of the log: 20 lines, one that says so, and one that counts.
    #expect(bench.lines.count <= 30 && bench.lines.allSatisfy { $0.count <= 520 }, "\(bench.lines.count)")
  }

  @Test func bytesThatNobodyAskedForAreFoundBeforeTheNextCall() throws {
    let denoise = try ExternalBench.denoise(try bench.command(.denoise, "bad.py", ["denoise", "more"]))
    #expect(try denoise.filtered(ExternalBench.image) == ExternalBench.image)
    // They may come a moment after the answer.
    var found = ""
    for _ in 0..<200 where found.isEmpty {
      found = ExternalBench.reason { _ = try denoise.filtered(ExternalBench.image) }
    }
    #expect(found.contains("and another thing"), "\(found)")
    #expect(try denoise.filtered(ExternalBench.image) == ExternalBench.image)
  }

  @Test(arguments: [
    (StageKind.watershed, "labels", "label 8388608 at row 0, column 3 is out of range"),
    (.affinity, "nan", "affinities has the value inf"),
    (.affinity, "shape", "the shape [1, 4, 5] instead of [3, 4, 5]"),
    (.agglomerate, "decision", "decision 0 is 2"), (.agglomerate, "score", "score 0 is nan"),
    (.agglomerate, "count", "accepted has the shape [2] instead of [3]"),
  ])
  func whatTheOtherKindsDoWrongIsSaid(kind: StageKind, fault: String, reason: String) throws {
    let registry = ExternalBench.registry(try bench.command(kind, "bad.py", [kind.rawValue, fault]))
    let image = Plane<Float>(height: 4, width: 5, repeating: 0.5)
    let map = Plane<UInt8>(height: 4, width: 5, repeating: 128)
    func check(_ call: () throws -> Void) throws {
      let found = ExternalBench.reason(call)
      #expect(found.hasPrefix("stage mine: ") && found.contains(reason), "\(found)")
      try call()
    }
    switch kind {
    case .affinity:
      let stage = try registry.affinity(named: "mine", options: [:], path: "")
      let stack = (0..<3).map { z in StackSection(z: Int32(z), key: "\(z)") { image } }
      try check { _ = try stage.affinities(of: 1, in: stack) }
      // In the middle of the stack all three channels are there, but for the first row and column.
      let result = try stage.affinities(of: 1, in: stack)
      #expect(result.z[0, 0] == 128 && result.y[0, 1] == 0 && result.y[1, 0] == 128 && result.x[1, 0] == 0)
      #expect(try stage.affinities(of: 0, in: stack).z == Plane(height: 4, width: 5, repeating: 0))
    case .watershed:
      let stage = try registry.watershed(named: "mine", options: [:], path: "")
      try check { _ = try stage.fragments(of: AffinitySection(z: map, y: map, x: map)) }
      let result = try stage.fragments(of: AffinitySection(z: map, y: map, x: map))
      #expect(result.count == 2 && result.labels[0, 0] == 0 && result.labels[0, 1] == 1 && result.labels[3, 4] == 2)
    case .agglomerate:
      let stage = try registry.agglomerate(named: "mine", options: [:], path: "")
      #expect(stage.lookBehind == 1 && stage.lookAhead == 1)
      try check { _ = try stage.decide(1..<2, in: ExternalBench.window) }
      let result = try stage.decide(0..<2, in: ExternalBench.window)
      #expect(result.map(\.count) == [1, 3] && result[1][2] == EdgeDecision(accepted: true, score: 0.75))
    case .denoise: Issue.record("no such case")
    }
  }

  @Test(arguments: [
    ("old", "it speaks version 7 of the protocol"), ("shouts", "where a line of JSON belongs"),
  ])
  func aProgramThatCannotIntroduceItselfIsAnOutage(fault: String, reason: String) throws {
    let found = #expect(throws: StageError.self) { try bench.command(.denoise, "bad.py", ["denoise", fault]) }
    #expect(found?.isOutage == true && found?.reason.contains(reason) == true, "\(found as Any)")
  }

  @Test func aWrongKindAMissingProgramAndAMissingFileAreNamed() throws {
    #expect(
      ExternalBench.reason { _ = try bench.command(.affinity, "bad.py", ["denoise", ""]) }.contains("kind denoise"))
    #expect(
      ExternalBench.reason { _ = try bench.command(.denoise, "none.py") }.contains(
        "its last words: /usr/bin/python3: can't open"))
    let none = ExternalSource(
      name: "mine", kind: .denoise,
      origin: .command(.init(words: ["/no/such"], environment: [:], directory: "/", timeLimit: 1, memoryLimit: 0)),
      contentHash: "")
    #expect(
      ExternalBench.reason { _ = try ExternalStage(none) { _ in } }.contains("/no/such cannot be run: No such file"))
  }

  @Test func memoryIsLimited() throws {
    let stage = try bench.command(.denoise, "probe.py", memoryLimit: 512 << 20)
    let greedy = try ExternalBench.denoise(stage, ["megabytes": .int(1000)])
    #expect(ExternalBench.reason { _ = try greedy.filtered(ExternalBench.image) }.contains("MemoryError"))
    // One that leaks is found out when its memory is full, and begins anew.
    let leaking = try ExternalBench.denoise(stage, ["megabytes": .int(100)])
    var failed = 0
    for _ in 0..<12 {
      if !ExternalBench.reason({ _ = try leaking.filtered(ExternalBench.image) }).isEmpty { failed += 1 }
    }
    #expect((1...4).contains(failed), "\(failed) of 12")
  }

  @Test func aCallEndsWhenItIsCancelledAndNothingIsLeft() throws {
    let stage = try bench.command(.denoise, "bad.py", ["denoise", "hang"])
    let denoise = try ExternalBench.denoise(stage)
    let supervised = try #require(denoise as? any SupervisedStage)
    let signs = Counter()
    supervised.whileWaiting { signs.add() < 3 }
    #expect(ExternalBench.reason { _ = try denoise.filtered(ExternalBench.image) }.contains("it was stopped"))
    #expect(signs.value >= 3)
    // Neither it nor its child, once the kernel has buried them.
    for _ in 0..<1000 where !Self.processes(in: bench.folder).isEmpty { usleep(10_000) }
    #expect(Self.processes(in: bench.folder).isEmpty)
  }

  @Test func theProgramEndsWithItsStage() throws {
    var denoise: (any ImageStage)? = try ExternalBench.denoise(try bench.command(.denoise, "bad.py", ["denoise", ""]))
    _ = try denoise?.filtered(ExternalBench.image)
    #expect(Self.processes(in: bench.folder).count == 1)
    denoise = nil
    #expect(Self.processes(in: bench.folder).isEmpty)
  }

  /// Processes that work in a folder.
  static func processes(in folder: String) -> [Int] {
    let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc"))?.compactMap { Int($0) } ?? []
    return all.filter {
      (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\($0)/cwd")) == folder
    }
  }
}

/// Counts, from any thread.
final class Counter: @unchecked Sendable {
  private let lock = NSLock()
  private var count = 0
  var value: Int { lock.withLock { count } }
  func add() -> Int {
    lock.withLock {
      count += 1
      return count
    }
  }
}
