/// Walks the tags of a DM3 or DM4 file and keeps those of images. Lengths and types are most significant byte first; values are
/// in the order that the header names. Every tag must lie inside the file.
struct DMReader {
  struct Image {
    var index: Int
    var dataType: Int?
    /// x, y, z.
    var sides: [Int] = []
    var data: (offset: Int, size: Int)?
    /// By axis: x, y, z.
    var scales: [Int: Double] = [:]
    var units: [Int: String] = [:]
  }

  private static let deepest = 64
  private static let mostTags = 1 << 20
  private static let bytesOfType = [2: 2, 3: 4, 4: 2, 5: 4, 6: 4, 7: 8, 8: 1, 9: 1, 10: 1, 11: 8, 12: 8]

  private(set) var images: [Int: Image] = [:]
  /// Byte order of the values.
  private(set) var bigEndian = false
  private var isDM4 = false
  private var position = 0
  private var tags = 0
  private var window: [UInt8] = []
  private var windowStart = 0

  mutating func readFile(_ file: borrowing FileBytes) throws(FormatFault) {
    isDM4 = try length(4, file) == 4
    let size = try length(isDM4 ? 8 : 4, file)
    guard size <= file.size else { throw .incomplete("its tags have \(size) bytes, the file has \(file.size)") }
    bigEndian = try length(4, file) == 0
    try readGroup(path: [], file)
  }

  private mutating func readGroup(path: [String], _ file: borrowing FileBytes) throws(FormatFault) {
    guard path.count < Self.deepest else { throw .unusable("its tags are nested more than \(Self.deepest) deep") }
    position += 2  // sorted, open
    let count = try length(isDM4 ? 8 : 4, file)
    for i in 0..<count {
      tags += 1
      guard tags <= Self.mostTags else { throw .unusable("more than \(Self.mostTags) tags") }
      let kind = try length(1, file)
      let nameLength = try length(2, file)
      let name = nameLength == 0 ? String(i) : String(decoding: try bytes(nameLength, file), as: UTF8.self)
      if isDM4 { position += 8 }  // bytes of the tag
      switch kind {
      case 20: try readGroup(path: path + [name], file)
      case 21: try readValue(path: path + [name], file)
      default: throw .unusable("a tag of kind \(kind) at byte \(position)")
      }
    }
  }

  private mutating func readValue(path: [String], _ file: borrowing FileBytes) throws(FormatFault) {
    guard try bytes(4, file).elementsEqual("%%%%".utf8) else {
      throw .unusable("no value of a tag at byte \(position)")
    }
    let word = isDM4 ? 8 : 4
    let count = try length(word, file)
    guard count >= 1, count <= 4096 else { throw .unusable("a tag's type of \(count) numbers at byte \(position)") }
    var type: [Int] = []
    for _ in 0..<count { type.append(try length(word, file)) }
    guard let size = Self.size(of: type[...]) else { throw .unusable("a tag of unknown type \(type.prefix(8))") }
    guard file.holds(position, size) else {
      throw .incomplete("a tag at byte \(position) has \(size) bytes, the file ends at \(file.size)")
    }
    try keep(path, type, size, file)
    position += size
  }

  /// Bytes of a value; nil for a type that does not exist.
  private static func size(of type: ArraySlice<Int>) -> Int? {
    guard let kind = type.first else { return nil }
    let rest = type.dropFirst()
    switch kind {
    case 15:  // a structure: length of its name, fields, and of each field the length of its name and its type
      guard rest.count >= 2, let fields = rest.dropFirst().first, fields >= 0, fields <= 1024,
        rest.count == 2 + 2 * fields
      else { return nil }
      return stride(from: rest.startIndex + 3, to: rest.endIndex, by: 2).reduce(Optional(0)) { sum, at in
        guard let sum, let bytes = bytesOfType[rest[at]] else { return nil }
        return sum + bytes
      }
    case 18:  // a text: its characters, 2 bytes each
      return rest.first.flatMap { times($0, 2) }
    case 20:  // an array: type of its elements, their number
      guard let count = rest.last, rest.first != 20, let element = size(of: rest.dropLast()) else { return nil }
      return times(count, element)
    default: return rest.isEmpty ? bytesOfType[kind] : nil
    }
  }

  private static func times(_ count: Int, _ size: Int) -> Int? {
    let (product, overflow) = count.multipliedReportingOverflow(by: size)
    return overflow || count < 0 ? nil : product
  }

  /// Keeps what belongs to an image: `ImageList`, its number, `ImageData`, and what follows.
  private mutating func keep(
    _ path: [String], _ type: [Int], _ size: Int, _ file: borrowing FileBytes
  ) throws(FormatFault) {
    guard path.count >= 4, path[0] == "ImageList", path[2] == "ImageData", let index = Int(path[1]) else { return }
    var image = images[index] ?? Image(index: index)
    let axis = path.count >= 5 ? Int(path[path.count == 5 ? 4 : 5]) : nil
    switch (path[3], path.count) {
    case ("Data", 4): image.data = (position, size)
    case ("DataType", 4): image.dataType = Int(exactly: try number(type, file) ?? 0)
    case ("Dimensions", 5):
      guard image.sides.count < 8, let side = try number(type, file).flatMap({ Int(exactly: $0) }), side >= 0 else {
        return
      }
      image.sides.append(side)
    case ("Calibrations", 7) where path[4] == "Dimension":
      guard let axis, axis < 8 else { return }
      if path[6] == "Scale" { image.scales[axis] = try number(type, file) }
      if path[6] == "Units", size <= 64, type.count == 3, type[1] == 4, let raw = file.read(at: position, count: size) {
        let units = stride(from: 0, to: size, by: 2).map { i -> UInt16 in
          let (first, second) = (UInt16(raw[i]), UInt16(raw[i + 1]))
          return bigEndian ? first << 8 | second : second << 8 | first
        }
        image.units[axis] = String(decoding: units, as: UTF16.self)
      }
    default: return
    }
    images[index] = image
  }

  /// The value of a tag of a single number.
  private func number(_ type: [Int], _ file: borrowing FileBytes) throws(FormatFault) -> Double? {
    guard type.count == 1, let size = Self.bytesOfType[type[0]], let raw = file.read(at: position, count: size) else {
      return nil
    }
    let bits = (bigEndian ? raw : raw.reversed()).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    switch type[0] {
    case 2: return Double(Int16(truncatingIfNeeded: bits))
    case 3: return Double(Int32(truncatingIfNeeded: bits))
    case 6: return Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits)))
    case 7: return Double(bitPattern: bits)
    case 9: return Double(Int8(truncatingIfNeeded: bits))
    case 11: return Double(Int64(truncatingIfNeeded: bits))
    default: return Double(bits)
    }
  }

  /// An unsigned number, most significant byte first; what is beyond `Int` is `Int.max`.
  private mutating func length(_ count: Int, _ file: borrowing FileBytes) throws(FormatFault) -> Int {
    Int(clamping: try bytes(count, file).reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
  }

  /// The next bytes, from a window on the file: tags are small and many.
  private mutating func bytes(_ count: Int, _ file: borrowing FileBytes) throws(FormatFault) -> ArraySlice<UInt8> {
    if position < windowStart || position + count > windowStart + window.count {
      guard file.holds(position, count), let read = file.read(at: position, count: min(1 << 16, file.size - position))
      else { throw .incomplete("the file ends within its tags, at byte \(file.size)") }
      (window, windowStart) = (read, position)
    }
    let start = position - windowStart
    position += count
    return window[start..<start + count]
  }
}
