import Domain
import Foundation
import Testing

@testable import Volumes

@Suite struct TrainingVolumeTests {
  private func write(_ path: String, deep: Bool, planes: Int = 2) throws {
    let writer = try TrainingVolumeWriter(
      path: path, sections: [4, 7], height: 3, width: 5, bitDepth: deep ? 16 : 8, voxelSize: (30, 6, 6),
      attributes: ["volume": "test", "runs": "1,2"])
    for k in 0..<planes {
      // The second section has 16 bits where the file has.
      let depth = deep && k == 1 ? 16 : 8
      let pixels = Plane<UInt16>(height: 3, width: 5, repeating: depth == 16 ? 60_000 : UInt16(200 + k))
      try writer.append(
        image: SectionImage(bitDepth: depth, pixels: pixels),
        labels: Plane(height: 3, width: 5, repeating: 1 << 62 + UInt64(k)))
    }
    try writer.finish()
  }

  @Test(arguments: [false, true]) func otherProgramsReadIt(deep: Bool) throws {
    let folder = try TemporaryFolder()
    try write(folder.file("pair.h5"), deep: deep)
    let script = """
      import h5py
      with h5py.File("pair.h5") as file:
          image, labels = file["image"], file["labels"]
          print(image.shape, image.dtype, int(image[0].max()), int(image[1].min()))
          print(labels.shape, labels.dtype, int(labels[1].max()) - 2**62, list(labels.attrs["resolution"]))
          print(file["z"].dtype, list(map(int, file["z"][()])), file.attrs["volume"].decode(), sorted(file))
      """
    let lines = try python(script, in: folder.path).split(separator: "\n")
    #expect(lines[0] == (deep ? "(2, 3, 5) uint16 51400 60000" : "(2, 3, 5) uint8 200 201"))
    #expect(lines[1].hasPrefix("(2, 3, 5) uint64 1 [") && lines[1].contains("30.0") && lines[1].contains("6.0"))
    #expect(lines[2] == "int32 [4, 7] test ['image', 'labels', 'z']")
  }

  @Test func locationsNameADatasetAndSizesAreRead() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("pair.h5")
    try write(path, deep: false)
    let image = try LabelSource.open(path + ":image")
    #expect(try image.plane(1).storage.allSatisfy { $0 == 201 })
    #expect(image.voxelSize.map { [$0.z, $0.y, $0.x] } == [30, 6, 6])
    #expect(try LabelSource.open(path).plane(0).storage.first == 1 << 62)
    #expect(try LabelSource.open(path, usual: LabelSource.usualImageDatasets).plane(0).storage.first == 200)
    #expect(throws: VolumeError.self) { try LabelSource.open(path + ":other") }
    #expect(throws: VolumeError.self) { try LabelSource.open(folder.file("none.h5:image")) }
  }

  @Test func anUnfinishedFileLeavesNothing() throws {
    let folder = try TemporaryFolder()
    #expect(throws: VolumeError.self) { try write(folder.file("pair.h5"), deep: false, planes: 1) }
    #expect(throws: VolumeError.self) { try write(folder.file("pair.h5"), deep: false, planes: 3) }
    #expect(try folder.names().isEmpty)
  }
}
