/// Makes TIFF files by hand, with the directory before the pixels, in every variant a test asks for.
struct TIFFBuilder {
  /// Further entries of every directory; one of a tag there already replaces it.
  enum Extra {
    case short(Int, Int)
    case shorts(Int, [Int])
    case text(Int, String)
    case fraction(Int, Int, Int)
  }

  var bigEndian = false
  var bigTIFF = false
  var height = 5
  var width = 7
  var bits = 8
  var samples = 1
  var format = 1
  var photometric = 1
  var compression = 1
  var rowsPerStrip = 2
  /// Sides of square tiles; 0 for strips.
  var tile = 0
  /// Values of the pixels of each page, row by row.
  var pages: [[UInt64]] = []
  var extra: [Extra] = []

  func bytes() -> [UInt8] {
    var out: [UInt8] = bigEndian ? [0x4D, 0x4D] : [0x49, 0x49]
    out += number(bigTIFF ? 43 : 42, 2)
    if bigTIFF { out += number(8, 2) + number(0, 2) }
    let word = bigTIFF ? 8 : 4
    out += number(UInt64(out.count + word), word)
    for (i, page) in pages.enumerated() {
      let blocks = blocks(page)
      let prefix = (bigTIFF ? 8 : 2) + word
      let texts = out.count + prefix + entryCount * (bigTIFF ? 20 : 12)
      let lists = texts + extraValues.reduce(0) { $0 + $1.count }
      let data = lists + 2 * blocks.count * word
      let end = data + blocks.reduce(0) { $0 + $1.count }
      out += self.directory(blocks, texts: texts, lists: lists, next: i + 1 < pages.count ? end : 0)
      out += extraValues.flatMap { $0 }
      var place = data
      for block in blocks {
        out += number(UInt64(place), word)
        place += block.count
      }
      for block in blocks { out += number(UInt64(block.count), word) }
      out += blocks.flatMap { $0 }
    }
    return out
  }

  private var extraTags: [Int] {
    extra.map { entry in
      switch entry {
      case .short(let tag, _), .shorts(let tag, _), .text(let tag, _), .fraction(let tag, _, _): tag
      }
    }
  }

  private var entryCount: Int { 11 + (tile > 0 ? 1 : 0) + extraTags.count { ![262, 277, 284, 339].contains($0) } }

  /// Bytes of the further entries' values that are kept behind the directory, padded to words.
  private var extraValues: [[UInt8]] {
    extra.map { entry in
      switch entry {
      case .short: []
      case .shorts(_, let values): values.flatMap { number(UInt64($0), 2) }
      case .text(_, let text): Array(text.utf8) + [UInt8](repeating: 0, count: 16 - text.utf8.count % 8)
      case .fraction(_, let above, let below): number(UInt64(above), 4) + number(UInt64(below), 4)
      }
    }
  }

  private func directory(_ blocks: [[UInt8]], texts: Int, lists: Int, next: Int) -> [UInt8] {
    let word = bigTIFF ? 8 : 4
    let long = bigTIFF ? 16 : 4
    func list(_ tag: Int, _ at: Int, _ single: Int) -> (Int, Int, Int, UInt64) {
      (tag, long, blocks.count, UInt64(blocks.count == 1 ? single : at))
    }
    let data = lists + 2 * blocks.count * word
    let offsets = list(tile > 0 ? 324 : 273, lists, data)
    let counts = list(tile > 0 ? 325 : 279, lists + blocks.count * word, blocks[0].count)
    var entries: [(Int, Int, Int, UInt64)] = [
      (256, 3, 1, UInt64(width)), (257, 3, 1, UInt64(height)), (258, 3, 1, UInt64(bits)),
      (259, 3, 1, UInt64(compression)), (262, 3, 1, UInt64(photometric)), (277, 3, 1, UInt64(samples)),
      (284, 3, 1, 1), (339, 3, 1, UInt64(format)), offsets, counts,
    ]
    if tile > 0 {
      entries += [(322, 3, 1, UInt64(tile)), (323, 3, 1, UInt64(tile))]
    } else {
      entries.append((278, 3, 1, UInt64(rowsPerStrip)))
    }
    entries.removeAll { extraTags.contains($0.0) }
    var place = UInt64(texts)
    for (entry, bytes) in zip(extra, extraValues) {
      switch entry {
      case .short(let tag, let value): entries.append((tag, 3, 1, UInt64(value)))
      case .shorts(let tag, let values): entries.append((tag, 103, values.count, place))
      case .text(let tag, _): entries.append((tag, 2, bytes.count, place))
      case .fraction(let tag, _, _): entries.append((tag, 5, 1, place))
      }
      place += UInt64(bytes.count)
    }
    entries.sort { $0.0 < $1.0 }
    var out = number(UInt64(entries.count), bigTIFF ? 8 : 2)
    for (tag, type, count, value) in entries {
      out += number(UInt64(tag), 2) + number(UInt64(type % 100), 2) + number(UInt64(count), word)
      out += type == 3 ? number(value, 2) + [UInt8](repeating: 0, count: word - 2) : number(value, word)
    }
    return out + number(UInt64(next), word)
  }

