import Domain
import Glibc
import Testing

@testable import Volumes

@Suite struct HostileImageTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// Valid files of each kind, small.
  private func samples() throws -> [[UInt8]] {
    var generator = SeededGenerator(11)
    let bytes: Plane<UInt8> = randomPlane(19, 23, using: &generator)
    let words: Plane<UInt16> = randomPlane(19, 23, using: &generator)
    let path = folder.file("sample")
    var files: [[UInt8]] = []
    try TIFFWriter.write(bytes, to: path)
    files.append(try contents(path))
    try TIFFWriter.write(words, to: path, compression: .deflate)
    files.append(try contents(path))
    try PNGWriter.write(gray: bytes, to: path)
    files.append(try contents(path))
    try PNGWriter.write(gray: words, to: path)
    files.append(try contents(path))
    let page = bytes.storage.map { UInt64($0) }
    files.append(TIFFBuilder(height: 19, width: 23, pages: [page]).bytes())
    files.append(TIFFBuilder(bigEndian: true, bigTIFF: true, height: 19, width: 23, tile: 16, pages: [page]).bytes())
    files.append(TIFFBuilder(height: 19, width: 23, compression: 32773, pages: [page]).bytes())
    return files
  }

  @Test func everyCutIsIncomplete() throws {
    let path = folder.file("cut")
    for (i, file) in try samples().enumerated() {
      try put(file, path)
      for length in (0..<file.count).reversed() {
        truncate(path, length)
        guard case .incomplete = ImageProbe.probe(path) else {
          Issue.record("sample \(i) cut to \(length) of \(file.count): \(ImageProbe.probe(path))")
          return
        }
        if length % 97 == 0 { #expect(throws: VolumeError.self) { try ImageReader.read(path) } }
      }
    }
  }

  @Test func zerosInsteadOfTheRestAreIncompleteOrRefused() throws {
    // A preallocated file whose bytes arrive in order.
    let path = folder.file("zeros")
    for file in try samples()[2...3] {
      for length in stride(from: 1, to: file.count - 12, by: 7) {
        try put(Array(file[..<length]) + [UInt8](repeating: 0, count: file.count - length), path)
        #expect(throws: VolumeError.self) { try ImageReader.read(path) }
      }
    }
  }

  @Test(arguments: 0..<8)
  func changedBytesNeverCrash(seed: Int) throws {
    var generator = SeededGenerator(UInt64(100 + seed))
    let path = folder.file("changed")
    var whole = 0
    for _ in 0..<60 {
      for file in try samples() {
        var bytes = file
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
          // Half of the changes in the first bytes, where the structure is.
          let reach = Bool.random(using: &generator) ? min(bytes.count, 256) : bytes.count
          let place = Int.random(in: 0..<reach, using: &generator)
          bytes[place] = [0, 1, 0x7F, 0x80, 0xFF, UInt8.random(in: 0...255, using: &generator)]
            .randomElement(using: &generator)!
        }
        try put(bytes, path)
        guard case .complete(let facts) = ImageProbe.probe(path) else { continue }
        whole += 1
        #expect(facts.height <= 65536 && facts.width <= 65536)
        if let image = try? ImageReader.read(path) {
          #expect(image.pixels.height == facts.height && image.pixels.width == facts.width)
        }
      }
    }
    #expect(whole > 0)
  }

  @Test func sizesBeyondTheFileAreRefusedBeforeAnythingIsAllocated() throws {
    let path = folder.file("huge")
    var builder = TIFFBuilder(height: 60000, width: 60000, compression: 8, rowsPerStrip: 60000)
    builder.pages = [[]]
    // One strip of a few bytes that claims 3.6 thousand million pixels.
    try put(TIFFBuilderHuge.bytes(builder), path)
    #expect(ImageProbe.probe(path) == .unusable(reason: "10 bytes cannot hold 60000 x 60000 pixels"))
    let rows = [[UInt8](repeating: 0, count: 4)]
    try put(PNGBuilder.bytes(height: 60000, width: 60000, bits: 8, colour: 0, rows: rows), path)
    #expect(ImageProbe.probe(path) == .unusable(reason: "16 bytes cannot hold 60000 x 60000 pixels"))
    try put(PNGBuilder.bytes(height: 65537, width: 1, bits: 8, colour: 0, rows: rows), path)
    #expect(ImageProbe.probe(path) == .unusable(reason: "1 x 65537 pixels are more than 65536 a side"))
  }

  /// Pages that share one list of strips: going through it for each could take hours.
  @Test func directoriesThatOverlapAreRefused() throws {
    var bytes = TIFFBuilder(height: 2000, width: 1, rowsPerStrip: 1, pages: [[UInt64](repeating: 1, count: 2000)])
      .bytes()
    let size = 2 + 11 * 12 + 4
    let directory = bytes[8..<8 + size]
    var last = 8
    for _ in 0..<100 {
      let (place, next) = (bytes.count, last + size - 4)
      bytes.replaceSubrange(next..<next + 4, with: (0..<4).map { UInt8(place >> (8 * $0) & 255) })
      bytes += directory
      last = place
    }
    try put(bytes, folder.file("overlap"))
    #expect(ImageProbe.probe(folder.file("overlap")) == .unusable(reason: "its directories overlap"))
  }

  /// libtiff takes such pages for tiled, and would read the strip into a buffer for a tile.
  @Test func aPageOfStripsWithTheHeightOfATileIsRefused() throws {
    let page = [UInt64](repeating: 5, count: 35)
    var builder = TIFFBuilder(bigEndian: true, bigTIFF: true, rowsPerStrip: 5, pages: [page, page])
    builder.extra = [.short(323, 1)]
    let path = folder.file("mixed")
    try put(builder.bytes(), path)
    #expect(ImageProbe.probe(path) == .unusable(reason: "a page of strips and tiles"))
    let labels = try LabelSource.open(path)
    for plane in 0..<labels.count { #expect(throws: VolumeError.self) { try labels.plane(plane) } }
  }

  @Test func damagedPixelDataAreAnErrorNotAPicture() throws {
    let path = folder.file("flipped")
    let plane = Plane<UInt8>(height: 64, width: 64, storage: (0..<4096).map { UInt8($0 % 251) })
    try PNGWriter.write(gray: plane, to: path)
    var bytes = try contents(path)
    bytes[bytes.count / 2] ^= 0x10
    try put(bytes, path)
    guard case .complete = ImageProbe.probe(path) else {
      Issue.record("\(ImageProbe.probe(path))")
      return
    }
    let error = #expect(throws: VolumeError.self) { try ImageReader.read(path) }
    guard case .corrupt(path, _)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }
}

/// A deflate-compressed page of the builder's shape with ten bytes of data.
enum TIFFBuilderHuge {
  static func bytes(_ builder: TIFFBuilder) -> [UInt8] {
    func two(_ v: Int) -> [UInt8] { [UInt8(v & 255), UInt8(v >> 8 & 255)] }
    func entry(_ tag: Int, _ value: Int) -> [UInt8] {
      two(tag) + two(4) + two(1) + two(0) + two(value) + two(value >> 16)
    }
    let entries = [
      (256, builder.width), (257, builder.height), (258, 8), (259, 8), (262, 1), (273, 8 + 2 + 9 * 12 + 4), (277, 1),
      (278, builder.rowsPerStrip), (279, 10),
    ]
    return [0x49, 0x49, 42, 0, 8, 0, 0, 0] + two(entries.count) + entries.flatMap { entry($0.0, $0.1) }
      + [0, 0, 0, 0] + [UInt8](repeating: 7, count: 10)
  }
}
