/// Where the pixels of a TIFF's page are.
enum TIFFData {
  /// - Returns: The number of strips or tiles.
  /// - Throws: `.incomplete` when a strip or tile is not inside the file.
  static func check(
    _ directory: TIFFDirectory, _ page: TIFFStructure.Page, _ file: borrowing FileBytes
  ) throws(FormatFault) -> Int {
    let tileWidth = try directory.value(.tileWidth, file)
    let tileHeight = try directory.value(.tileHeight, file)
    var rows = try directory.value(.rowsPerStrip, file) ?? page.height
    rows = min(max(rows, 1), page.height)
    let tiled = directory.entry(.tileOffsets) != nil
    guard tiled == (tileWidth != nil), tiled == (tileHeight != nil) else {
      throw .unusable("a page of strips and tiles")
    }
    var expected = (page.height + rows - 1) / rows
    var decoded = page.bytes
    if tiled {
      guard let tileWidth, let tileHeight, tileWidth > 0, tileHeight > 0,
        tileWidth <= ImageProbe.largestSide, tileHeight <= ImageProbe.largestSide,
        tileWidth * tileHeight <= 1 << 28
      else { throw .unusable("tiles of an impossible size") }
      expected = ((page.height + tileHeight - 1) / tileHeight) * ((page.width + tileWidth - 1) / tileWidth)
      decoded = expected * tileWidth * tileHeight * page.pixels.bytes
    }
    let data = try dataSize(directory, tiled: tiled, expected: expected, file)
    let compression = try directory.value(.compression, file) ?? 1
    if decoded / largestExpansion(compression) > data {
      throw .unusable("\(data) bytes cannot hold \(page.width) x \(page.height) pixels")
    }
    return expected
  }

  /// Where a run of uncompressed planes begins, of which the directory names the first only: so ImageJ writes stacks of more
  /// than 4 GB. nil when the page is not stored so.
  /// - Throws: `.incomplete` when the run goes beyond the file.
  static func startOfRun(
    _ directory: TIFFDirectory, planes: Int, _ page: TIFFStructure.Page, _ file: borrowing FileBytes
  ) throws(FormatFault) -> Int? {
    guard try directory.value(.compression, file) ?? 1 == 1, let offsets = directory.entry(.stripOffsets),
      offsets.count == 1
    else { return nil }
    let start = try directory.values(offsets, 0..<1, file)[0]
    let (size, overflow) = page.bytes.multipliedReportingOverflow(by: planes)
    guard !overflow, file.holds(start, size) else {
      throw .incomplete("its \(planes) planes end beyond the file's \(file.size) bytes")
    }
    return start
  }

  /// Sum of the bytes of all strips or tiles, each seen to lie inside the file.
  private static func dataSize(
    _ directory: TIFFDirectory, tiled: Bool, expected: Int, _ file: borrowing FileBytes
  ) throws(FormatFault) -> Int {
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

  /// How many bytes a byte of data can stand for. Of the compressions that have no such limit (zstd, say), what pictures
  /// with any noise in them never reach.
  private static func largestExpansion(_ compression: Int) -> Int {
    switch compression {
    case 1: 1
    case 32773: 64  // PackBits
    case 8, 32946: 1040  // deflate
    default: 4096
    }
  }
}
