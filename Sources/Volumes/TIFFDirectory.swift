/// Tags that the structure check reads.
enum TIFFTag: UInt16 {
  case subfileType = 254
  case width = 256
  case height = 257
  case bits = 258
  case compression = 259
  case photometric = 262
  case description = 270
  case stripOffsets = 273
  case samples = 277
  case rowsPerStrip = 278
  case stripCounts = 279
  case xResolution = 282
  case yResolution = 283
  case resolutionUnit = 296
  case colourMap = 320
  case tileWidth = 322
  case tileHeight = 323
  case tileOffsets = 324
  case tileCounts = 325
  case format = 339
  /// Text of Zeiss's SEMs.
  case zeiss = 34118
  /// Texts of FEI's and Thermo's SEMs.
  case feiSFEG = 34680
  case feiHelios = 34682
}

/// Byte order and kind of a TIFF file.
struct TIFFHeader {
  let bigEndian: Bool
  /// BigTIFF: offsets of 8 bytes.
  let isBig: Bool
  /// Offset of the first directory.
  let first: Int

  var word: Int { isBig ? 8 : 4 }

  init(_ file: borrowing FileBytes) throws(FormatFault) {
    guard let head = file.read(at: 0, count: 8) else { throw .incomplete("the file ends within its header") }
    bigEndian = head[0] == 0x4D
    isBig = head[2] == 43 || head[3] == 43
    let word = isBig ? 8 : 4
    guard let raw = file.read(at: isBig ? 8 : 4, count: word) else {
      throw .incomplete("the file ends within its header")
    }
    first = Self.number(raw, 0, word, bigEndian)
    guard first != 0 else { throw .incomplete("its directory is not written yet") }
  }

  /// An unsigned number; what is beyond `Int` is `Int.max`.
  static func number(_ bytes: [UInt8], _ offset: Int, _ count: Int, _ bigEndian: Bool) -> Int {
    var value: UInt64 = 0
    for i in 0..<count { value = value << 8 | UInt64(bytes[offset + (bigEndian ? i : count - 1 - i)]) }
    return Int(clamping: value)
  }
}

/// The entries of one directory of a TIFF file.
struct TIFFDirectory {
  enum Form { case unsigned, text, rational }
  struct Entry {
    var tag: UInt16
    var form: Form
    var bytesEach: Int
    var count: Int
    /// Where the values are in the file.
    var place: Int
  }

  /// Longest text that is read.
  private static let longestText = 1 << 20

  private let header: TIFFHeader
  private var entries: [Entry] = []
  /// Offset of the next directory, 0 when there is none.
  private(set) var next = 0
  /// Bytes of the directory in the file.
  private(set) var size = 0

  init(_ file: borrowing FileBytes, _ header: TIFFHeader, at start: Int) throws(FormatFault) {
    self.header = header
    let prefix = header.isBig ? 8 : 2
    guard let countBytes = file.read(at: start, count: prefix) else {
      throw .incomplete("its directory is at byte \(start), the file has \(file.size)")
    }
    let count = number(countBytes, 0, prefix)
    guard count > 0, count <= 4096 else { throw .unusable("a directory of \(count) entries") }
    let each = header.isBig ? 20 : 12
    guard let table = file.read(at: start + prefix, count: count * each + header.word) else {
      throw .incomplete("its directory ends beyond the file's \(file.size) bytes")
    }
    size = prefix + table.count
    for i in 0..<count { add(table, i * each, at: start + prefix + i * each) }
    next = number(table, count * each, header.word)
  }

  private mutating func add(_ table: [UInt8], _ i: Int, at place: Int) {
    let tag = UInt16(number(table, i, 2))
    guard TIFFTag(rawValue: tag) != nil else { return }
    let (form, bytesEach): (Form, Int)
    switch number(table, i + 2, 2) {
    case 1: (form, bytesEach) = (.unsigned, 1)
    case 2, 7: (form, bytesEach) = (.text, 1)
    case 3: (form, bytesEach) = (.unsigned, 2)
    case 4: (form, bytesEach) = (.unsigned, 4)
    case 5: (form, bytesEach) = (.rational, 8)
    case 16: (form, bytesEach) = (.unsigned, 8)
    default: return
    }
    let width = header.word
    let count = number(table, i + 4, width)
    guard count > 0, !entries.contains(where: { $0.tag == tag }) else { return }
    let inside = count <= width / bytesEach
    entries.append(
      Entry(
        tag: tag, form: form, bytesEach: bytesEach, count: count,
        place: inside ? place + 4 + width : number(table, i + 4 + width, width)))
  }

  /// An entry of whole numbers.
  func entry(_ tag: TIFFTag) -> Entry? { entry(tag, .unsigned) }

  private func entry(_ tag: TIFFTag, _ form: Form) -> Entry? {
    entries.first { $0.tag == tag.rawValue && $0.form == form }
  }

  /// First value of a tag, nil when the directory lacks it.
  func value(_ tag: TIFFTag, _ file: borrowing FileBytes) throws(FormatFault) -> Int? {
    guard let entry = entry(tag) else { return nil }
    return try values(entry, 0..<1, file)[0]
  }

  /// Values `range` of an entry; a value beyond `Int` reads as `Int.max`.
  func values(_ entry: Entry, _ range: Range<Int>, _ file: borrowing FileBytes) throws(FormatFault) -> [Int] {
    let bytes = try bytes(entry, range, file)
    return range.indices.map { number(bytes, ($0 - range.lowerBound) * entry.bytesEach, entry.bytesEach) }
  }

  /// A text in Latin-1, or UTF-8 where it is that; nil when the directory lacks it.
  func text(_ tag: TIFFTag, _ file: borrowing FileBytes) throws(FormatFault) -> String? {
    guard let entry = entry(tag, .text) else { return nil }
    let raw = try bytes(entry, 0..<min(entry.count, Self.longestText), file)
    return String(validating: raw, as: UTF8.self) ?? String(String.UnicodeScalarView(raw.map { Unicode.Scalar($0) }))
  }

  /// A fraction; nil when the directory lacks it or the divisor is 0.
  func fraction(_ tag: TIFFTag, _ file: borrowing FileBytes) throws(FormatFault) -> Double? {
    guard let entry = entry(tag, .rational) else { return nil }
    let raw = try bytes(entry, 0..<1, file)
    let divisor = number(raw, 4, 4)
    return divisor == 0 ? nil : Double(number(raw, 0, 4)) / Double(divisor)
  }

  private func bytes(_ entry: Entry, _ range: Range<Int>, _ file: borrowing FileBytes) throws(FormatFault) -> [UInt8] {
    let (offset, overflow) = entry.place.addingReportingOverflow(range.lowerBound * entry.bytesEach)
    guard !overflow, let bytes = file.read(at: offset, count: range.count * entry.bytesEach) else {
      throw .incomplete("the values of tag \(entry.tag) are beyond the file's \(file.size) bytes")
    }
    return bytes
  }

  private func number(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> Int {
    TIFFHeader.number(bytes, offset, count, header.bigEndian)
  }
}
