import DB
import Domain
import Foundation
import Testing
import Volumes

@testable import Daemon

@Suite struct TrainingExportTests {
  private func export(_ bench: Bench, _ output: String, _ segments: Set<UInt64>? = nil) throws -> TrainingExport {
    try withSegmentedVolume(bench.configuration, "test") { segmented in
      let export = try TrainingExport(segmented, output: output, segments: segments)
      try export.write(segmented)
      return export
    }
  }

  @Test func finalSectionsOnlyAndHolesAreLeftOut() throws {
    let bench = try Bench(size: 64)
    try bench.run([[0, 1, 3].map { try bench.write($0) }], finish: false)
    let path = bench.folder + "/out/pair.h5"
    #expect(throws: OperatorError.self) { try export(bench, path) }
    #expect(!FileManager.default.fileExists(atPath: path))
    try bench.run([], missing: [2])
    let made = try export(bench, path)
    #expect(
      made.summary.hasSuffix(
        "3 final sections of 64 x 64, 8 bit, z 0 to 3; 1 that are missing or not final are left out: 2"))
    #expect(made.command.hasSuffix("--source \(path):image,\(path):labels --voxel-size 30 6 6"))
    let images = try LabelSource.open(path + ":image")
    #expect(images.count == 3)
    #expect(try images.plane(2).storage == bench.volume.section(3).image.storage.map { UInt64($0) })
    let names = try LabelSource.open(path + ":labels").plane(2)
    try withSegmentedVolume(bench.configuration, "test") { segmented in
      let segments = try segmented.segments(segmented.section(3))
      #expect(segments == names)
    }
  }

  @Test func namesThatTheTrainerWouldCutAreRefused() throws {
    let bench = try Bench(size: 64)
    try bench.run([[try bench.write(0)]])
    for name in ["a,b.h5", "a:b.h5", "a[1].h5"] {
      #expect(throws: OperatorError.self) { try export(bench, bench.folder + "/" + name) }
    }
    let quoted = try export(bench, bench.folder + "/a b").command
    #expect(quoted.contains("--source '\(bench.folder)/a b/test.h5:image,"))
  }

  @Test func listsOfSegments() throws {
    let folder = try ScratchFolder()
    #expect(try SegmentList.read("5,7, 9") == [5, 7, 9])
    let file = try folder.write("# proofread\n5 7\n9, # mine\n\n18446744073709551615\n", "list.txt")
    #expect(try SegmentList.read(file) == [5, 7, 9, .max])
    for wrong in ["", ",", "0", "5,x", "/no/such/file", try folder.write("# none\n", "none.txt")] {
      #expect(throws: OperatorError.self, "\(wrong)") { try SegmentList.read(wrong) }
    }
  }
}
