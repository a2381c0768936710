import Domain
import Glibc
import Testing

@testable import Volumes

/// HDF5 files of others, made by h5py and read by `fgnet-hdf5`.
@Suite struct HDF5ImageTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func make(_ script: String) throws -> String {
    _ = try python("import h5py, numpy as np, sys\nwith h5py.File('a.h5', 'w') as f:\n  " + script, in: folder.path)
    return folder.file("a.h5")
  }

  private func probe(_ path: String, _ dataset: String? = nil) -> ImageProbeResult {
    ImageProbe.probe(path, ImageOptions(stack: .sections, dataset: dataset))
  }

  @Test(arguments: [
    ("uint8", PixelType.u8), ("int8", .i8), ("uint16", .u16), (">i2", .i16), ("uint32", .u32), ("int32", .i32),
    ("float16", .f32), (">f4", .f32), ("float64", .f64), ("int64", .f64),
  ])
  func everyTypeIsRead(name: String, type: PixelType) throws {
    let path = try make(
      "d = f.create_dataset('volumes/raw', data=np.arange(30).reshape(2, 3, 5).astype('\(name)'), chunks=(1, 2, 5), compression='gzip'); d.attrs['resolution'] = [30., 6., 4.]"
    )
    let size = PixelSize(z: 30, y: 6, x: 4)
    #expect(probe(path) == .complete(ImageFacts(sections: 2, height: 3, width: 5, pixels: type, pixelSize: size)))
    let second = try ImageReader.read(path, section: 1, ImageOptions(stack: .sections)).pixels.storage
    switch type {
    case .u8, .u16: #expect(second == Array(15..<30))
    case .i8: #expect(second == Array(143..<158))
    case .i16: #expect(second == Array(32783..<32798))
    default: #expect(second == (0..<15).map { UInt16((Double($0) / 14 * 65535).rounded()) })
    }
  }

  @Test func theDatasetIsChosenByItsPath() throws {
    let path = try make(
      "f['a/b'] = np.full((3, 5), 7, 'u1'); f['raw'] = np.full((4, 5), 9, 'u1'); f['long'] = np.zeros((1, 1, 4, 3, 5), 'u1')"
    )
    #expect(probe(path) == .complete(ImageFacts(height: 4, width: 5, pixels: .u8)))
    #expect(probe(path, "/a/b") == .complete(ImageFacts(height: 3, width: 5, pixels: .u8)))
    #expect(probe(path, "long") == .complete(ImageFacts(sections: 4, height: 3, width: 5, pixels: .u8)))
    #expect(try ImageReader.read(path, ImageOptions(dataset: "a/b")).pixels.storage == Array(repeating: 7, count: 15))
    for name in ["a", "a/c", "c/d", "../raw"] {
      guard case .unusable = probe(path, name) else {
        Issue.record("\(name): \(probe(path, name))")
        continue
      }
    }
  }

  @Test func pixelsInOtherFilesAreNotRead() throws {
    let path = try make(
      "f.create_dataset('raw', (3, 5), 'u1', external=[('/etc/passwd', 0, 15)]); f['image'] = h5py.ExternalLink('b.h5', 'raw')"
    )
    _ = try python("import h5py, numpy as np\nh5py.File('b.h5', 'w')['raw'] = np.zeros((3, 5), 'u1')", in: folder.path)
    for name in ["raw", "image"] {
      guard case .unusable = probe(path, name) else {
        Issue.record("\(name): \(probe(path, name))")
        continue
      }
    }
  }

  @Test func everyCutIsIncompleteAndSizesBeyondTheFileAreRefused() throws {
    for version in ["earliest", "latest"] {
      _ = try python(
        "import h5py, numpy as np\nwith h5py.File('a.h5', 'w', libver='\(version)') as f: f['raw'] = np.zeros((9, 50), 'u1')",
        in: folder.path)
      let path = folder.file("a.h5")
      let whole = try contents(path)
      #expect(probe(path) == .complete(ImageFacts(height: 9, width: 50, pixels: .u8)))
      for length in stride(from: whole.count - 1, to: 0, by: -13) {
        truncate(path, length)
        guard case .incomplete = probe(path) else {
          Issue.record("\(version) cut to \(length) of \(whole.count): \(probe(path))")
          break
        }
      }
    }
    let path = try make("f.create_dataset('raw', (60000, 60000), 'u1', chunks=(64, 64))[0, 0] = 1")
    guard case .unusable(let reason) = probe(path) else {
      Issue.record("\(probe(path))")
      return
    }
    #expect(reason.contains("4096 bytes cannot hold"))
    guard case .incomplete = probe(try make("f.create_dataset('raw', (60, 60), 'u1')")) else {
      Issue.record("no pixels were written")
      return
    }
  }

  /// The library crashes or hangs on some of these; the reader must not.
  @Test func damagedFilesAreAnError() throws {
    let path = try make(
      "f.create_dataset('volumes/raw', data=np.arange(600).reshape(2, 20, 15).astype('u2'), chunks=(1, 8, 8), compression='gzip', shuffle=True)"
    )
    let whole = try contents(path)
    var generator = SeededGenerator(5)
    for _ in 0..<60 {
      var bytes = whole
      for _ in 0..<Int.random(in: 1...6, using: &generator) {
        bytes[Int.random(in: 8..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
      }
      try put(bytes, path)
      guard case .complete(let facts) = probe(path) else { continue }
      if let image = try? ImageReader.read(path, ImageOptions(stack: .sections)) {
        #expect(image.pixels.height == facts.height && image.pixels.width == facts.width)
      }
    }
  }

  @Test(arguments: [
    "", "end", "dataset 0\nend", "dataset 0\nshape 1 2 3\ntype uint8\nstored 6", "shape 1 -2 3\ntype uint8\nend",
    "dataset 0\nshape 1 2\ntype uint8\nend", "type uint7\nshape 1 2 3\nend", "end end\nend", "fault\nend",
  ])
  func anAnswerThatIsNoneIsNotTaken(text: String) {
    #expect(HDF5Description(text) == nil)
  }
}
