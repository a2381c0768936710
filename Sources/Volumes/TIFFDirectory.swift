/// Tags that the structure check reads.
enum TIFFTag: UInt16 {
  case width = 256
  case height = 257
  case bits = 258
  case compression = 259
  case photometric = 262
  case stripOffsets = 273
  case samples = 277
  case rowsPerStrip = 278
  case stripCounts = 279
  case tileWidth = 322
  case tileHeight = 323
  case tileOffsets = 324
  case tileCounts = 325
  case format = 339
}

/// The entries of a TIFF file's first directory.
struct TIFFDirectory {
  struct Entry {
    var tag: UInt16
    var bytesEach: Int
    var count: Int
    /// Where the values are in the file.
    var place: Int
  }

  private let bigEndian: Bool
  private var entries: [Entry] = []
  /// Offset of the next directory, 0 when there is none.
  private(set) var next = 0

  init(_ file: borrowing FileBytes) throws(TIFFFault) {
    guard let head = file.read(at: 0, count: 8) else { throw .incomplete("the file ends within its header") }
    bigEndian = head[0] == 0x4D
    let big = head[2] == 43 || head[3] == 43
    let width = big ? 8 : 4
    guard let raw = file.read(at: big ? 8 : 4, count: width) else {
      throw .incomplete("the file ends within its header")
    }
    let start = number(raw, 0, width)
    guard start != 0 else { throw .incomplete("its directory is not written yet") }
    let prefix = big ? 8 : 2
    guard let countBytes = file.read(at: start, count: prefix) else {
      throw .incomplete("its directory is at byte \(start), the file has \(file.size)")
    }
    let count = number(countBytes, 0, prefix)
    guard count > 0, count <= 4096 else { throw .unusable("a directory of \(count) entries") }
    let each = big ? 20 : 12
    guard let table = file.read(at: start + prefix, count: count * each + width) else {
      throw .incomplete("its directory ends beyond the file's \(file.size) bytes")
    }
    for i in 0..<count { add(table, i * each, big: big, at: start + prefix + i * each) }
    next = number(table, count * each, width)
  }

  private mutating func add(_ table: [UInt8], _ i: Int, big: Bool, at place: Int) {
    let tag = UInt16(number(table, i, 2))
    let bytesEach: Int
    switch number(table, i + 2, 2) {
    case 1: bytesEach = 1
    case 3: bytesEach = 2
    case 4: bytesEach = 4
    case 16: bytesEach = 8
    default: return
    }
    let width = big ? 8 : 4
    let count = number(table, i + 4, width)
    guard count > 0, !entries.contains(where: { $0.tag == tag }) else { return }
    let inside = count <= width / bytesEach
    entries.append(
      Entry(
        tag: tag, bytesEach: bytesEach, count: count,
        place: inside ? place + 4 + width : number(table, i + 4 + width, width)))
  }

  func entry(_ tag: TIFFTag) -> Entry? { entries.first { $0.tag == tag.rawValue } }

  /// First value of a tag, nil when the directory lacks it.
  func value(_ tag: TIFFTag, _ file: borrowing FileBytes) throws(TIFFFault) -> Int? {
    guard let entry = entry(tag) else { return nil }
    return try values(entry, 0..<1, file)[0]
  }

  /// Values `range` of an entry; a value beyond `Int` reads as `Int.max`.
  func values(_ entry: Entry, _ range: Range<Int>, _ file: borrowing FileBytes) throws(TIFFFault) -> [Int] {
    let (offset, overflow) = entry.place.addingReportingOverflow(range.lowerBound * entry.bytesEach)
    guard !overflow, let bytes = file.read(at: offset, count: range.count * entry.bytesEach) else {
      throw .incomplete("the values of tag \(entry.tag) are beyond the file's \(file.size) bytes")
    }
    return range.indices.map { number(bytes, ($0 - range.lowerBound) * entry.bytesEach, entry.bytesEach) }
  }

  private func number(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> Int {
    var value: UInt64 = 0
    for i in 0..<count {
      let byte = bytes[offset + (bigEndian ? i : count - 1 - i)]
      value = value << 8 | UInt64(byte)
    }
    return Int(clamping: value)
  }
}
