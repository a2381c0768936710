import Domain
import Testing

@testable import Volumes

/// Sections that are decoded band by band are those that are decoded as a whole.
@Suite struct BandTests {
  let folder: TemporaryFolder
  private let height = 41
  private let width = 37

  init() throws { folder = try TemporaryFolder() }

  private func values(_ seed: UInt64 = 3) -> [Double] {
    var generator = SeededGenerator(seed)
    return (0..<height * width).map { i in
      i % 97 == 5 ? .nan : Double.random(in: -100...100, using: &generator)
    }
  }

  private func pages(_ type: PixelType, _ count: Int) -> [[UInt64]] {
    (0..<count).map { page in
      values(UInt64(page)).map { value -> UInt64 in
        var writer = ByteWriter()
        writer.add(type == .f32 || type == .f64 || value.isFinite ? value : 0, as: type)
        return writer.bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
      }
    }
  }

  /// With bands of one row, of a few, and of all.
  private func check(_ bytes: [UInt8], _ options: ImageOptions = ImageOptions(stack: .sections)) throws {
    let path = folder.file("a")
    try put(bytes, path)
    try check(path, options)
  }

  private func check(_ path: String, _ options: ImageOptions = ImageOptions(stack: .sections)) throws {
    for options in [options, ImageOptions(stack: .sections, intensityRange: -20...60)] {
      let file = try ImageReader.inspect(path, options)
      for section in 0..<file.facts.sections {
        let whole = try ImageReader.read(file, section: section)
        #expect(whole.pixels.height == height && whole.pixels.width == width)
        for bandBytes in [1, 700, 5000, 1 << 20] {
          let banded = try ImageReader.read(file, section: section, wholeUpTo: 0, bandBytes: bandBytes)
          #expect(banded == whole, "\(bandBytes), section \(section)")
        }
      }
    }
  }

  @Test(arguments: [1, 32773], [1, 4, 41])
  func stripsOfTIFF(compression: Int, rows: Int) throws {
    for (type, format) in [(PixelType.f32, 3), (.f64, 3), (.i32, 2)] {
      try check(
        TIFFBuilder(
          bigEndian: type == .f64, height: height, width: width, bits: 8 * type.bytes, format: format,
          compression: compression, rowsPerStrip: rows, pages: pages(type, 2)
        ).bytes())
    }
  }

  @Test func tilesOfTIFF() throws {
    try check(
      TIFFBuilder(
        bigTIFF: true, height: height, width: width, bits: 32, format: 3, tile: 16, pages: pages(.f32, 3)
      ).bytes())
  }

  @Test func planesOfMRC() throws {
    for bigEndian in [false, true] {
      try check(
        MRCBuilder(
          bigEndian: bigEndian, height: height, width: width, extended: 24, planes: [values(1), values(2)]
        ).bytes())
    }
  }

  @Test func planesOfHDF5() throws {
    _ = try python(
      """
      import h5py, numpy as np
      with h5py.File('a.h5', 'w') as f:
        x = np.sin(np.arange(2 * \(height) * \(width))).reshape(2, \(height), \(width)); x[0, 3, 4] = np.nan
        f.create_dataset('raw', data=x, chunks=(1, 8, 16), compression='gzip')
      """, in: folder.path)
    try check(folder.file("a.h5"))
  }

  @Test func pictures() throws {
    let plane = Plane<UInt8>(
      height: height, width: width, storage: (0..<height * width).map { UInt8($0 % 251) })
    try PNGWriter.write(gray: plane, to: folder.file("a.png"))
    try check(folder.file("a.png"))
  }

  /// A file that has become another since it was inspected.
  @Test func aFileThatChangedIsAnError() throws {
    let path = folder.file("a")
    let long = MRCBuilder(height: height, width: width, planes: [values()]).bytes()
    try put(long, path)
    let file = try ImageReader.inspect(path, ImageOptions())
    try put(Array(long.dropLast(4)), path)
    for wholeUpTo in [0, 1 << 20] {
      #expect(throws: VolumeError.changed(path: path)) {
        try ImageReader.read(file, section: 0, wholeUpTo: wholeUpTo, bandBytes: 500)
      }
    }
  }

  @Test func aFileThatCannotBeReadIsNotOneCutShort() throws {
    // A regular file of 4096 bytes by its status, whose reading fails: the loopback has no speed.
    let path = "/sys/class/net/lo/speed"
    #expect(ImageProbe.probe(path) == .unreadable(reason: "it cannot be read: Invalid argument"))
    #expect(throws: VolumeError.unreadable(path: path, reason: "Invalid argument")) { try ImageReader.read(path) }
    #expect(ImageProbe.probe(folder.file("no")) == .unreadable(reason: "it cannot be read: No such file or directory"))
  }
}
