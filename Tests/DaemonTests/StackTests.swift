import DB
import Domain
import Foundation
import Testing
import Volumes

@testable import Daemon

/// Files of several sections, and what files say of their pixels, from the folder to the rows.
@Suite struct StackTests {
  /// An MRC file of 16-bit planes of noise that depends on the seeds.
  private func mrc(_ seeds: [UInt16], side: Int = 64, angstrom: Float = 60) -> Data {
    var data = Data()
    func word(_ value: Int32) { withUnsafeBytes(of: value.littleEndian) { data.append(contentsOf: $0) } }
    let (side32, count) = (Int32(side), Int32(seeds.count))
    for value in [side32, side32, count, 6, 0, 0, 0, side32, side32, count] { word(value) }
    for length in [angstrom * Float(side), angstrom * Float(side), 300 * Float(seeds.count)] {
      word(Int32(bitPattern: length.bitPattern))
    }
    data.append(Data(count: 208 - data.count))
    data.append(contentsOf: Array("MAP DD\0\0".utf8))
    data.append(Data(count: 1024 - data.count))
    for seed in seeds {
      for i in 0..<side * side {
        let value = UInt16(truncatingIfNeeded: (i &* 2_654_435_761) >> 7) ^ (seed &* 257)
        withUnsafeBytes(of: value.littleEndian) { data.append(contentsOf: $0) }
      }
    }
    return data
  }

  private func bench(_ stack: ImageOptions.Stack = .sections) throws -> Bench {
    let bench = try Bench(size: 64)
    bench.configuration.volumes[0].images.stack = stack
    return bench
  }

  private func offers(_ bench: Bench) throws -> (offered: [OfferedFile], refused: [RefusedFile]) {
    try FolderIntake.scanOnce(bench.configuration.volumes[0], policy: bench.configuration.intake.policy)
  }

  @Test func eachPlaneIsASection() throws {
    let bench = try bench()
    try mrc([1, 2, 3]).write(to: URL(fileURLWithPath: bench.watched + "/s10.mrc"))
    let found = try offers(bench)
    #expect(found.offered.map(\.z) == [10, 11, 12] && found.offered.map(\.plane) == [0, 1, 2])
    try bench.run([found.offered])
    let rows = try bench.query(
      "select string_agg(z || ' ' || state || ' ' || plane || ' ' || pixel_x_nm, ',' order by z) from fgnet.sections")
    #expect(rows == "10 final 0 6,11 final 1 6,12 final 2 6")
    #expect(try bench.query("select count(distinct content_sha256)::text from fgnet.section") == "3")
    #expect(try bench.query("select count(note)::text from fgnet.section") == "0")
  }

  /// Only what is new is done; a restart takes up a file of which some sections have no row yet.
  @Test func aStackThatGrowsKeepsItsSections() throws {
    let bench = try bench()
    let path = URL(fileURLWithPath: bench.watched + "/s0.mrc")
    try mrc([1, 2]).write(to: path)
    try bench.run([offers(bench).offered])
    try mrc([1, 2, 3]).write(to: path)
    let grown = try offers(bench).offered
    try bench.run([Array(grown.prefix(1))])
    func known() throws -> Int {
      try withRecord(bench.configuration) { try $0.knownFiles($0.volumes()[0].id).count }
    }
    #expect(try known() == 0)
    try bench.run([grown])
    #expect(try known() == 1)
    #expect(
      try bench.query("select string_agg(z || ' ' || revision, ',' order by z) from fgnet.section") == "0 1,1 1,2 1")
  }

  @Test func aStackIsRefusedByDefault() throws {
    let bench = try bench(.refuse)
    try mrc([1, 2]).write(to: URL(fileURLWithPath: bench.watched + "/s0.mrc"))
    let found = try offers(bench)
    #expect(found.offered.isEmpty && found.refused.count == 1)
    #expect(found.refused.first?.reason.contains("it holds 2 sections") == true)
  }

  @Test func numbersBeyondTheLargestAreRefused() throws {
    let bench = try bench()
    try mrc([1, 2]).write(to: URL(fileURLWithPath: bench.watched + "/s131071.mrc"))
    #expect(try offers(bench).refused.first?.reason.contains("above 131071") == true)
  }

  @Test func aPixelSizeThatIsNotTheVolumesIsAWarning() throws {
    let bench = try bench(.refuse)
    try mrc([1], angstrom: 50).write(to: URL(fileURLWithPath: bench.watched + "/s0.mrc"))
    try mrc([2], angstrom: 60.5).write(to: URL(fileURLWithPath: bench.watched + "/s1.mrc"))
    try bench.run([offers(bench).offered])
    let notes = try bench.query("select string_agg(z || ' ' || note, ',') from fgnet.section where note is not null")
    #expect(notes.hasPrefix("0 by the file its voxels have 5 nm in y instead of 6, 5 nm in x instead of 6"))
    let warnings = try withRecord(bench.configuration) { try $0.warnings($0.volumes()[0].id, limit: 1) }
    #expect(warnings.count == 1 && warnings.lowest.first?.z == 0)
  }

  /// What the daemon does when an image of the store is lost: the plane is read again, and must have the same hash.
  @Test func aPlaneIsReadAgainUnderTheSameHash() throws {
    let bench = try bench()
    let path = bench.watched + "/s0.mrc"
    try mrc([1, 2]).write(to: URL(fileURLWithPath: path))
    let reader = SourceReader(options: ImageOptions(stack: .sections))
    let first = try reader.read(path, plane: 1).sha256
    #expect(try reader.read(path, plane: 1).sha256 == first && reader.read(path, plane: 0).sha256 != first)
    try mrc([1, 2, 3]).write(to: URL(fileURLWithPath: path))
    #expect(try reader.read(path, plane: 1).sha256 == first)
    #expect(throws: VolumeError.self) { try reader.read(path, plane: 3) }
    let alone = SourceReader(options: ImageOptions())
    try mrc([5]).write(to: URL(fileURLWithPath: path))
    #expect(try alone.read(path, plane: 0).sha256 == ContentHash.sha256(ofFile: path))
  }

  @Test(arguments: [(30.0, 6.06, 6.0, false), (30, 6.07, 6, true), (33, 6, 6, true)])
  func onePerCentIsTolerated(z: Double, y: Double, x: Double, isOff: Bool) throws {
    let size = try #require(PixelSize(z: z, y: y, x: x))
    #expect((PixelSizeCheck.warning(size, (30, 6, 6), isStack: true) != nil) == isOff)
    if z != 30 { #expect(PixelSizeCheck.warning(size, (30, 6, 6), isStack: false) == nil) }
  }
}
