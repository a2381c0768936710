import Domain
import Testing

@testable import Volumes

@Suite struct MicroscopeFormatTests {
  let folder: TemporaryFolder
  let stacks = ImageOptions(stack: .sections)

  init() throws { folder = try TemporaryFolder() }

  private func file(_ bytes: [UInt8]) throws -> String {
    try put(bytes, folder.file("picture"))
    return folder.file("picture")
  }

  private func facts(_ path: String) -> ImageFacts? {
    guard case .complete(let facts) = ImageProbe.probe(path, stacks) else {
      Issue.record("\(ImageProbe.probe(path, stacks))")
      return nil
    }
    return facts
  }

  /// Numbers that every type holds, in two planes of 3 x 5.
  private let planes: [[Double]] = [(0..<15).map { Double($0 * 8) }, (0..<15).map { Double(127 - 2 * $0) }]

  /// What the mapping is said to do, one number at a time.
  private func grey(_ values: [Double], _ type: PixelType, _ range: ClosedRange<Double>? = nil) -> [UInt16] {
    if range == nil {
      switch type {
      case .u8, .u16: return values.map { UInt16($0) }
      case .i8: return values.map { UInt16($0 + 128) }
      case .i16: return values.map { UInt16($0 + 32768) }
      default: break
      }
    }
    let low = range?.lowerBound ?? values.min()!
    let high = range?.upperBound ?? values.max()!
    return values.map { UInt16((min(max(($0 - low) / (high - low), 0), 1) * 65535).rounded()) }
  }

  @Test(arguments: [(0, PixelType.i8), (1, .i16), (2, .f32), (6, .u16), (12, .f16)], [false, true])
  func everyModeOfMRCIsRead(mode: (Int, PixelType), bigEndian: Bool) throws {
    for (extended, marks) in [(0, true), (1280, true), (0, false)] {
      var builder = MRCBuilder(bigEndian: bigEndian, mode: mode.0, type: mode.1)
      (builder.extended, builder.hasMarks, builder.planes) = (extended, marks, planes)
      let path = try file(builder.bytes())
      let size = PixelSize(z: 30, y: 6, x: 6)
      #expect(facts(path) == ImageFacts(sections: 2, height: 3, width: 5, pixels: mode.1, pixelSize: size))
      for (i, plane) in planes.enumerated() {
        #expect(try ImageReader.read(path, section: i, stacks).pixels.storage == grey(plane, mode.1))
      }
    }
  }

  @Test func bytesOfMRCAreSignedUnlessTheyAreSaidNotToBe() throws {
    let plane = [(0..<15).map { Double($0 * 17) }]
    var builder = MRCBuilder(mode: 0, type: .u8, planes: plane)
    for (flags, largest, type) in [
      (UInt64?.none, 0.0, PixelType.i8), (nil, 238, .u8), (0, 0, .u8), (1, 238, .i8),
    ] {
      (builder.imodFlags, builder.largest) = (flags, largest)
      #expect(facts(try file(builder.bytes()))?.pixels == type)
    }
  }

  @Test func aPixelOfOneAngstromIsNoSize() throws {
    for (pixel, size) in [
      ((1.0, 1.0, 1.0), nil), ((0, 0, 0), nil), ((20, 40, 1), PixelSize(z: 0.1, y: 4, x: 2)),
    ] {
      #expect(facts(try file(MRCBuilder(pixel: pixel, planes: planes).bytes()))?.pixelSize == size)
    }
  }

  @Test func foreignMRCsAreRefusedWithASentence() throws {
    for (mode, word) in [(4, "mode 4"), (101, "mode 101")] {
      let result = ImageProbe.probe(try file(MRCBuilder(mode: mode, planes: planes).bytes()), stacks)
      guard case .unusable(let reason) = result else {
        Issue.record("\(result)")
        continue
      }
      #expect(reason.contains(word))
    }
  }

  @Test(arguments: [false, true], [false, true])
  func everyTypeOfDMIsRead(isDM4: Bool, bigEndian: Bool) throws {
    let types: [(Int, PixelType)] = [
      (1, .i16), (2, .f32), (6, .u8), (7, .i32), (9, .i8), (10, .u16), (11, .u32), (12, .f64),
    ]
    for (code, type) in types {
      var builder = DMBuilder(isDM4: isDM4, bigEndian: bigEndian, dataType: code, type: type)
      (builder.sides, builder.values) = ([5, 3, 2], planes.flatMap { $0 })
      builder.scales = [(2, "nm"), (0.003, "µm"), (40, "nm")]
      let path = try file(builder.bytes())
      let found = facts(path)
      #expect(found?.sections == 2 && found?.height == 3 && found?.width == 5 && found?.pixels == type)
      #expect(found?.pixelSize?.x == 2 && abs((found?.pixelSize?.y ?? 0) - 3) < 1e-6 && found?.pixelSize?.z == 40)
      for (i, plane) in planes.enumerated() {
        #expect(try ImageReader.read(path, section: i, stacks).pixels.storage == grey(plane, type))
      }
    }
  }

