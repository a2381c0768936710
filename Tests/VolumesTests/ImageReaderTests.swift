import Domain
import Testing

@testable import Volumes

@Suite struct ImageReaderTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test(arguments: [(1, 1), (1, 300), (257, 3), (64, 64), (300, 257)])
  func writtenPicturesAreReadBack(height: Int, width: Int) throws {
    var generator = SeededGenerator(1)
    let bytes: Plane<UInt8> = randomPlane(height, width, using: &generator)
    let words: Plane<UInt16> = randomPlane(height, width, using: &generator)
    for compression in [TIFFWriter.Compression.none, .deflate] {
      try TIFFWriter.write(bytes, to: folder.file("a"), compression: compression)
      try check("a", 8, height, width, widened(bytes))
      try TIFFWriter.write(words, to: folder.file("b"), compression: compression)
      try check("b", 16, height, width, words.storage)
    }
    try PNGWriter.write(gray: bytes, to: folder.file("c"))
    try check("c", 8, height, width, widened(bytes))
    try PNGWriter.write(gray: words, to: folder.file("d"))
    try check("d", 16, height, width, words.storage)
    #expect(try folder.names() == ["a", "b", "c", "d"])
  }

  private func check(_ name: String, _ bits: Int, _ height: Int, _ width: Int, _ pixels: [UInt16]) throws {
    let path = folder.file(name)
    let facts = ImageFacts(height: height, width: width, pixels: bits == 8 ? .u8 : .u16)
    #expect(ImageProbe.probe(path) == .complete(facts))
    let image = try ImageReader.read(path)
    #expect(image.bitDepth == bits && image.pixels.height == height && image.pixels.width == width)
    #expect(image.pixels.storage == pixels)
  }

  @Test func everyVariantOfTIFFIsRead() throws {
    var generator = SeededGenerator(2)
    for bits in [8, 16] {
      for bigEndian in [false, true] {
        for bigTIFF in [false, true] {
          for (tile, compression) in [(0, 1), (16, 1), (0, 32773)] {
            for photometric in [0, 1] {
              var builder = TIFFBuilder(bigEndian: bigEndian, bigTIFF: bigTIFF, height: 21, width: 35, bits: bits)
              builder.tile = tile
              builder.compression = compression
              builder.photometric = photometric
              let largest: UInt64 = bits == 8 ? 255 : 65535
              let page: Plane<UInt64> = randomPlane(21, 35, largest: largest, using: &generator)
              builder.pages = [page.storage]
              try put(builder.bytes(), folder.file("variant"))
              let expected = page.storage.map { UInt16(photometric == 0 ? largest - $0 : $0) }
              try check("variant", bits, 21, 35, expected)
            }
          }
        }
      }
    }
  }

  @Test func normalisedRunsFromZeroToOne() {
    let eight = SectionImage(bitDepth: 8, pixels: Plane(height: 1, width: 3, storage: [0, 51, 255]))
    #expect(eight.normalised().storage == [0, 0.2, 1])
    let sixteen = SectionImage(bitDepth: 16, pixels: Plane(height: 1, width: 3, storage: [0, 13107, 65535]))
    #expect(sixteen.normalised().storage == [0, 0.2, 1])
  }

  @Test func foreignTIFFsAreRefusedWithASentence() throws {
    let page = [UInt64](repeating: 9, count: 35)
    let cases: [(TIFFBuilder, String)] = [
      (TIFFBuilder(samples: 3, photometric: 2, pages: [page + page + page]), "colour"),
      (TIFFBuilder(photometric: 3, pages: [page]), "palette"),
      (TIFFBuilder(samples: 2, pages: [page + page]), "transparency"),
      (TIFFBuilder(bits: 64, pages: [page]), "64 bits"),
      (TIFFBuilder(bits: 64, format: 6, pages: [page]), "format 6"),
      (TIFFBuilder(compression: 34712, pages: [page]), "compression 34712"),
    ]
    for (builder, word) in cases { try expectRefusal(builder.bytes(), word) }
  }

  @Test func foreignPNGsAreRefusedWithASentence() throws {
    let cases: [(UInt8, UInt8, Int, String)] = [
      (8, 2, 6, "colour"), (8, 6, 8, "colour"), (8, 3, 2, "palette"), (8, 4, 4, "alpha"), (1, 0, 1, "1 bits"),
    ]
    for (bits, colour, rowBytes, word) in cases {
      let rows = [[UInt8]](repeating: [UInt8](repeating: 1, count: rowBytes), count: 3)
      try expectRefusal(PNGBuilder.bytes(height: 3, width: 2, bits: bits, colour: colour, rows: rows), word)
    }
  }

  private func expectRefusal(_ bytes: [UInt8], _ word: String) throws {
    let path = folder.file("foreign")
    try put(bytes, path)
    guard case .unusable(let reason) = ImageProbe.probe(path) else {
      Issue.record("\(word): \(ImageProbe.probe(path))")
      return
    }
    #expect(reason.contains(word))
    #expect(throws: VolumeError.unsupported(path: path, reason: reason)) { try ImageReader.read(path) }
  }

  @Test func aPNGMadeElsewhereIsRead() throws {
    let rows: [[UInt8]] = [[1, 2, 0, 7], [255, 254, 128, 0]]
    try put(PNGBuilder.bytes(height: 2, width: 2, bits: 16, colour: 0, rows: rows), folder.file("p"))
    try check("p", 16, 2, 2, [0x0102, 7, 0xFFFE, 0x8000])
  }

  @Test func oddFilesAreNamed() throws {
    func result(_ bytes: [UInt8]) throws -> ImageProbeResult {
      try put(bytes, folder.file("odd.tif"))
      return ImageProbe.probe(folder.file("odd.tif"))
    }
    #expect(try result([]) == .incomplete(reason: "the file is empty"))
    guard case .unusable(let reason) = try result(Array("Section 12, dose 3".utf8)) else {
      Issue.record("text taken for a picture")
      return
    }
    #expect(reason.contains("Section "))
    #expect(try result([0, 0, 0, 0, 0, 0, 0, 0, 0]) == .incomplete(reason: "the file begins with zeros only"))
    #expect(try result([0x49, 0x49, 42, 0, 0, 0, 0, 0]) == .incomplete(reason: "its directory is not written yet"))
    #expect(ImageProbe.probe(folder.path) == .unusable(reason: "not a regular file"))
    #expect(throws: VolumeError.unreadable(path: folder.file("no"), reason: "No such file or directory")) {
      try ImageReader.read(folder.file("no"))
    }
  }

  @Test func writersSayWhyTheyCannotWrite() throws {
    let plane = Plane<UInt8>(height: 2, width: 2, repeating: 1)
    let path = folder.file("no/such/folder.png")
    let expected = VolumeError.unwritable(path: path, reason: "No such file or directory")
    #expect(throws: expected) { try PNGWriter.write(gray: plane, to: path) }
    #expect(throws: expected) { try TIFFWriter.write(plane, to: path) }
  }

  @Test func equalPixelsGiveEqualFiles() throws {
    var generator = SeededGenerator(3)
    let plane: Plane<UInt16> = randomPlane(40, 50, using: &generator)
    for name in ["a", "b"] {
      try PNGWriter.write(gray: plane, to: folder.file(name + ".png"))
      try TIFFWriter.write(plane, to: folder.file(name + ".tif"))
    }
    #expect(try contents(folder.file("a.png")) == contents(folder.file("b.png")))
    #expect(try contents(folder.file("a.tif")) == contents(folder.file("b.tif")))
  }

  @Test func coloursKeepTheirPlaces() throws {
    var generator = SeededGenerator(4)
    let colours: Plane<UInt32> = randomPlane(3, 5, largest: 0xFF_FFFF, using: &generator)
    func channel(_ shift: UInt32) -> Plane<UInt8> {
      Plane(height: 3, width: 5, storage: colours.storage.map { UInt8(truncatingIfNeeded: $0 >> shift) })
    }
    try PNGWriter.write(rgb: colours, to: folder.file("one.png"))
    try PNGWriter.write(red: channel(16), green: channel(8), blue: channel(0), to: folder.file("three.png"))
    #expect(try contents(folder.file("one.png")) == contents(folder.file("three.png")))
    // Decoded by another program: chunks, zlib and the one filter the writer uses.
    let script = """
      import sys, zlib
      b = open(sys.argv[1], 'rb').read(); i = 8; d = b''
      while i < len(b):
          n = int.from_bytes(b[i:i+4], 'big')
          if b[i+4:i+8] == b'IHDR': assert b[i+8:i+8+n] == bytes([0,0,0,5,0,0,0,3,8,2,0,0,0])
          if b[i+4:i+8] == b'IDAT': d += b[i+8:i+8+n]
          i += n + 12
      d = zlib.decompress(d); out = []
      for y in range(3):
          row = list(d[y*16+1:y*16+16]); assert d[y*16] in (0, 1)
          if d[y*16] == 1:
              for x in range(3, 15): row[x] = (row[x] + row[x-3]) % 256
          out += row
      print(*[out[i]<<16 | out[i+1]<<8 | out[i+2] for i in range(0, 45, 3)])
      """
    let printed = try python(script, in: folder.path, "one.png")
    #expect(printed.split(whereSeparator: \.isWhitespace).compactMap { UInt32($0) } == colours.storage)
  }
}