  private func blocks(_ page: [UInt64]) -> [[UInt8]] {
    if tile == 0 {
      return stride(from: 0, to: height, by: rowsPerStrip).map { y in
        packed(
          (y..<min(height, y + rowsPerStrip)).map { Array(page[$0 * width * samples..<($0 + 1) * width * samples]) })
      }
    }
    var blocks: [[UInt8]] = []
    for y in stride(from: 0, to: height, by: tile) {
      for x in stride(from: 0, to: width, by: tile) {
        blocks.append(
          packed(
            (y..<y + tile).map { row in
              (x..<x + tile).map { row < height && $0 < width ? page[row * width + $0] : 0 }
            }))
      }
    }
    return blocks
  }

  private func packed(_ rows: [[UInt64]]) -> [UInt8] {
    rows.flatMap { row -> [UInt8] in
      let raw = row.flatMap { number($0, bits / 8) }
      guard compression == 32773 else { return raw }
      // PackBits, literal runs only.
      return stride(from: 0, to: raw.count, by: 128).flatMap { i -> [UInt8] in
        let run = raw[i..<min(raw.count, i + 128)]
        return [UInt8(run.count - 1)] + run
      }
    }
  }

  private func number(_ value: UInt64, _ count: Int) -> [UInt8] {
    let little = (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
    return bigEndian ? little.reversed() : little
  }
}

/// Makes PNG files by hand, with stored (uncompressed) deflate blocks.
enum PNGBuilder {
  static func bytes(
    height: Int, width: Int, bits: UInt8, colour: UInt8, rows: [[UInt8]], perMetre: (UInt32, UInt8)? = nil
  ) -> [UInt8] {
    var out: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
    out += chunk("IHDR", big(UInt32(width)) + big(UInt32(height)) + [bits, colour, 0, 0, 0])
    if colour == 3 { out += chunk("PLTE", [0, 0, 0, 255, 0, 0]) }
    if let (density, unit) = perMetre { out += chunk("pHYs", big(density) + big(density) + [unit]) }
    let raw = rows.flatMap { (row: [UInt8]) -> [UInt8] in [0] + row }
    let length = UInt16(raw.count)
    let sizes = [length, ~length].flatMap { (size: UInt16) -> [UInt8] in [UInt8(size & 255), UInt8(size >> 8)] }
    let stored: [UInt8] = [0x78, 0x01, 1] + sizes + raw
    return out + chunk("IDAT", stored + big(adler(raw))) + chunk("IEND", [])
  }

  private static func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
    let body = Array(type.utf8) + data
    return big(UInt32(data.count)) + body + big(crc(body))
  }

  private static func big(_ value: UInt32) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> UInt32($0)) }
  }

  private static func crc(_ bytes: [UInt8]) -> UInt32 {
    var crc: UInt32 = ~0
    for byte in bytes {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? 0xEDB8_8320 ^ (crc >> 1) : crc >> 1 }
    }
    return ~crc
  }

  private static func adler(_ bytes: [UInt8]) -> UInt32 {
    var a: UInt32 = 1
    var b: UInt32 = 0
    for byte in bytes {
      a = (a + UInt32(byte)) % 65521
      b = (b + a) % 65521
    }
    return b << 16 | a
  }
}