  @Test func unitsThatAreNoLengthsAreNoPixelSize() throws {
    let builder = DMBuilder(scales: [(2, "1/nm"), (2, "1/nm")], values: planes[0])
    #expect(facts(try file(builder.bytes())) == ImageFacts(height: 3, width: 5, pixels: .u16))
  }

  @Test func aDMWithoutAnImageIsRefused() throws {
    for builder in [DMBuilder(dataType: 3, values: planes[0]), DMBuilder(sides: [50, 30], values: planes[0])] {
      guard case .unusable = ImageProbe.probe(try file(builder.bytes())) else {
        Issue.record("taken")
        continue
      }
    }
  }

  @Test(arguments: PixelType.allCases, [false, true])
  func everyTypeOfTIFFIsRead(type: PixelType, bigEndian: Bool) throws {
    let format = type.rawValue.hasPrefix("u") ? 1 : type.rawValue.hasPrefix("i") ? 2 : 3
    let pages = planes.map { plane in
      plane.map { value -> UInt64 in
        var writer = ByteWriter()
        writer.add(value, as: type)
        return writer.bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
      }
    }
    let builder = TIFFBuilder(
      bigEndian: bigEndian, height: 3, width: 5, bits: 8 * type.bytes, format: format, pages: pages)
    let path = try file(builder.bytes())
    #expect(facts(path) == ImageFacts(sections: 2, height: 3, width: 5, pixels: type))
    for (i, plane) in planes.enumerated() {
      #expect(try ImageReader.read(path, section: i, stacks).pixels.storage == grey(plane, type))
    }
  }

  @Test func aRangeMapsEveryTypeAlike() throws {
    let options = ImageOptions(intensityRange: 16...100)
    for (mode, type) in [(0, PixelType.i8), (1, .i16), (2, .f32), (6, .u16)] {
      let path = try file(MRCBuilder(mode: mode, type: type, planes: [planes[0]]).bytes())
      let image = try ImageReader.read(path, options)
      #expect(image.bitDepth == 16 && !image.isVerbatim)
      #expect(image.pixels.storage == grey(planes[0], type, 16...100))
    }
  }

  @Test func whatIsNoNumberBecomesBlack() throws {
    let plane: [Double] = [.nan, -.infinity, .infinity, 1e30, -1e30] + [Double](repeating: 0, count: 10)
    let path = try file(MRCBuilder(planes: [plane]).bytes())
    let pixels = try ImageReader.read(path).pixels.storage
    #expect(Array(pixels.prefix(6)) == [0, 0, 65535, 65535, 0, 32768])
    let wide = try file(
      DMBuilder(dataType: 12, type: .f64, values: [-1.7e308, 1.7e308] + [Double](repeating: 0, count: 13)).bytes())
    #expect(Array(try ImageReader.read(wide).pixels.storage.prefix(3)) == [0, 65535, 32768])
    let none = try file(MRCBuilder(planes: [[Double](repeating: .nan, count: 15)]).bytes())
    let expected = VolumeError.unsupported(path: none, reason: "none of its pixels is a finite number")
    #expect(throws: expected) { try ImageReader.read(none) }
  }

  @Test func aStackIsRefusedUnlessItIsAskedFor() throws {
    for bytes in [
      MRCBuilder(planes: planes).bytes(),
      TIFFBuilder(pages: [[UInt64](repeating: 9, count: 35), [UInt64](repeating: 9, count: 35)]).bytes(),
    ] {
      guard case .unusable(let reason) = ImageProbe.probe(try file(bytes)) else {
        Issue.record("taken")
        continue
      }
      #expect(reason.contains("it holds 2 sections") && reason.contains("stack: sections"))
    }
  }

  @Test func everyCutIsIncomplete() throws {
    var dm = DMBuilder(values: planes[0])
    dm.scales = [(2, "nm"), (2, "nm")]
    let dm3 = dm.bytes()
    dm.isDM4 = true
    let files = [
      MRCBuilder(extended: 64, planes: planes).bytes(), MRCBuilder(bigEndian: true, planes: planes).bytes(), dm3,
      dm.bytes(),
      TIFFBuilder(height: 3, width: 5, pages: [[UInt64]](repeating: [UInt64](repeating: 7, count: 15), count: 3))
        .bytes(),
    ]
    let path = folder.file("cut")
    for (i, file) in files.enumerated() {
      try put(file, path)
      for length in (0..<file.count).reversed() {
        truncate(path, length)
        guard case .incomplete = ImageProbe.probe(path, stacks) else {
          Issue.record("file \(i) cut to \(length) of \(file.count): \(ImageProbe.probe(path, stacks))")
          break
        }
      }
    }
  }
}

import Glibc
