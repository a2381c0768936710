/// The first directory of a TIFF (6.0) or BigTIFF file, and whether its strips or tiles lie inside the file.
enum TIFFStructure {
  static let signatures: [[UInt8]] = [
    [0x49, 0x49, 42, 0], [0x4D, 0x4D, 0, 42], [0x49, 0x49, 43, 0, 8, 0, 0, 0], [0x4D, 0x4D, 0, 43, 0, 8, 0, 0],
  ]

  static func inspect(_ file: borrowing FileBytes) -> Inspection {
    do {
      let directory = try TIFFDirectory(file)
      let image = try describe(directory, file)
      if directory.next != 0 {
        return .unusable("more than one page; a section is one page, write each to a file of its own")
      }
      try checkData(directory, image, file)
      return .whole(image)
    } catch {
      switch error {
      case .incomplete(let reason): return .incomplete(reason)
      case .unusable(let reason): return .unusable(reason)
      }
    }
  }

  private static func describe(
    _ directory: TIFFDirectory, _ file: borrowing FileBytes
  ) throws(TIFFFault) -> InspectedImage {
    let width = try directory.value(.width, file)
    let height = try directory.value(.height, file)
    guard let width, let height else { throw .unusable("the page has no width or height") }
    if let refusal = ImageProbe.refusal(height: height, width: width) { throw .unusable(refusal) }
    let photometric = try directory.value(.photometric, file) ?? 1
    let samples = try directory.value(.samples, file) ?? 1
    if photometric == 3 { throw .unusable("a picture with a colour palette; save it as 8 or 16 bit grey") }
    if photometric > 1 || samples > 2 {
      throw .unusable(
        "a colour picture (\(samples) samples a pixel); sections are greyscale, save it as 8 or 16 bit grey")
    }
    if samples != 1 { throw .unusable("\(samples) samples a pixel; sections have one, save it without transparency") }
    let bits = try directory.value(.bits, file) ?? 1
    let format = try directory.value(.format, file) ?? 1
    if format == 2 { throw .unusable("signed pixels; sections are unsigned, 8 or 16 bit") }
    if format != 1 { throw .unusable("pixels that are not whole numbers; sections are unsigned, 8 or 16 bit") }
    guard bits == 8 || bits == 16 else { throw .unusable("\(bits) bits a pixel; sections have 8 or 16") }
    return InspectedImage(
      kind: .tiff, height: height, width: width, bitDepth: bits, inverted: photometric == 0, fileSize: file.size)
  }

  private static func checkData(
    _ directory: TIFFDirectory, _ image: InspectedImage, _ file: borrowing FileBytes
  ) throws(TIFFFault) {
    let tileWidth = try directory.value(.tileWidth, file)
    let tileHeight = try directory.value(.tileHeight, file)
    var rows = try directory.value(.rowsPerStrip, file) ?? image.height
    rows = min(max(rows, 1), image.height)
    let tiled = directory.entry(.tileOffsets) != nil
    var expected = (image.height + rows - 1) / rows
    var decoded = image.decodedSize
    if tiled {
      guard let tileWidth, let tileHeight, tileWidth > 0, tileHeight > 0,
        tileWidth <= ImageProbe.largestSide, tileHeight <= ImageProbe.largestSide,
        tileWidth * tileHeight <= 1 << 28
      else { throw .unusable("tiles of an impossible size") }
      expected = ((image.height + tileHeight - 1) / tileHeight) * ((image.width + tileWidth - 1) / tileWidth)
      decoded = expected * tileWidth * tileHeight * (image.bitDepth / 8)
    }
    let data = try dataSize(directory, tiled: tiled, expected: expected, file)
    let compression = try directory.value(.compression, file) ?? 1
    if decoded / largestExpansion(compression) > data {
      throw .unusable("\(data) bytes cannot hold \(image.width) x \(image.height) pixels")
    }
  }

  /// Sum of the bytes of all strips or tiles, each seen to lie inside the file.
  private static func dataSize(
    _ directory: TIFFDirectory, tiled: Bool, expected: Int, _ file: borrowing FileBytes
  ) throws(TIFFFault) -> Int {
    let what = tiled ? "tile" : "strip"
    guard let offsets = directory.entry(tiled ? .tileOffsets : .stripOffsets) else {
      throw .unusable("a page without pixel data")
    }
    let counts = directory.entry(tiled ? .tileCounts : .stripCounts)
    guard offsets.count >= expected, counts == nil || counts!.count >= expected else {
      throw .unusable("\(offsets.count) \(what)s where the picture has \(expected)")
    }
    guard let counts else {
      // Old writers of one uncompressed strip leave the byte counts out; the rest of the file then is the strip.
      let offset = try directory.values(offsets, 0..<1, file)[0]
      guard expected == 1, offset > 0 else { throw .unusable("\(what)s without their sizes") }
      return max(0, file.size - offset)
    }
    var total = 0
    var from = 0
    while from < expected {
      let range = from..<min(expected, from + 4096)
      let places = try directory.values(offsets, range, file)
      let sizes = try directory.values(counts, range, file)
      for (i, (place, size)) in zip(range, zip(places, sizes)) {
        guard place > 0, size > 0 else { throw .incomplete("\(what) \(i + 1) of \(expected) is not written") }
        guard place <= file.size, size <= file.size - place else {
          throw .incomplete("\(what) \(i + 1) of \(expected) ends beyond the file's \(file.size) bytes")
        }
        total += size
      }
      from = range.upperBound
    }
    return min(total, file.size)
  }

  /// How many bytes a byte of data can stand for.
  private static func largestExpansion(_ compression: Int) -> Int {
    switch compression {
    case 1: 1
    case 32773: 64  // PackBits
    case 8, 32946: 1040  // deflate
    case 5: 4096  // LZW
    default: 65536
    }
  }
}

enum TIFFFault: Error {
  case incomplete(String)
  case unusable(String)
}
