import Domain
import Foundation
import Testing
import Volumes

@testable import Daemon

/// Files of the store that are damaged or lost: found, and made again as they were.
@Suite(.serialized) struct StoreDamageTests {
  /// How a file comes to harm.
  enum Damage: CaseIterable {
    case overwritten, cut, emptied, removed

    func harm(_ path: String) throws {
      let size = try #require(FileManager.default.contents(atPath: path)).count
      switch self {
      case .overwritten:
        let file = try #require(FileHandle(forWritingAtPath: path))
        try file.seek(toOffset: UInt64(size / 8))
        try file.write(contentsOf: Data(repeating: 0x5A, count: size - size / 8))
        try file.close()
      case .cut: #expect(truncate(path, off_t(size / 2)) == 0)
      case .emptied: #expect(truncate(path, 0) == 0)
      case .removed: #expect(unlink(path) == 0)
      }
    }
  }

  private func file(_ bench: Bench, _ z: SectionNumber) throws -> String {
    bench.configuration.stateDirectory + "/sections/test/"
      + (try bench.query("select file from fgnet.section where z = \(z) and state <> 'superseded'"))
  }

  private func image(_ bench: Bench, _ z: SectionNumber) throws -> String {
    bench.configuration.stateDirectory + "/sections/test/"
      + imageName(z, try bench.query("select content_sha256 from fgnet.section where z = \(z)"))
  }

  private static let calm = Result {
    let bench = try Bench(size: 96, stages: ReloadTests.quick)
    try bench.run([(0..<12).map { try bench.write($0) }])
    return try bench.finalState()
  }

  /// Sections 5 to 9 look at 4 when they become final; 2 is only found to be gone.
  @Test(arguments: Damage.allCases) func itIsFoundOnUseAndMadeAgain(_ damage: Damage) throws {
    let bench = try Bench(size: 96, stages: ReloadTests.quick)
    try bench.run([(0..<10).map { try bench.write($0) }], finish: false)
    #expect(try bench.query("select max(z)::text from fgnet.section where state = 'final'") == "4")
    let runs = try bench.query("select string_agg(z || ' ' || run_id, ',') from fgnet.section where z <= 4")
    try damage.harm(file(bench, 4))
    try damage.harm(file(bench, 8))
    try damage.harm(image(bench, 7))
    #expect(unlink(try file(bench, 2)) == 0)
    var alarms: [String] = []
    try bench.run([(10..<12).map { try bench.write($0) }]) { core in
      core.onProgress = { [unowned core] in alarms += core.alarms.alarms.map(\.text) }
    }
    #expect(alarms.isEmpty)
    #expect(try bench.finalState() == Self.calm.get())
    // What was final is not committed again.
    #expect(try bench.query("select string_agg(z || ' ' || run_id, ',') from fgnet.section where z <= 4") == runs)
    #expect(try bench.query("select count(*)::text from fgnet.operation where kind = 'revision'") == "0")
  }

  /// A file that other options would make must not take the place of a lost one.
  @Test func otherOptionsDoNotMakeALostFileAgain() throws {
    let bench = try Bench(size: 96)
    try bench.run([(0..<4).map { try bench.write($0) }])
    let before = try bench.query("select string_agg(fragment_id::text, ',' order by 1) from fgnet.fragment")
    let lost = try file(bench, 2)
    #expect(unlink(lost) == 0)
    let journal = Journal()
    let other = try Bench(size: 96, stages: "  watershed: {threshold: 0.35}")
    let own = bench.configuration.watershed
    bench.configuration.watershed = other.configuration.watershed
    let core = try DaemonCore(
      configuration: bench.configuration, inbox: Inbox(),
      log: .init(label: "test") { _ in ReloadTests.Lines(journal: journal) })
    try core.open()
    try core.run { true }
    core.close()
    #expect(!FileManager.default.fileExists(atPath: lost))
    #expect(journal.all.count { $0.contains("go back to the options of run 1") } == 1, "\(journal.all)")
    #expect(try bench.query("select string_agg(fragment_id::text, ',' order by 1) from fgnet.fragment") == before)
    bench.configuration.watershed = own
    try bench.run([])
    #expect(FileManager.default.fileExists(atPath: lost))
  }

