import DB
import Domain
import Foundation
import Testing
import Volumes

@testable import Daemon

/// `keep_coarse`, turned on in the middle of a volume.
@Suite(.serialized) struct CoarseAffinityTests {
  /// Files that are not made anew stay as they are; rows are what they are without. A file that is lost, or taken away, is made
  /// with them.
  @Test func theyAreKeptFromThenOnAndNothingElseChanges() throws {
    let (bench, plain) = (
      try Bench(size: 96, stages: ReloadTests.quick), try Bench(size: 96, stages: ReloadTests.quick)
    )
    try bench.run([(0..<10).map { try bench.write($0) }], finish: false)
    let early = Set(try bench.query(Self.finals).split(separator: ",").map(String.init))
    #expect(early.contains("0") && early.count < 10, "\(early)")
    bench.configuration = try DaemonConfiguration.parse(
      bench.configuration.text.replacing("    model:", with: "    keep_coarse: true\n    model:"), path: "test")
    try bench.run([(10..<16).map { try bench.write($0) }])
    try plain.run([(0..<16).map { try plain.write($0) }])
    #expect(try Self.rows(bench) == Self.rows(plain))

    let store = SectionStore(stateDirectory: bench.configuration.stateDirectory, volume: "test")
    func file(_ z: Int) throws -> String { try bench.query("select file from fgnet.section where z = \(z)") }
    for z in 0..<16 {
      #expect(try store.parts(file(z)).contains(.coarse) != early.contains("\(z)"), "section \(z)")
    }

    // Taken away, and made again.
    let before = try store.read(file(0))
    try store.remove(file(0))
    try bench.run([])
    var after = try store.read(file(0))
    #expect(after.affinities?.coarse?.height == 48)
    after.affinities?.coarse = nil
    #expect(after.affinities == before.affinities && after.fragments == before.fragments && after.graph == before.graph)
    #expect(try Self.rows(bench) == Self.rows(plain))
    #expect(try Self.faults(bench).isEmpty)

    #expect(try Self.damageCoarse(file(15), in: store))
    let faults = try Self.faults(bench)
    #expect(faults.map(\.z) == [15], "\(faults)")
  }

  /// Changes a byte that nothing but the coarse affinities rest on. Returns whether there is one.
  private static func damageCoarse(_ name: String, in store: SectionStore) throws -> Bool {
    let path = URL(fileURLWithPath: store.path(name))
    let bytes = try Data(contentsOf: path)
    for place in stride(from: 0, to: bytes.count, by: 61) {
      var changed = bytes
      changed[place] ^= 0x55
      try changed.write(to: path)
      let others = try? store.read(name, parts: SectionParts.all.subtracting(.coarse))
      if others != nil, (try? store.read(name)) == nil { return true }
    }
    return false
  }

  private static let finals = "select string_agg(z::text, ',' order by z) from fgnet.section where state = 'final'"

  /// Everything of `finalState` but the files.
  private static func rows(_ bench: Bench) throws -> Substring {
    let state = try bench.finalState()
    let end = try #require(state.range(of: "\n--\n", options: .backwards))
    return state[..<end.lowerBound]
  }

  private static func faults(_ bench: Bench) throws -> [StoreCheck.Fault] {
    try withRecord(bench.configuration) { record in
      let volume = try #require(try record.volumes().first)
      var check = StoreCheck(record: record, volume: volume, stateDirectory: bench.configuration.stateDirectory)
      return try check.faults()
    }
  }
}