  /// What a commit left when the program was killed before it removed it.
  @Test func productsThatNoRowNamesAreRemovedAtTheStart() throws {
    let bench = try Bench(size: 96)
    try bench.run([(0..<3).map { try bench.write($0) }])
    let before = try bench.stored()
    let stray = try String(file(bench, 1).dropLast(15)) + "0123456789ab.h5"
    try FileManager.default.copyItem(atPath: file(bench, 1), toPath: stray)
    #expect(try bench.stored().count == before.count + 1)
    try bench.run([])
    #expect(try bench.stored() == before)
  }

  private func verify(_ bench: Bench, _ arguments: String...) throws -> (status: Int32?, output: String, errors: String)
  {
    let path = bench.folder + "/fgnetd.yaml"
    try bench.configuration.text.write(toFile: path, atomically: true, encoding: .utf8)
    let program = try ProgramTests.Program(["verify", "--config", path] + arguments)
    let status = program.status(within: 120)
    if status == nil { program.signal(SIGKILL) }
    let texts = program.texts()
    return (status, texts.output, texts.errors)
  }

  @Test func verifyFindsEveryDamageAndRepairMakesFilesAgain() throws {
    let bench = try Bench(size: 128)
    try bench.run([(0..<6).map { try bench.write($0) }])
    let before = try bench.finalState()
    let whole = try verify(bench)
    #expect(whole.status == 0 && whole.output == "volume test: 12 files, 0 damaged, lost or not as the rows say\n")
    try Damage.overwritten.harm(file(bench, 1))
    try Damage.removed.harm(file(bench, 3))
    try Damage.cut.harm(image(bench, 4))
    // Whole, but of another section.
    unlink(try file(bench, 5))
    try FileManager.default.copyItem(atPath: file(bench, 0), toPath: file(bench, 5))
    let found = try verify(bench)
    #expect(found.status == ExitStatus.badData.rawValue && found.errors.contains("--repair"), "\(found.errors)")
    for z in [1, 3, 4, 5] { #expect(found.output.contains("volume test, z \(z): "), "\(found.output)") }
    #expect(found.output.contains("12 files, 4 damaged"), "\(found.output)")
    let repaired = try verify(bench, "--repair")
    #expect(repaired.status == 0, "\(repaired.output)\(repaired.errors)")
    #expect(repaired.output.split(separator: "\n").count { $0.hasSuffix("made again") } == 4, "\(repaired.output)")
    #expect(try verify(bench).status == 0)
    #expect(try bench.finalState() == before)
    #expect(try bench.stored().filter { $0.hasPrefix("damaged-") }.isEmpty)
  }

  @Test func whatCannotBeMadeAgainIsPutBackAndNamed() throws {
    let bench = try Bench(size: 128)
    try bench.run([(0..<4).map { try bench.write($0) }])
    let stored = try bench.stored()
    // The file is whole; the rows are not what they were.
    _ = try bench.query("update fgnet.fragment set area_px = area_px + 1 where z = 1 returning ''")
    // Damaged in the store, and gone from the microscope's folder.
    try Damage.overwritten.harm(image(bench, 2))
    #expect(unlink(bench.watched + "/s2.png") == 0)
    let repaired = try verify(bench, "--repair")
    #expect(repaired.status == ExitStatus.badData.rawValue, "\(repaired.output)\(repaired.errors)")
    #expect(repaired.output.contains("z 1: ") && repaired.output.contains("z 2: "), "\(repaired.output)")
    #expect(repaired.errors.contains("bring it back"), "\(repaired.errors)")
    #expect(try bench.stored() == stored)
  }
}
